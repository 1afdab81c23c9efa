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

size_t Scrub::add(PartitionId partition, const NodeId& with, bool started_here) {
  const size_t index = tasks_.size();
  tasks_.push_back({.check = {.partition = partition, .with = with}, .started_here = started_here});
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

bool Scrub::ended(const Task& task) {
  return task.check.state != State::waiting && task.check.state != State::running;
}

void Scrub::forget_ended() {
  std::erase_if(tasks_, ended);
  index_.clear();
  waiting_.clear();
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const Task& task = tasks_[i];
    index_[{task.check.partition, task.check.with}] = i;
    if (task.check.state == State::waiting) waiting_.insert({task.not_before_us, i});
  }
}

// In a round over all nodes those that were told first may have asked back here already.
bool Scrub::start(const std::set<NodeId>& except) {
  const auto is_open = [](const Task& task) { return task.started_here && !ended(task); };
  if (std::any_of(tasks_.begin(), tasks_.end(), is_open)) return false;
  forget_ended();
  for (const auto& [id, partition] : shard_.replica.partitions()) {
    if (!shard_.keeps(id)) continue;
    bool alone = true;
    for (const NodeId& keeper : shard_.members.keepers(id)) {
      if (shard_.members.is_self(keeper) || except.contains(keeper)) continue;
      alone = false;
      if (!index_.contains({id, keeper})) wait(add(id, keeper, true), 0);
    }
    if (alone) wait(add(id, {}, true), 0);
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
    task.started_here = false;
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
  const Repair::Kind kind{.keep = true, .ask_back = task.started_here && !alone, .check = true};
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
