// Damage that a node meets while it runs: as the server does (Node::may_be_set_aside), it goes on until
// others have all that is on its disk, and then goes on with an empty one.
#include <algorithm>

#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

constexpr uint64_t look_at_damage_us = 250'000;
constexpr uint64_t drain_look_us = 50'000;
constexpr uint64_t drain_us = 5'000'000;
constexpr uint64_t again_us = 1'000'000;  // most that opening a new directory takes

}  // namespace

void World::rot_table(Machine& machine) {
  if (!machine.up || machine.rotten) return;
  ShardState& shard = machine.shards[random_.below(machine.shards.size())];
  machine.rotten = setup_.rocksdb ? shard.disk->rot_table(random_) : shard.watched->damage(random_);
  if (!machine.rotten) return;
  totals.add("fault: a table is damaged");
  note(machine.id.name + " has a damaged table");
}

void World::mend_tables(Machine& machine) {
  if (!machine.rotten) return;
  for (ShardState& shard : machine.shards) {
    shard.disk->mend();
    if (shard.watched) shard.watched->mend();
  }
  machine.rotten = false;
  machine.damage.reset();
}

std::vector<std::map<PartitionId, Clock>> World::clocks_of(const Machine& machine) const {
  std::vector<std::map<PartitionId, Clock>> clocks;
  for (const ShardState& shard : machine.shards) {
    auto& of_shard = clocks.emplace_back();
    for (const PartitionView& view : shard.core->partitions(now(machine)))
      if (!view.clock.empty()) of_shard.emplace(view.partition, view.clock);
  }
  return clocks;
}

bool World::held_elsewhere(const Machine& machine,
                           const std::vector<std::map<PartitionId, Clock>>& clocks) const {
  for (size_t i = 0; i < clocks.size(); ++i) {
    for (const auto& [partition, clock] : clocks[i])
      if (!machine.shards[i].core->held_elsewhere(partition, clock)) return false;
  }
  return true;
}

void World::meet_damage(Machine& machine) {
  totals.add("sometimes: damage was met while a node ran");
  note(machine.id.name + " meets the damage");
  machine.damage = Machine::Damage{clocks_of(machine), {}};
  if (setup_.replicas > 1) look_at_damage(machine);
}

void World::look_at_damage(Machine& machine) {
  const bool drains = machine.damage->drains_until_us.has_value();
  queue_.after(drains ? drain_look_us : look_at_damage_us, [this, &machine, run = machine.run] {
    if (machine.run != run || !machine.damage) return;
    auto& until = machine.damage->drains_until_us;
    if (!machine.paused && !until && held_elsewhere(machine, machine.damage->at_meeting)) {
      until = now_us() + drain_us;
    } else if (!machine.paused && until) {
      const bool ends = now_us() >= *until || held_elsewhere(machine, clocks_of(machine));
      if (ends && !asks_for_its_past(machine)) return set_aside(machine);
    }
    look_at_damage(machine);
  });
}

void World::set_aside(Machine& machine) {
  totals.add("sometimes: a damaged disk was set aside");
  note(machine.id.name + " sets its damaged disk aside");
  for (const auto& of_shard : machine.damage->at_meeting) {
    for (const auto& [partition, clock] : of_shard) oracle_.set_aside(machine.index, partition, clock);
  }
  crash(machine, true);
  lose_disk(machine);
  queue_.after(random_.between(1, again_us), [this, &machine, run = machine.run] {
    if (machine.run == run) start(machine);
  });
}

// What is on no other disk, or where nobody else is ready, keeps a damaged disk for ever. Then somebody
// replaces it.
bool World::give_up_damaged() {
  bool replaced = false;
  for (Machine& machine : machines_) {
    if (!machine.damage) continue;
    bool must_end = setup_.replicas > 1;
    for (const auto& of_shard : machine.damage->at_meeting) {
      for (const auto& [partition, clock] : of_shard) {
        must_end &= oracle_.held_by_others(machine.index, partition, clock);
        must_end &=
            std::any_of(machines_.begin(), machines_.end(), [&, partition = partition](const Machine& other) {
              if (other.index == machine.index || !other.up || other.rotten) return false;
              const ShardState& shard = other.shards[partition.value % other.shards.size()];
              const PartitionView view = shard.core->partition(now(other), partition);
              return view.owned && view.ready;
            });
      }
    }
    require(!must_end, machine.id.name + " keeps a damaged disk though others have all that is on it");
    totals.add("sometimes: a damaged disk was replaced by hand");
    crash(machine, true);
    lose_disk(machine);
    start(machine);
    replaced = true;
  }
  return replaced;
}

}  // namespace covey::sim
