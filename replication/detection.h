// The failure detector of a node, as the core of its first shard runs it: its messages go with the others',
// and its verdicts to this core's members and, by Output::verdicts, to those of the node's other cores.
#pragma once

#include <optional>

#include "replication/coordinator.h"
#include "replication/failure_detector.h"
#include "replication/shard.h"

namespace covey {

class Detection {
 public:
  Detection(Shard& shard, Coordinator& coordinator) : shard_(shard), coordinator_(coordinator) {}

  void start(Now now, uint64_t incarnation);
  void tick(Now now);
  void receive(Now now, const NodeId& from, const peer::Detection& message);
  void link(Now now, const NodeId& peer, bool up);
  // A verdict of this node's first shard.
  void learn(Now now, const Verdict& verdict);
  uint32_t local_health() const { return detector_ ? detector_->local_health() : 0; }

 private:
  void follow_members(Now now);
  void perform(Now now);

  Shard& shard_;
  Coordinator& coordinator_;
  std::optional<FailureDetector> detector_;  // at shard 0
  uint64_t followed_us_ = 0;
};

}  // namespace covey
