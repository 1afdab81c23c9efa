// The liveness phase: all faults end, and within a bounded time all replicas are equal, quiet and without
// leftovers.
#include <algorithm>

#include "replication/peer.pb.h"
#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

constexpr uint64_t look_each_us = 250'000;
constexpr uint64_t settle_us = 3'000'000;  // what slow links and nodes still hold arrives first
constexpr uint64_t quiet_us = 3'000'000;
constexpr uint64_t judged_within_us = 60'000'000;  // who is alive and who is dead
// So long a damaged disk is kept for the others to take what is on it.
constexpr uint64_t damaged_kept_us = 60'000'000;

}  // namespace

void World::heal(Machine& machine) {
  resume(machine);
  set_stalled(machine, false);
  set_full(machine, false);
  for (ShardState& shard : machine.shards) {
    shard.disk->fail_next_write(false);
    shard.disk->fail_next_sync(false, random_);
  }
  machine.slow_us = 0;
  set_clock_right(machine);
}

void World::converge_group(std::vector<size_t> members, uint64_t limit_us) {
  note("faults end for a part of the nodes");
  const auto staying =
      std::find_if(machines_.begin(), machines_.end(), [&](const Machine& one) { return stays(one); });
  // Who has not joined or is gone has no part in it, and somebody has to take writes.
  std::erase_if(members, [&](size_t member) { return !in_cluster(machines_[member]); });
  if (std::none_of(members.begin(), members.end(), [&](size_t member) { return stays(machines_[member]); }))
    members.push_back(staying->index);
  apart_ = {members.begin(), members.end()};
  rules = {};
  sync_rules = {};
  auto in_group = [&](const Machine& machine) {
    return std::find(members.begin(), members.end(), machine.index) != members.end();
  };
  for (Machine& a : machines_) {
    for (Machine& b : machines_) {
      if (a.index == b.index) continue;
      if (in_group(a) != in_group(b)) cut(a, b, true);
      if (in_group(a) && in_group(b)) mend(a, b);
      if (in_group(a) && in_group(b)) link(a.index, b.index).slow_us = 0;
    }
  }
  for (size_t member : members) {
    heal(machines_[member]);
    mend_tables(machines_[member]);
  }
  for (size_t member : members) start(machines_[member]);
  for (size_t a : members) {
    for (size_t b : members) {
      if (a < b && !link(a, b).up) connect(a, b);
    }
  }
  uint64_t began_us = now_us();
  run_for(settle_us);
  std::optional<std::string> why = group_differs(members);
  while (why && now_us() - began_us < limit_us) {
    run_for(look_each_us);
    why = group_differs(members);
  }
  if (why)
    fail("a part of the nodes does not agree " + duration_text(limit_us) +
         " after its faults ended: " + *why);
  std::vector<bool> running(machines_.size(), false);
  for (size_t member : members) running[member] = true;
  why = misjudged(running);
  while (why && now_us() - began_us < judged_within_us) {
    run_for(look_each_us);
    why = misjudged(running);
  }
  if (why)
    fail("who is alive is not known " + duration_text(judged_within_us) + " after all faults ended: " + *why);
  totals.add("sometimes: a part of the nodes converged alone");
  if (setup_.members != 0)
    totals.add("sometimes: a part of the nodes converged alone while members come and go");
  note("a part of the nodes has converged");
}

// Whether those that run, and can reach each other, hold each other for alive and all others for dead.
std::optional<std::string> World::misjudged(const std::vector<bool>& running) {
  for (Machine& machine : machines_) {
    if (!running[machine.index] || !machine.up || !in_cluster(machine)) continue;
    for (const ShardState& shard : machine.shards) {
      for (const MemberView& view : shard.core->members(now(machine))) {
        const Machine& other = this->machine(view.member.node.name);
        if (!in_cluster(other) || view.member.standing == Standing::removed) continue;
        const bool runs = running[other.index];
        if (view.verdict.health == (runs ? Health::alive : Health::dead)) continue;
        return machine.id.name + " holds " + view.member.node.name + " for " +
               std::string(health_text(view.verdict.health));
      }
    }
  }
  return std::nullopt;
}

// The first partition on whose clock those of these nodes that the members decide to own it don't agree. One
// that owned it before goes on as if it did until it hears from the new owner, who may not be one of these.
std::optional<std::string> World::group_differs(const std::vector<size_t>& members) {
  for (uint32_t p = 0; p < setup_.partitions; ++p) {
    std::optional<PartitionView> first;
    const auto& owners = oracle_.owner_names(PartitionId{p});
    for (size_t member : members) {
      Machine& machine = machines_[member];
      if (!in_cluster(machine)) continue;  // it has left meanwhile
      if (!machine.up) return machine.id.name + " is down";
      ShardState& shard = machine.shards[p % machine.shards.size()];
      PartitionView view = shard.core->partition(now(machine), PartitionId{p});
      if (!view.kept || std::find(owners.begin(), owners.end(), machine.id) == owners.end()) continue;
      if (first && first->clock != view.clock) {
        return "clocks differ at " + machine.id.name + ", partition " + std::to_string(p);
      }
      if (!first) first = view;
    }
  }
  return std::nullopt;
}

void World::heal_everything() {
  apart_.clear();
  note("all faults end");
  rules = {};
  sync_rules = {};
  old_messages_.clear();
  for (Machine& machine : machines_) {
    heal(machine);
    if (machine.rotten && machine.up && !machine.damage) meet_damage(machine);  // as a compaction would
  }
  mend_all();
  for (Machine& machine : machines_) start(machine);
  decide_again();
  // Connections that fell silent, or were reset while a link was cut.
  for (Machine& a : machines_) {
    for (Machine& b : machines_) {
      const bool both_run = a.up && b.up;
      if (a.index < b.index && both_run && !link(a.index, b.index).up) connect(a.index, b.index);
    }
  }
}

void World::converge(uint64_t limit_us) {
  uint64_t began_us = now_us();
  run_for(settle_us);
  std::optional<std::string> why = "not looked at";
  while (now_us() - began_us < limit_us) {
    run_for(look_each_us);
    if (now_us() - began_us > damaged_kept_us && give_up_damaged()) run_for(settle_us);
    why = not_converged();
    if (!why) break;
  }
  if (why) fail("not converged " + duration_text(limit_us) + " after all faults ended: " + *why);
  totals.add("convergence, virtual milliseconds", (now_us() - began_us) / 1000);
  note("converged");
  check_final_state();

  // Nothing but digests flows between equal replicas, once what was on its way has arrived.
  run_for(settle_us);
  auto before = messages_by_kind_;
  run_for(quiet_us);
  std::set<int> idle = {peer::Envelope::kDigest, peer::Envelope::kHello, peer::Envelope::kWelcome,
                        peer::Envelope::kDetection};
  for (const auto& [kind, count] : messages_by_kind_) {
    if (idle.contains(std::stoi(kind)) || before[kind] == count) continue;
    fail("all replicas are equal and still send messages of kind " + kind + ": " +
         std::to_string(count - before[kind]) + " in " + duration_text(quiet_us));
  }
}

}  // namespace covey::sim
