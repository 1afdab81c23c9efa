// Table definitions: a replicated map in which the newest definition of a name wins. Dropped tables stay as a
// mark, so that an old definition does not bring them back; their keys are erased by ordinary deletes.
#pragma once

#include <map>
#include <string>

#include "replication/coordinator.h"
#include "replication/shard.h"

namespace covey {

class TableSet {
 public:
  TableSet(Shard& shard, Coordinator& coordinator) : shard_(shard), coordinator_(coordinator) {}

  [[nodiscard]] Result<Done, StoreError> load();
  [[nodiscard]] Result<Done, StoreError> put(Now now, const Table& table);
  [[nodiscard]] Result<Done, StoreError> declare(const Table& table);
  [[nodiscard]] Result<Done, StoreError> drop(Now now, const std::string& name);
  void receive(Now now, const peer::Tables& message);
  void tell(const NodeId& peer);
  void tick(Now now);  // erases keys of dropped tables, a few at a time

  std::vector<Table> all() const;  // not dropped
  bool purging(const std::string& name) const;
  uint64_t hash() const { return hash_; }

 private:
  struct Entry {
    Table table;
    Hlc time;
    bool dropped = false;
    uint32_t purge_next = 0;  // the partition where erasing goes on; at the end: done
  };
  [[nodiscard]] Result<bool, StoreError> adopt(Entry entry);  // true: it was news
  void purge(Now now, Entry& entry);
  void rehash();

  Shard& shard_;
  Coordinator& coordinator_;
  std::map<std::string, Entry> entries_;
  uint64_t hash_ = 0;
};

}  // namespace covey
