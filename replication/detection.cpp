#include "replication/detection.h"

#include <algorithm>

namespace covey {
namespace {

constexpr uint64_t follow_interval_us = 1'000'000;

}  // namespace

void Detection::start(Now now, uint64_t incarnation) {
  if (shard_.options.shard != 0) return;
  constexpr uint64_t seed_of_its_own = 0x6465746563746f72;  // apart from the shard's other choices
  detector_.emplace(shard_.members.self(), shard_.options.detector,
                    std::min(incarnation, FailureDetector::incarnation_max / 2),
                    shard_.options.seed ^ seed_of_its_own);
  follow_members(now);
  perform(now);
}

// At once where their number has changed, and else every second.
void Detection::follow_members(Now now) {
  const std::map<NodeId, Member>& members = shard_.members.all();
  const bool same_number = detector_->members() == std::min(members.size(), FailureDetector::members_max);
  if (same_number && now.tick_us < followed_us_ + follow_interval_us) return;
  followed_us_ = now.tick_us;
  const std::vector<NodeId> others = detector_->others();
  for (const NodeId& node : others) {
    if (!members.contains(node)) detector_->remove(node);
  }
  for (const auto& [node, member] : members) detector_->add(now.tick_us, node);
}

void Detection::tick(Now now) {
  if (!detector_) return;
  follow_members(now);
  detector_->tick(now.tick_us);
  perform(now);
}

void Detection::receive(Now now, const NodeId& from, const peer::Detection& message) {
  if (!detector_) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  follow_members(now);
  detector_->receive(now.tick_us, from, message);
  perform(now);
}

void Detection::link(Now now, const NodeId& peer, bool up) {
  if (!detector_) return;
  follow_members(now);
  up ? detector_->connected(now.tick_us, peer) : detector_->disconnected(now.tick_us, peer);
  perform(now);
}

void Detection::learn(Now now, const Verdict& verdict) {
  shard_.members.set_verdict(verdict);
  if (shard_.members.verdict(verdict.node).health == Health::dead)
    coordinator_.give_up(now, verdict.node, "dead");
}

void Detection::perform(Now now) {
  for (FailureDetector::Send& send : detector_->take_sends())
    *shard_.outbox.to(send.to).mutable_detection() = std::move(send.message);
  for (const Verdict& verdict : detector_->take_verdicts()) {
    learn(now, verdict);
    shard_.outbox.verdict(verdict);
  }
  const DetectorStats& counted = detector_->stats();
  CoreStats& stats = shard_.stats;
  stats.probes = counted.probes;
  stats.probes_failed = counted.probes_failed;
  stats.indirect_probes = counted.indirect_probes;
  stats.suspicions = counted.suspicions;
  stats.refutations = counted.refutations;
  stats.deaths = counted.deaths;
}

}  // namespace covey
