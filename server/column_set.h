// The columns of this node's copies of partitions, kept equal to the stored objects by events from the shards
// that store them. A (table, partition) is a part: its rows, and which slot each key has.
//
// A part begins by being loaded from the stored objects, a few rows at a time, while events go on changing
// it. Each step reads the store as it is at that moment: never behind the events that were applied, perhaps
// ahead of them, and then those that follow bring the key there again. So a part counts as whole only once
// its shard has said, behind all events of batches that the load may have seen, that it is (Kind::mark).
//
// Where a part was kept (ColumnHistory), it is taken from there, and only those keys are read that may have
// changed since. What was kept counts only if it can be shown to lead to the state that the shard's objects
// were in when the part began; else the part is loaded from all objects.
//
// When a table gets other columns beside some that it has, only these are filled, likewise a few rows at a
// time, while the part goes on being whole but for them.
//
// Over the limit of memory what was not asked for longest leaves (column_set_memory.cpp): columns, of all of
// a table's parts, then its rows. What has left and is asked for is loaded again.
//
// Used by one thread, the aggregator's: scans and changes alternate, so a scan sees whole batches.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gpu/column_store.h"
#include "replication/store.h"
#include "server/column_changes.h"
#include "server/column_checkpoint.h"
#include "server/column_table.h"
#include "server/key_index.h"

namespace covey::server {

// State hashes; a partition that is not held is in state 0.
using PartitionStates = std::map<PartitionId, uint64_t>;

struct ColumnEvent {
  enum class Kind : uint8_t {
    row,       // table, partition, key, versions: what the key holds; none: it is gone. number: the
               // partition's state hash after the batch
    dropped,   // partition: the node holds nothing of it any more
    reached,   // partition, number: its state hash after a batch that changed no row of a table with columns
    defined,   // table, states: the shard's partitions have these columns from now on, and no others of that
               // name
    gone,      // table: there is none of its name any more
    refilled,  // partition, number: its state hash after a batch of which no rows are told
    mark,      // number, states: all batches before this moment were told
  };
  Kind kind = Kind::row;
  std::shared_ptr<const ColumnTable> table;
  PartitionId partition;
  std::string key;
  std::vector<RowState> versions;  // by time, then dot
  uint64_t number = 0;
  std::shared_ptr<const PartitionStates> states;  // of all the shard's partitions, or nullptr: not known

  uint64_t bytes() const;  // of memory, about
};

// What is left of columns from before the process began.
class ColumnHistory {
 public:
  virtual ~ColumnHistory() = default;
  virtual std::optional<std::string> part(const std::string& table, PartitionId partition) = 0;
  virtual const ColumnChanges& changes() = 0;
  virtual void loaded() {}  // neither will be asked for, unless a table is defined anew
};

// A part as it is to be kept.
struct PartCheckpoint {
  std::string table, definition;
  PartitionId partition;
  uint64_t state = 0;
  std::string bytes;  // empty: it has no rows, and there is nothing to keep
};

class ColumnPart {
 public:
  enum class State : uint8_t { loading, whole, failed, evicted };
  ColumnPart(agg::Schema schema, agg::ColumnStore::Dictionaries dictionaries);

  const agg::ColumnStore& columns() const { return columns_; }
  const KeyIndex& keys() const { return keys_; }
  State state() const { return state_; }
  const std::string& why() const { return why_; }  // why it failed
  // Whether it has all rows of these columns: none is being filled or has left.
  bool has(std::span<const uint32_t> columns) const;
  // When the next version of a row expires; 0: none does.
  uint64_t next_expiry_ms() const { return due_.empty() ? 0 : due_.begin()->first; }

