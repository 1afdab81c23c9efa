#include "replication/scrub.h"

#include <algorithm>

namespace covey {
namespace {

using State = CopyCheck::State;

constexpr uint32_t tries_max = 20;
constexpr uint64_t pause_us = 500'000;  // between two tries

}  // namespace

std::vector<CopyCheck> Scrub::checks() const {
  std::vector<CopyCheck> out;
  for (const Task& task : tasks_) out.push_back(task.check);
  return out;
}

size_t Scrub::add(PartitionId partition, const NodeId& with, bool ask_back) {
  const size_t index = tasks_.size();
  tasks_.push_back({.check = {.partition = partition, .with = with}, .ask_back = ask_back});
  index_[{partition, with}] = index;
  return index;
}

void Scrub::wait(size_t index, uint64_t not_before_us) {
  Task& task = tasks_[index];
  waiting_.erase({task.not_before_us, index});
  task.check.state = State::waiting;
  task.not_before_us = not_before_us;
  waiting_.insert({not_before_us, index});
}

bool Scrub::start(const std::set<NodeId>& except) {
  if (running()) return false;
  tasks_.clear();
  index_.clear();
  for (const auto& [id, partition] : shard_.replica.partitions()) {
    if (!shard_.keeps(id)) continue;
    const size_t before = tasks_.size();
    for (const NodeId& keeper : shard_.members.keepers(id)) {
      if (shard_.members.is_self(keeper) || except.contains(keeper)) continue;
      wait(add(id, keeper, true), 0);
    }
    if (tasks_.size() == before) wait(add(id, {}, false), 0);
  }
  return true;
}

void Scrub::tick(Now now) {
  take_results(now);
  begin_next(now);
}

void Scrub::take_results(Now now) {
  for (CopyCheck& check : repair_.take_checked()) {
    auto found = index_.find({check.partition, check.with});
    if (found == index_.end()) continue;
    Task& task = tasks_[found->second];
    COVEY_ASSERT(task.check.state == State::running);
    --running_;
    task.check = std::move(check);
    if (task.check.state == State::failed && ++task.tries < tries_max)
      wait(found->second, now.tick_us + pause_us);
  }
  for (const auto& [partition, peer] : repair_.take_asked_back()) {
    if (!shard_.keeps(partition) || !shard_.members.keeps(peer, partition)) continue;
    auto found = index_.find({partition, peer});
    const size_t index = found == index_.end() ? add(partition, peer, false) : found->second;
    Task& task = tasks_[index];
    if (task.check.state == State::running) continue;
    task.check = {.partition = partition, .with = peer};
    task.ask_back = false;
    task.tries = 0;
    wait(index, 0);
  }
}

void Scrub::begin(Now now, size_t index) {
  Task& task = tasks_[index];
  CopyCheck& check = task.check;
  const bool alone = check.with.name.empty();
  const bool kept =
      shard_.keeps(check.partition) && (alone || shard_.members.keeps(check.with, check.partition));
  const bool reachable = alone || shard_.members.alive(now, check.with);
  if (!kept || !reachable) {
    check.reason = kept ? check.with.name + " does not answer" : "the partition moves to other nodes";
    if (kept && ++task.tries < tries_max) return wait(index, now.tick_us + pause_us);
    waiting_.erase({task.not_before_us, index});
    check.state = State::failed;
    return;
  }
  const Repair::Kind kind{.keep = true, .ask_back = task.ask_back, .check = true};
  if (!repair_.open(now, check.with, shard_.replica.at(check.partition), kind)) return;  // it waits on
  waiting_.erase({task.not_before_us, index});
  ++running_;
  check.state = State::running;
  check.reason.clear();
}

// Those that can't begin, since their partition is at it already, are few: a session at most for each of
// Repair::pulls_max, with a partition's other keepers.
void Scrub::begin_next(Now now) {
  for (auto at = waiting_.begin(); at != waiting_.end() && repair_.has_room();) {
    const auto [not_before_us, index] = *at;
    if (not_before_us > now.tick_us) return;
    ++at;
    begin(now, index);
  }
}

}  // namespace covey
