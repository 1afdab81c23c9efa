// This node's copies of partitions: reading and writing objects so that the invariants of the design hold
// after every step. The one place that builds a storage batch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replication/core.h"
#include "replication/partition.h"
#include "replication/result.h"

namespace covey {

constexpr uint64_t strip_interval_us = 2'000'000;

class Feed;

struct Placing {
  bool keeps_log = true;  // false: there is no other owner that could lack a dot
};

// Objects as another copy of the partition stores them, for a copy that has hardly any itself.
struct ObjectLoad {
  std::unique_ptr<StoreLoad> objects;
  Counts counts;                   // of all of them, but for those in Replica::Edit::put_over_load
  std::set<std::string> residual;  // storage keys of those with a context, likewise
  std::set<std::string> expiries;  // entries of that index, likewise
};

class Replica {
 public:
  Replica(const CoreOptions& options, Store& store, CoreStats& stats);

  [[nodiscard]] Result<Done, StoreError> load();

  // Made empty if it is not there.
  Partition& at(PartitionId id);
  Partition* find(PartitionId id);
  std::map<PartitionId, Partition>& partitions() { return partitions_; }
  const std::map<PartitionId, Partition>& partitions() const { return partitions_; }
  Store& store() { return store_; }
  bool durable(const Partition& partition) const { return partition.last_write <= store_.durable(); }

  // As it is stored; empty if it is not there.
  [[nodiscard]] Result<Object, StoreError> read_stored(const Partition& partition, const TableKey& key);
  static StoreError unreadable(const TableKey& key);  // what is stored of it
  // Filled.
  [[nodiscard]] Result<Object, StoreError> read(const Partition& partition, const TableKey& key);

  class Group;

  // An edit of one partition: all of it is written in one batch or none of it.
  class Edit {
   public:
    Edit(Replica& replica, Partition& partition, Placing placing);
    // What the key holds, edits of this step included; filled.
    [[nodiscard]] Result<Object, StoreError> read(const TableKey& key);
    // The same without content types, values and names, for who overwrites all of it.
    [[nodiscard]] Result<Object, StoreError> read_dots(const TableKey& key);
    // As it was stored before this edit.
    [[nodiscard]] Result<Object, StoreError> read_stored(const TableKey& key);
    // The key's new object, filled, and the dots that it settles beside those of its versions.
    // REQUIRES: the key was read in this edit.
    void put(const TableKey& key, Object filled, const DotSet& settled);
    // Puts an object that a peer sent (filled) if it has versions and merging would give no other: without
    // reading, merging and copying. False: nothing is put, `theirs` is as it was.
    [[nodiscard]] Result<bool, StoreError> replace(const TableKey& key, Object& theirs,
                                                   const DotSet& settled);
    // Takes in objects whose keys hold nothing here. Their versions' dots are in what is joined to the clock.
    void load(ObjectLoad objects) { load_ = std::move(objects); }
    // The key is among those loaded, and was put: it holds what was put, also where that changed nothing.
    void put_over_load(const TableKey& key) { staged_.at(key).over_load = true; }
    void join_clock(const DotSet& dots) { clock_.join(dots); }
    bool knows(const DotSet& dots) const { return clock_.contains(dots); }
    void join_voids(const DotSet& dots);
    // The actor's next dot in this partition.
    Dot mint(Actor actor);
    // From which counter on this copy knows every dot that the actor, one of this node, has given out in the
    // partition. After it has dropped its data what it is sent of the actor's earlier ones may be out of
    // date.
    uint64_t known_from(Actor actor) const;
    void set_ready(bool ready);
    void set_left();  // not ready either
    // Its keys are not noted as written beside a repair.
    void set_told_by_repair() { told_by_repair_ = true; }
    // Adds to the counts, modulo 2^64.
    void correct_counts(const Counts& off) { correction_ = off; }
    // REQUIRES: the log has each of them.
    void erase_log(DotSet logged) { log_erased_ = std::move(logged); }
    // Nothing kept but the next counter: a stand-in's copy that its owners have.
    void drop_everything();
    PartitionId partition() const { return partition_.id; }
    // False: nothing had changed, nothing was written. REQUIRES: not an edit of a group.
    [[nodiscard]] Result<bool, StoreError> commit();