 private:
  friend class ColumnSet;
  agg::ColumnStore columns_;
  KeyIndex keys_;
  agg::UpdateBatch batch_;  // changes that columns_ has not been given yet
  State state_ = State::loading;
  std::string why_;
  uint64_t load_ = 0;     // the number of its load
  bool filling_ = false;  // the load is for columns of a whole part
  uint64_t bytes_ = 0;    // of memory, when last counted
  // Of a part that is loading or will be: waits for what was kept, or has it already. Keys in stale_ are to
  // be read.
  enum class From : uint8_t { objects, waits, kept };
  From from_ = From::objects;
  uint64_t begun_at_ = 0;  // the partition's state then
  std::set<std::string> stale_;
  std::optional<uint64_t> kept_;  // the state that its newest checkpoint holds
  ExpiringRows expiring_;
  std::set<std::pair<uint64_t, agg::Slot>> due_;  // when the next version of a row expires
};

// Why columns that have left can't be loaded again begins so.
inline constexpr const char* too_little_memory =
    "the memory for columns (aggregation.memory_mb) is too small for ";

struct ColumnSetOptions {
  uint32_t shards = 1;
  uint32_t partitions = 64;
  // Of columns, keys and dictionaries; passed for a moment by a batch, or by a part from a checkpoint.
  uint64_t bytes_max = uint64_t{2} << 30;
};

class ColumnSet {
 public:
  // `loaded`: a load has read all; the shard is to send a mark of this number behind what it has told.
  // `history`: nullptr: nothing was kept; outlives the set.
  ColumnSet(ColumnSetOptions options, std::function<void(uint32_t shard, uint64_t number)> loaded,
            ColumnHistory* history = nullptr);
  ~ColumnSet();

  // Events of one shard, in its order, of each stored batch all or none. Those that are expired at wall_ms do
  // not count.
  void apply(uint32_t shard, std::vector<ColumnEvent>& events, uint64_t wall_ms);
  // Events of this shard were lost: everything of it is loaded again.
  void reload(uint32_t shard);
  bool loading() const { return !loads_.empty(); }
  // Reads on, at most `rows` objects. REQUIRES loading().
  void load(Store& store, size_t rows, uint64_t wall_ms);
  // Takes away what has expired.
  void expire(uint64_t wall_ms);

  // Before a pass that needs these columns (agg::Plan::columns()): they become the last to leave. What of
  // them has left is loaded again, one demand after the other; meanwhile its parts are not whole. The answer
  // is empty, or says why they can't be had.
  std::string ask(const std::string& table, const std::string& definition, std::span<const uint32_t> columns,
                  uint64_t wall_ms);
  // Whether the part is or will be whole for these columns without being asked again.
  static bool left(const ColumnPart& part, std::span<const uint32_t> columns);

  // nullptr: there are no such columns of that partition here.
  const ColumnPart* find(const std::string& table, const std::string& definition,
                         PartitionId partition) const;

  using PartKey = std::pair<std::pair<std::string, std::string>, PartitionId>;  // table, definition
  // The first whole part behind `after` (nullopt: of all) that is not kept as it is now; `after` becomes it.
  // nullopt: there is none.
  std::optional<PartCheckpoint> next_checkpoint(std::optional<PartKey>& after);
  void kept(const PartCheckpoint& checkpoint);  // it is on disk
  bool has_unkept() const;
  bool has_part(const std::string& table, PartitionId partition) const;
  // Marks that are nobody's load: since the last call.
  std::vector<uint64_t> take_marks() { return std::exchange(marks_, {}); }
  // A number for a mark, never given twice.
  uint64_t next_number() { return ++last_number_; }

  struct Counts {
    uint64_t parts = 0, loading = 0, failed = 0, rows = 0, bytes = 0, conflicted = 0;
    uint64_t rebuilding = 0;                         // those loading that all objects are read for
    uint64_t restored_total = 0, rebuilt_total = 0;  // parts that began so
    uint64_t bytes_max = 0;
    uint64_t evicted_columns = 0, evicted_tables = 0, evicted_bytes = 0;  // that left and are not back
    uint64_t evictions_total = 0;                                         // of columns, and of whole tables
    uint64_t returns_total = 0;                                           // loads of what had left
    uint64_t refused_total = 0;  // of these, those for which there was no room
  };
  Counts counts() const;
  // Columns whose memory was given back since the last call: devices may forget them.
  std::vector<uint64_t> take_forgotten() { return std::exchange(forgotten_, {}); }

