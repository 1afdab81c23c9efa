// On an operator's word: each copy that this node keeps is compared with the other keepers' copies, object by
// object, and repaired (replication/repair.h). Ordinary gossip compares clocks and the state hashes that go
// with them; this reads what is stored.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "replication/repair.h"
#include "replication/shard.h"

namespace covey {

class Scrub {
 public:
  Scrub(Shard& shard, Repair& repair) : shard_(shard), repair_(repair) {}

  // All copies kept here, each with every keeper that is not in `except`. False: one that was started here is
  // under way. What others have asked back goes on, and counts for its pair.
  bool start(const std::set<NodeId>& except);
  void tick(Now now);

  bool running() const { return !waiting_.empty() || running_ > 0; }
  std::vector<CopyCheck> checks() const;

 private:
  struct Task {
    CopyCheck check;
    bool started_here = false;  // else the other one, which was at it before, has asked back
    uint32_t tries = 0;
    uint64_t not_before_us = 0;
  };
  static bool ended(const Task& task);
  void forget_ended();
  size_t add(PartitionId partition, const NodeId& with, bool started_here);
  void wait(size_t index, uint64_t not_before_us);
  void begin(Now now, size_t index);
  void take_results(Now now);
  void begin_next(Now now);

  Shard& shard_;
  Repair& repair_;
  // At most one for each pair of a partition and a keeper.
  std::vector<Task> tasks_;
  std::map<std::pair<PartitionId, NodeId>, size_t> index_;  // where in tasks_
  std::set<std::pair<uint64_t, size_t>> waiting_;           // (not before, where), of those that wait
  size_t running_ = 0;
};

}  // namespace covey
