#include "replication/scrub.h"

#include <algorithm>

namespace covey {
namespace {

using State = CopyCheck::State;

constexpr uint32_t tries_max = 20;
constexpr uint64_t pause_us = 500'000;  // between two tries

bool is_open(State state) { return state == State::waiting || state == State::running; }

}  // namespace

bool Scrub::running() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [](const Task& task) { return is_open(task.check.state); });
}

std::vector<CopyCheck> Scrub::checks() const {
  std::vector<CopyCheck> out;
  for (const Task& task : tasks_) out.push_back(task.check);
  return out;
}

Scrub::Task* Scrub::find(PartitionId partition, const NodeId& with) {
  auto at = std::find_if(tasks_.begin(), tasks_.end(), [&](const Task& task) {
    return task.check.partition == partition && task.check.with == with;
  });
  return at == tasks_.end() ? nullptr : &*at;
}

bool Scrub::start(const std::set<NodeId>& except) {
  if (running()) return false;
  tasks_.clear();
  for (const auto& [id, partition] : shard_.replica.partitions()) {
    if (!shard_.keeps(id)) continue;
    const size_t before = tasks_.size();
    for (const NodeId& keeper : shard_.members.keepers(id)) {
      if (shard_.members.is_self(keeper) || except.contains(keeper)) continue;
      tasks_.push_back({.check = {.partition = id, .with = keeper}, .ask_back = true});
    }
    if (tasks_.size() == before) tasks_.push_back({.check = {.partition = id}});
  }
  any_open_ = true;
  return true;
}

void Scrub::tick(Now now) {
  take_results(now);
  begin_next(now);
}

void Scrub::take_results(Now now) {
  for (CopyCheck& check : repair_.take_checked()) {
    Task* task = find(check.partition, check.with);
    if (task == nullptr) continue;
    task->check = std::move(check);
    if (task->check.state != State::failed || ++task->tries >= tries_max) continue;
    task->check.state = State::waiting;
    any_open_ = true;
    task->not_before_us = now.tick_us + pause_us;
  }
  for (const auto& [partition, peer] : repair_.take_asked_back()) {
    if (!shard_.keeps(partition) || !shard_.members.keeps(peer, partition)) continue;
    Task* task = find(partition, peer);
    if (task == nullptr) task = &tasks_.emplace_back();
    if (task->check.state == State::running) continue;
    *task = {.check = {.partition = partition, .with = peer}};
    any_open_ = true;
  }
}

void Scrub::begin_next(Now now) {
  if (!any_open_) return;
  any_open_ = false;
  for (Task& task : tasks_) {
    CopyCheck& check = task.check;
    if (check.state != State::waiting) continue;
    any_open_ = true;
    if (!repair_.has_room()) return;
    if (now.tick_us < task.not_before_us) continue;
    const bool alone = check.with.name.empty();
    const bool kept =
        shard_.keeps(check.partition) && (alone || shard_.members.keeps(check.with, check.partition));
    const bool reachable = alone || shard_.members.alive(now, check.with);
    if (!kept || !reachable) {
      check.reason = kept ? check.with.name + " does not answer" : "the partition moves to other nodes";
      if (!kept || ++task.tries >= tries_max) check.state = State::failed;
      task.not_before_us = now.tick_us + pause_us;
      continue;
    }
    const Repair::Kind kind{.keep = true, .ask_back = task.ask_back, .check = true};
    if (!repair_.open(now, check.with, shard_.replica.at(check.partition), kind)) continue;
    check.state = State::running;
    check.reason.clear();
  }
}

}  // namespace covey