 private:
  struct Table {
    std::shared_ptr<const ColumnTable> columns;
    agg::ColumnStore::Dictionaries dictionaries;
    std::map<PartitionId, ColumnPart> parts;
    // The turn in which its rows, and each of its columns, were last asked for; 0: never.
    uint64_t asked = 0;
    std::vector<uint64_t> columns_asked;
    // What has left, and its bytes then: columns; whole_table: all.
    std::map<uint32_t, uint64_t> evicted;
    // Columns for which there was no room together, and until when that is believed.
    std::deque<std::pair<std::vector<uint32_t>, uint64_t>> refused;
    Table without_parts() const {
      return {.columns = columns,
              .dictionaries = dictionaries,
              .parts = {},
              .asked = asked,
              .columns_asked = columns_asked,
              .evicted = {},
              .refused = {}};
    }
  };
  using Name = std::pair<std::string, std::string>;  // and definition
  struct Load {
    uint64_t number = 0;
    Name table;
    uint32_t shard = 0;
    PartitionId partition;
    std::string next_key;
  };
  // Columns that had left and are being loaded because they were asked for. They do not leave before they
  // were used, or nobody has for a while.
  struct Demand {
    Name table;
    std::vector<uint32_t> columns;
    uint64_t whole_ms = 0;  // since when they have been there; 0: they are not
  };
  static constexpr uint32_t whole_table = UINT32_MAX;
  struct Victim {
    std::map<Name, Table>::iterator table;
    uint32_t column = whole_table;
  };

  void apply_one(uint32_t shard, ColumnEvent& event, uint64_t wall_ms);
  void define(uint32_t shard, const std::shared_ptr<const ColumnTable>& columns,
              const std::shared_ptr<const PartitionStates>& states);
  void take_states(const std::shared_ptr<const PartitionStates>& states);
  void remove(uint32_t shard, const std::string& name);
  void start_load(uint32_t shard, Table& table, bool at_once = false);
  Table& make_table(const std::shared_ptr<const ColumnTable>& columns);
  std::map<PartitionId, ColumnPart> take_parts(uint32_t shard, const ColumnTable& table,
                                               const agg::ColumnStore::Dictionaries& dictionaries);
  void rearrange(ColumnPart& part, const ColumnTable& table, const std::vector<uint32_t>& places,
                 const agg::ColumnStore::Dictionaries& dictionaries);
  void fill_row(const ColumnTable& table, ColumnPart& part, const std::string& key,
                std::vector<RowState>&& versions, uint64_t wall_ms);
  void refill(uint32_t shard, PartitionId partition);
  void drop(PartitionId partition);
  void mark(uint64_t number);
  void look_ahead(std::span<const ColumnEvent> events) const;
  ColumnPart* find(const ColumnTable& table, PartitionId partition);
  void set_row(const ColumnTable& table, ColumnPart& part, const std::string& key,
               std::vector<RowState>&& versions, uint64_t wall_ms);
  void touch(ColumnPart& part);
  void flush();
  void fail(ColumnPart& part, std::string why);
  void reset(ColumnPart& part);
  void read_from_objects(ColumnPart& part);
  void count_bytes(ColumnPart& part);
  uint64_t memory_bytes() const;
  void make_room();
  std::optional<Victim> least_valuable();
  bool is_demanded(const Name& table, uint32_t column) const;
  uint64_t bytes_of(const Table& table, uint32_t column) const;
  void evict(const Victim& victim);
  void evict_part(ColumnPart& part, PartitionId partition);
  void refuse_demand();
  bool demand_is_over(uint64_t wall_ms);
  void load_again(const Name& name, Table& table, std::vector<uint32_t> columns);
  bool is_kept(const ColumnPart& part, PartitionId partition) const;
  void restore(const ColumnTable& table, PartitionId partition, ColumnPart& part);
  bool read_stale(Store& store, const ColumnTable& table, PartitionId partition, ColumnPart& part,
                  size_t& rows, uint64_t wall_ms);
  bool load_rows(Store& store, Load& load, size_t& rows, uint64_t wall_ms);

  const ColumnSetOptions options_;
  std::function<void(uint32_t, uint64_t)> loaded_;
  std::map<Name, Table> tables_;
  std::vector<ColumnPart*> touched_;  // with a batch that is not empty
  std::deque<Load> loads_;
  uint64_t last_number_ = 0;
  ColumnHistory* const history_;
  std::map<PartitionId, uint64_t> states_;  // that whole parts hold; absent: not known
  std::vector<uint64_t> marks_;
  uint64_t restored_ = 0, rebuilt_ = 0;
  uint64_t bytes_ = 0;   // of all parts
  uint64_t now_ms_ = 0;  // wall clock, as of the last call
  uint64_t turn_ = 0;    // counts what is asked
  std::optional<Demand> demand_;
  uint64_t evictions_ = 0, returns_ = 0, refusals_ = 0;
  std::vector<uint64_t> forgotten_;
};

}  // namespace covey::server