   private:
    friend class Group;
    uint64_t last_minted(Actor actor) const;
    struct Staged {
      std::string at;     // its storage key
      std::string bytes;  // as it is stored
      ObjectView before;  // of these
      // Filled, but maybe without what the partition's clock has; stripped once the edit is prepared.
      std::optional<Object> after;
      bool over_load = false;
    };
    using StagedKeys = std::map<TableKey, Staged>;
    // The key's place in the edit, with what is stored.
    [[nodiscard]] Result<StagedKeys::value_type*, StoreError> stage(const TableKey& key);
    void put(StagedKeys::value_type& place, Object filled, const DotSet& settled);
    // Adds all that changed to the batch; false: nothing. Memory stays as it is until the batch is written:
    // one that fails leaves nothing to undo.
    bool prepare(StoreBatch& batch);
    void apply(Lsn written);
    void note_written(std::set<TableKey>& keys) const;
    void announce(Feed& feed) const;  // once prepared
    void tell(Feed& feed) const;      // once applied
    void write_load(StoreBatch& batch);
    // Strips what is staged.
    void write_object(const TableKey& key, Staged& staged, StoreBatch& batch, PartitionRecord& next);
    Replica& replica_;
    Partition& partition_;
    Placing placing_;
    Clock clock_;
    DotSet voids_;
    std::vector<std::pair<Dot, const TableKey*>> logged_;  // keys of staged_
    DotSet log_erased_;
    StagedKeys staged_;
    std::optional<std::pair<Actor, uint64_t>> minted_;
    std::optional<bool> ready_;
    bool left_ = false;
    bool drop_ = false;
    bool told_by_repair_ = false;
    Counts correction_;
    std::optional<ObjectLoad> load_;
    PartitionRecord next_;  // as the prepared batch holds it
  };

  // Edits of any partitions that are written together, in one batch. From the first edit until the commit
  // nothing else may read or edit objects of this replica: it would not see what is to be written.
  class Group {
   public:
    explicit Group(Replica& replica) : replica_(replica) {}
    bool open() const { return replica_.grouping_; }
    // The group's one edit of the partition.
    Edit& edit(Partition& partition, Placing placing);
    // Leaves the group empty, whatever comes of it.
    [[nodiscard]] Result<Done, StoreError> commit();

   private:
    Replica& replica_;
    std::map<PartitionId, Edit> edits_;
    StoreBatch batch_;  // empty: its memory is kept for the next
  };

  // Merges an object that a peer sent (filled) into the edit. False: all of it was known here.
  [[nodiscard]] Result<bool, StoreError> merge_into(Edit& edit, const TableKey& key, Object theirs,
                                                    const DotSet& settled);

  // Calls `found` with each logged dot of `wanted` and its key, in order, until it answers false. Dots that
  // are neither logged nor void go to `unlogged`, if given.
  [[nodiscard]] Result<Done, StoreError> walk_log(const Partition& partition, const DotSet& wanted,
                                                  const std::function<bool(Dot, const TableKey&)>& found,
                                                  DotSet* unlogged);

  // Drops log entries that `known_to_all` has, at most `limit` of them a call. True: there may be more.
  [[nodiscard]] Result<bool, StoreError> collect_log(Partition& partition, const Clock& known_to_all,
                                                     size_t limit);
  // Drops the lowest entries of a log that is over its limit.
  [[nodiscard]] Result<Done, StoreError> cut_log(Partition& partition, size_t limit);
  // Strips objects with contexts again, at most `limit` a call: when nothing new has come for a while, and
  // every strip_interval_us while writes come, which replace many of them without this.
  [[nodiscard]] Result<Done, StoreError> strip_residual(Now now, Partition& partition, size_t limit);

  // Follows durability and the passing of time: durable_clock, settled.
  void observe(Now now, Partition& partition);

 private:
  // For records of a format that did not.
  [[nodiscard]] Result<Done, StoreError> count_bytes(Partition& partition) const;

  const CoreOptions& options_;
  Store& store_;
  CoreStats& stats_;
  std::map<PartitionId, Partition> partitions_;
  bool grouping_ = false;  // a group has edits that are not written
};

}  // namespace covey
