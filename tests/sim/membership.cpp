// Members come and go; what else an operator decides.
#include <algorithm>

#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

constexpr uint64_t farewell_us = 1'000'000;  // as the server: time for the others to hear that it is gone
constexpr uint64_t look_at_members_us = 50'000;

}  // namespace

void World::members_changed() {
  std::vector<Member> members;
  for (const Machine& machine : machines_) {
    if (stays(machine)) members.push_back(members_[machine.index]);
  }
  oracle_.members_changed(members);
}

Machine& World::serving(const std::string& name) {
  Machine& asked = machine(name);
  // One that leaves is no stand-in: a part of the nodes need not have an owner that would take its requests.
  const bool apart = !apart_.empty();
  if (apart ? stays(asked) : in_cluster(asked)) return asked;
  auto other = std::find_if(machines_.begin(), machines_.end(), [&](const Machine& one) {
    return stays(one) && (!apart || apart_.contains(one.index));
  });
  return other == machines_.end() ? asked : *other;
}

bool World::may_go(const Machine& machine) const {
  const auto staying =
      std::count_if(machines_.begin(), machines_.end(), [&](const Machine& one) { return stays(one); });
  return stays(machine) && staying > setup_.replicas;
}

// An operator tells the first node that runs and knows the one concerned.
bool World::decide(const NodeId& node, Standing standing) {
  for (Machine& machine : machines_) {
    if (!machine.up || machine.paused || machine.full || !in_cluster(machine) || machine.id == node) continue;
    Member decision;
    for (const MemberView& view : machine.shards[0].core->members(now(machine))) {
      if (view.member.node == node) decision = view.member;
    }
    if (decision.node != node) continue;
    decision.standing = standing;
    if (decide_at(machine, decision)) return true;
  }
  return false;
}

// All shards of the machine; where a disk fails, the others hear of it from their peers. False: no shard took
// it.
bool World::decide_at(Machine& machine, Member decision) {
  decision.decided = {};
  for (ShardState& shard : machine.shards) {
    input(machine, shard, [&](Core& core, Now time) {
      if (auto decided = core.decide(time, decision)) decision = *decided;
    });
  }
  return decision.decided != Hlc{};
}

void World::decide_again() {
  for (const Machine& machine : machines_) {
    if (machine.outside || machine.standing == Standing::member) continue;
    const bool ends = machine.gone || machine.said_farewell;  // it may end before it hears that it is to stay
    (void)decide(machine.id, ends ? Standing::removed : machine.standing);
  }
}

void World::join(Machine& machine) {
  if (!machine.outside) return;
  totals.add("membership: a node joins");
  note(machine.id.name + " joins");
  machine.outside = false;
  members_changed();
  start(machine);
}

void World::leave(Machine& machine) {
  if (!may_go(machine) || !decide(machine.id, Standing::leaving)) return;
  totals.add("membership: a node leaves");
  note(machine.id.name + " is to leave");
  machine.standing = Standing::leaving;
  members_changed();
}

void World::remove(Machine& machine) {
  if (!may_go(machine) || asks_for_its_past(machine)) return;
  if (!decide(machine.id, Standing::removed)) return;
  totals.add("membership: a node is removed");
  note(machine.id.name + " is removed");
  machine.standing = Standing::removed;
  wipe(machine);
  machine.gone = true;
  members_changed();
  const auto nothing_is_left = [](const Event&) { return false; };
  oracle_.disk_lost(machine.index, true, nothing_is_left);
}

void World::compare_copies(Machine& machine) {
  if (!machine.up || machine.paused || !in_cluster(machine)) return;
  note(machine.id.name + " compares its copies with the others'");
  for (ShardState& shard : machine.shards) {
    input(machine, shard, [](Core& core, Now) { (void)core.check_copies({}); });
  }
}

// As the server: one that has handed everything over says so and ends.
void World::look_at_departure(Machine& machine) {
  if (!machine.up || machine.standing != Standing::leaving) return;
  const bool departed = std::all_of(machine.shards.begin(), machine.shards.end(),
                                    [](const ShardState& shard) { return shard.core->departed(); });
  if (!departed) machine.ends_us.reset();
  if (!departed) return;
  if (machine.shards[0].core->standing() == Standing::leaving) {
    Member self;
    for (const MemberView& view : machine.shards[0].core->members(now(machine))) {
      if (view.state == MemberState::self) self = view.member;
    }
    self.standing = Standing::removed;
    (void)decide_at(machine, self);  // unless its disk fails: then it tries again
    note(machine.id.name + " has handed everything over");
    machine.said_farewell = true;
  }
  if (!machine.ends_us) machine.ends_us = now_us() + farewell_us;
  const bool known = std::any_of(machine.shards.begin(), machine.shards.end(),
                                 [](const ShardState& shard) { return shard.core->removal_known(); });
  if (!known || now_us() < *machine.ends_us) return;
  totals.add("membership: a node has left");
  note(machine.id.name + " has left");
  take_down(machine);
  machine.gone = true;
}

// Whether a node sees those as owners that the members decide, in whatever order.
bool World::are_owners(const PartitionView& view) const {
  const auto& wanted = oracle_.owner_names(view.partition);
  return std::is_permutation(view.owners.begin(), view.owners.end(), wanted.begin(), wanted.end());
}

// Every member that is to stay runs, and all of them see the new owners, who are ready.
bool World::is_settled(PartitionId partition) {
  for (Machine& machine : machines_) {
    if (!in_cluster(machine) || machine.standing == Standing::removed) continue;
    if (!machine.up || machine.paused) return false;
    const PartitionView view =
        machine.shards[partition.value % machine.shards.size()].core->partition(now(machine), partition);
    if (!are_owners(view) || (view.owned && !view.ready) || !view.filling.empty()) return false;
  }
  return true;
}

// A node that was down while a partition moved, or whose disk is of before, until it hears of it.
bool World::sees_old_owners(const Machine& machine, const Request& request) {
  const PartitionId partition = request.operation == Operation::scan
                                    ? request.partition
                                    : partition_of(request.table, request.key, setup_.partitions);
  const ShardState& shard = machine.shards[partition.value % machine.shards.size()];
  return !are_owners(shard.core->partition(now(machine), partition));
}

void World::look_whether_settled() {
  if (now_us() < settled_looked_us_ + look_at_members_us) return;
  settled_looked_us_ = now_us();
  for (uint32_t p = 0; p < setup_.partitions; ++p) {
    if (!oracle_.moves(PartitionId{p}) || !is_settled(PartitionId{p})) continue;
    oracle_.settled(PartitionId{p});
    totals.add("membership: a partition has moved");
  }
}

}  // namespace covey::sim
