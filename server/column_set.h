// The columns of this node's copies of partitions, kept equal to the stored objects by events from the shards
// that store them. A (table, partition) is a part: its rows, and which slot each key has.
//
// A part begins by being loaded from the stored objects, a few rows at a time, while events go on changing
// it. Each step reads the store as it is at that moment: never behind the events that were applied, perhaps
// ahead of them, and then those that follow bring the key there again. So a part counts as whole only once
// its shard has said, behind all events of batches that the load may have seen, that it is (Kind::mark).
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
#include "server/column_table.h"
#include "server/key_index.h"

namespace covey::server {

struct ColumnEvent {
  enum class Kind : uint8_t {
    row,      // table, partition, key, versions: what the key holds; none: it is gone
    dropped,  // partition: the node holds nothing of it any more
    defined,  // table: the shard's partitions have these columns from now on, and no others of that name
    gone,     // table: there is none of its name any more
    mark,     // number: all batches before this moment were told
  };
  Kind kind = Kind::row;
  std::shared_ptr<const ColumnTable> table;
  PartitionId partition;
  std::string key;
  std::vector<RowState> versions;  // by time, then dot
  uint64_t number = 0;

  uint64_t bytes() const;  // of memory, about
};

class ColumnPart {
 public:
  enum class State : uint8_t { loading, whole, failed };
  ColumnPart(agg::Schema schema, agg::ColumnStore::Dictionaries dictionaries);

  const agg::ColumnStore& columns() const { return columns_; }
  const KeyIndex& keys() const { return keys_; }
  State state() const { return state_; }
  const std::string& why() const { return why_; }  // why it failed
  // When the next version of a row expires; 0: none does.
  uint64_t next_expiry_ms() const { return due_.empty() ? 0 : due_.begin()->first; }

 private:
  friend class ColumnSet;
  agg::ColumnStore columns_;
  KeyIndex keys_;
  agg::UpdateBatch batch_;  // changes that columns_ has not been given yet
  State state_ = State::loading;
  std::string why_;
  uint64_t load_ = 0;   // the number of its load
  uint64_t bytes_ = 0;  // of memory, when last counted
  std::map<agg::Slot, std::vector<RowState>> expiring_;
  std::set<std::pair<uint64_t, agg::Slot>> due_;  // when the next version of a row expires
};

struct ColumnSetOptions {
  uint32_t shards = 1;
  uint32_t partitions = 64;
  uint64_t bytes_max = uint64_t{2} << 30;  // a part that would pass it fails and is freed
};

class ColumnSet {
 public:
  // `loaded`: a load has read all; the shard is to send a mark of this number behind what it has told.
  ColumnSet(ColumnSetOptions options, std::function<void(uint32_t shard, uint64_t number)> loaded);
  ~ColumnSet();

  // Events of one shard, in its order. Those that are expired at wall_ms do not count.
  void apply(uint32_t shard, std::vector<ColumnEvent>& events, uint64_t wall_ms);
  // Events of this shard were lost: everything of it is loaded again.
  void reload(uint32_t shard);
  bool loading() const { return !loads_.empty(); }
  // Reads on, at most `rows` objects. REQUIRES loading().
  void load(Store& store, size_t rows, uint64_t wall_ms);
  // Takes away what has expired.
  void expire(uint64_t wall_ms);

  // nullptr: there are no such columns of that partition here.
  const ColumnPart* find(const std::string& table, const std::string& definition,
                         PartitionId partition) const;

  struct Counts {
    uint64_t parts = 0, loading = 0, failed = 0, rows = 0, bytes = 0, conflicted = 0;
  };
  Counts counts() const;
  // Columns whose memory was given back since the last call: devices may forget them.
  std::vector<uint64_t> take_forgotten() { return std::exchange(forgotten_, {}); }

 private:
  struct Table {
    std::shared_ptr<const ColumnTable> columns;
    agg::ColumnStore::Dictionaries dictionaries;
    std::map<PartitionId, ColumnPart> parts;
  };
  using Name = std::pair<std::string, std::string>;  // and definition
  struct Load {
    uint64_t number = 0;
    Name table;
    uint32_t shard = 0;
    PartitionId partition;
    std::string next_key;
  };

  void apply_one(uint32_t shard, ColumnEvent& event, uint64_t wall_ms);
  void define(uint32_t shard, const std::shared_ptr<const ColumnTable>& columns);
  void remove(uint32_t shard, const std::string& name);
  void start_load(uint32_t shard, Table& table);
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
  bool load_rows(Store& store, Load& load, size_t& rows, uint64_t wall_ms);

  const ColumnSetOptions options_;
  std::function<void(uint32_t, uint64_t)> loaded_;
  std::map<Name, Table> tables_;
  std::vector<ColumnPart*> touched_;  // with a batch that is not empty
  std::deque<Load> loads_;
  uint64_t last_load_ = 0;
  uint64_t bytes_ = 0;
  std::vector<uint64_t> forgotten_;
};

}  // namespace covey::server
