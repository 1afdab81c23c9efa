// What each partition needs now and then: readiness, log collection, stripping, hand-over, expiry, repair.
#pragma once

#include <set>

#include "replication/coordinator.h"
#include "replication/lives.h"
#include "replication/repair.h"
#include "replication/shard.h"

namespace covey {

class Upkeep {
 public:
  Upkeep(Shard& shard, Lives& lives, Coordinator& coordinator, Repair& repair)
      : shard_(shard), lives_(lives), coordinator_(coordinator), repair_(repair) {}

  void tick(Now now);
  // Where a session of the repair has come to its end, the next one begins.
  void go_on(Now now);
  // A peer has told what its log can't tell of the partition.
  void told_unlogged(Now now, PartitionId id);
  // A peer has told its clock of the partition: that may have been all that a copy waited for.
  void told(PartitionId id);
  // Copies that this node does not keep any more are ready no more: were it to keep them again, they would
  // lack what was written meanwhile.
  void leave_moved();

 private:
  void leave_if_moved(Partition& partition);
  void become_ready(Partition& partition);
  void tidy(Now now);
  void tidy_up_to(Now now, size_t due);
  void tidy(Now now, Partition& partition);
  void collect(Now now, Partition& partition);
  void drop_if_handed_over(Partition& partition);
  void open_repairs(Now now);
  void repair_unlogged(Now now, Partition& partition);
  void expire(Now now, Partition& partition);
  void track_divergence(Now now, Partition& partition);
  bool may_expire(Now now);
  bool first_owner_to_expire(Now now, PartitionId id) const;

  Shard& shard_;
  Lives& lives_;
  Coordinator& coordinator_;
  Repair& repair_;
  uint64_t started_us_ = 0;        // when the first round was
  std::set<NodeId> wrong_clocks_;  // as of the last round of expiry
  uint64_t next_round_us_ = 0;
  uint64_t next_slow_round_us_ = 0;
  // The present round's tidying, partition after partition.
  size_t tidied_ = 0;
  PartitionId tidy_next_;  // not before this one
};

}  // namespace covey
