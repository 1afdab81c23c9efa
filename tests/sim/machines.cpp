// What happens to machines: starts, crashes, disks and clocks.
#include <algorithm>
#include <utility>

#include "replication/bugs.h"
#include "replication/partition.h"
#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {

namespace {
constexpr uint64_t restart_us = 200'000;  // of a process that ended by itself

bool has_ended(const Machine& machine) {
  return std::any_of(machine.shards.begin(), machine.shards.end(),
                     [](const ShardState& shard) { return shard.disk->has_ended(); });
}
}  // namespace

Machine& World::machine(const std::string& name) {
  for (Machine& machine : machines_) {
    if (machine.id.name == name) return machine;
  }
  throw ScenarioError("there is no node '" + name + "'");
}

CoreOptions World::core_options(const Machine& machine, uint32_t shard) {
  return {.self = members_[machine.index],
          .partitions = setup_.partitions,
          .replicas = setup_.replicas,
          .shard = shard,
          .shards = setup_.shards[machine.index],
          .wait_for_durable = setup_.durability == Durability::sync,
          .seed = random_.next(),
          .gossip_interval_us = setup_.gossip_interval_us,
          .siblings_max = setup_.siblings_max,
          .log_entries_max = setup_.log_entries_max,
          .message_bytes_max = setup_.message_bytes_max,
          .stand_in_bytes_max = setup_.stand_in_bytes_max,
          .transfer_bytes_per_second = setup_.transfer_bytes_per_second,
          .filled_beside_max = setup_.filled_beside_max,
          .feed = machine.shards[shard].columns->feed()};
}

void World::start(Machine& machine) {
  if (machine.up || !in_cluster(machine)) return;
  DirectoryRecord& record = machine.record;
  uint32_t shards = setup_.shards[machine.index];
  record.incarnation += 1;
  uint64_t new_life = random_.next();
  uint64_t fallback = random_.next();
  if (record.lives.empty()) record.lives.assign(shards, 0);
  if (machine.seems_untouched && !others_know_its_past(machine)) record.clean = false;
  machine.seems_untouched &= record.clean;
  machine.up = true;
  machine.paused = false;
  ++machine.run;
  for (uint32_t i = 0; i < shards; ++i) {
    ShardState& shard = machine.shards[i];
    // A start before this one may have failed, and its store with it.
    if (shard.disk->has_ended()) (void)shard.disk->crash(true, random_);
    shard.watched = std::make_unique<WatchedStore>(shard.disk->store());
    shard.core = std::make_unique<Core>(core_options(machine, i), *shard.watched);
    bool goes_on = record.clean || (bug(Bug::reuse_dot_after_crash) && !record.fresh);
    Identity identity{.life = goes_on ? record.lives[i] : new_life,
                      .fallback_life = fallback,
                      .incarnation = record.incarnation,
                      .clean = goes_on,
                      .fresh = record.fresh,
                      .restored = record.restored};
    std::vector<Member> others;
    for (const Member& member : members_) {
      const Machine& other = this->machine(member.node.name);
      if (other.index != machine.index && in_cluster(other)) others.push_back(member);
    }
    auto started = shard.core->start(now(machine), identity, others);
    if (!started) {
      note(machine.id.name + " does not start: " + started.error().message);
      totals.add("starts refused by the disk");
      take_down(machine);
      return;
    }
    shard.columns->begin(*shard.core, now(machine));
    shard.watched->take_changes();
    shard.log_cuts = 0;
    shard.incarnations.clear();
  }
  // A server that has taken note of a restored directory syncs that before anything else
  // (DataDirectory::noted).
  if (record.restored) {
    for (ShardState& shard : machine.shards) shard.disk->sync_to(shard.disk->written());
    if (has_ended(machine)) {
      end_by_itself(machine);
      return;
    }
  }
  record.clean = false;
  record.fresh = false;
  record.restored = false;
  look_again(machine);
  for (uint32_t i = 0; i < shards; ++i) {
    ShardState& shard = machine.shards[i];
    record.lives[i] = shard.core->life();
    for (const char* table : {"default", "latest"}) {
      bool known = false;
      for (const Table& defined : shard.core->tables()) known |= defined.name == table;
      if (known) continue;
      // A disk that fails here is met again by the first write.
      (void)shard.core->put_table(now(machine), {table, "{}", oracle_.conflicts(table)}).ok();
    }
    after_input(machine, shard);
  }
  note(machine.id.name + " starts");
  schedule_tick(machine, random_.between(1, 10'000));
  for (Machine& peer : machines_) {
    if (peer.index != machine.index && peer.up) connect(machine.index, peer.index);
  }
}

void World::take_down(Machine& machine) {
  machine.up = false;
  machine.ends_us.reset();
  ++machine.run;
  machine.loses_disk = machine.rotten && !asks_for_its_past(machine);
  mend_tables(machine);
  machine.waiting.clear();
  for (size_t number : machine.operations) {
    operations_[number].gave_up = true;
    operations_[number].done = true;
    operations_[number].shown = "no answer";
  }
  machine.operations.clear();
  for (ShardState& shard : machine.shards) {
    if (shard.core) count_stats(*shard.core);
    shard.columns->end();
    shard.core.reset();
    shard.watched.reset();
    shard.sync_scheduled = false;
    shard.staged.clear();
    shard.fed = shard.pass_scheduled = false;
  }
  for (Machine& peer : machines_) {
    if (peer.index != machine.index) disconnect(machine.index, peer.index);
  }
}

// The machine ended: what is behind `kept` on its disk is gone.
void World::end_pending(Machine& machine, ShardState& shard, Lsn kept) {
  for (const auto& pending : shard.pending) {
    Event& event = oracle_.event(pending.event);
    if (pending.lsn <= kept)
      oracle_.learned(machine.index, event, true);
    else
      oracle_.forgotten(machine.index, event);
  }
  shard.pending.clear();
}

void World::crash(Machine& machine, bool keeps_some) {
  if (!machine.up) return;
  totals.add("fault: crash");
  note(machine.id.name + " crashes");
  take_down(machine);
  for (ShardState& shard : machine.shards) {
    const Lsn written = shard.disk->written();
    const Lsn kept = shard.disk->crash(keeps_some, random_);
    if (written > kept) totals.add("fault: unsynced writes lost", written.value - kept.value);
    end_pending(machine, shard, kept);
  }
  if (std::exchange(machine.loses_disk, false)) lose_disk(machine);
}

void World::stop(Machine& machine) {
  if (!machine.up) return;
  for (ShardState& shard : machine.shards) shard.disk->sync_to(shard.disk->written());
  if (has_ended(machine)) {
    end_by_itself(machine);
    return;
  }
  totals.add("fault: orderly stop");
  note(machine.id.name + " stops in order");
  for (ShardState& shard : machine.shards) {
    machine.record.lives[static_cast<size_t>(&shard - machine.shards.data())] = shard.core->life();
  }
  take_down(machine);
  for (ShardState& shard : machine.shards) {
    end_pending(machine, shard, shard.disk->written());
    shard.disk->fail_next_sync(false, random_);
    shard.disk->close_in_order();
  }
  machine.record.clean = true;
  machine.seems_untouched = false;
  if (std::exchange(machine.loses_disk, false)) lose_disk(machine);
}

void World::pause(Machine& machine) {
  if (!machine.up || machine.paused) return;
  totals.add("fault: pause");
  note(machine.id.name + " pauses");
  machine.paused = true;
}

void World::resume(Machine& machine) {
  if (!machine.paused) return;
  note(machine.id.name + " goes on");
  machine.paused = false;
  for (size_t number : machine.operations) {
    operations_[number].deadline_us = std::max(operations_[number].deadline_us, now_us() + 1'000'000);
  }
  // All that came meanwhile is looked at now, in order.
  for (auto& action : std::exchange(machine.waiting, {})) queue_.after(0, std::move(action));
}

void World::wipe(Machine& machine) {
  if (asks_for_its_past(machine)) return;
  if (machine.up) crash(machine, false);
  if (machine.run > 0) {
    totals.add("fault: disk wiped");
    note(machine.id.name + " loses its disk");
  }
  lose_disk(machine);
}

void World::lose_disk(Machine& machine) {
  machine.shards.clear();
  machine.shards.resize(setup_.shards[machine.index]);
  for (ShardState& shard : machine.shards) {
    shard.disk = setup_.rocksdb ? make_rocks_disk(setup_.durability) : make_memory_disk(setup_.durability);
    shard.clocks.resize(setup_.partitions);
    shard.voids.resize(setup_.partitions);
    shard.minted.resize(setup_.partitions);
    const auto index = static_cast<uint32_t>(&shard - machine.shards.data());
    const uint64_t seed = setup_.seed * 1'000'003 + machine.index * 1009 + index * 101 + machine.run;
    shard.columns = std::make_unique<Columns>(seed, index, setup_.shards[machine.index], setup_.partitions);
  }
  machine.record = {};
  machine.seems_untouched = false;
  machine.stalled = machine.full = machine.rotten = false;
  machine.history = DiskHistory::wiped;
  if (machine.said_farewell) machine.gone = true;  // with an empty disk it would join anew
}

void World::back_up(Machine& machine) {
  // An empty disk, put back, would be another way to join anew.
  if (machine.shards.empty() || machine.rotten || machine.history == DiskHistory::wiped) return;
  Machine::Backup backup;
  for (ShardState& shard : machine.shards) backup.disks.push_back(shard.disk->clone());
  backup.record = machine.record;
  machine.backup = std::move(backup);
  note(machine.id.name + " is backed up");
}

// A directory that seems untouched is told from a true one by the dots that others have of its past. What no
// other disk has of it nobody can know of: then the directory has to say that it was restored.
bool World::others_know_its_past(const Machine& machine) {
  // A disk that was put in since its node's last start has not been looked at: it may know nothing.
  NodeMask others = 0;
  for (const Machine& other : machines_) {
    bool known = other.index != machine.index && other.history == DiskHistory::kept;
    if (known) others |= NodeMask{1} << other.index;
  }
  for (uint32_t p = 0; p < setup_.partitions; ++p) {
    size_t index = p % machine.shards.size();
    auto bytes = machine.shards[index].disk->store().get(Column::partitions, partition_key(PartitionId{p}));
    require(bytes.ok(), "a store can't be read");
    Actor life = make_actor(machine.id.name, machine.record.lives[index]);
    uint64_t minted = 0;
    if (*bytes) {
      auto record = decode_partition(PartitionId{p}, **bytes);
      require(record.has_value(), "a stored partition record can't be decoded");
      minted = record->clock.highest(life);
      if (record->minted_actor == life) minted = std::max(minted, record->minted);
    }
    if (!oracle_.others_know(others, PartitionId{p}, life, minted)) return false;
  }
  return true;
}

// Whether a node with an older directory is still asking the others: what they have must not go meanwhile.
bool World::asks_for_its_past(const Machine& except) const {
  return std::any_of(machines_.begin(), machines_.end(), [&](const Machine& machine) {
    if (machine.index == except.index || !machine.up || !machine.seems_untouched) return false;
    return std::any_of(machine.shards.begin(), machine.shards.end(),
                       [](const ShardState& shard) { return shard.core->unconfirmed(); });
  });
}

void World::restore(Machine& machine, bool noticed) {
  if (!machine.backup || asks_for_its_past(machine)) return;
  if (machine.up) crash(machine, false);
  totals.add(noticed ? "fault: disk rolled back" : "fault: disk rolled back, unnoticed");
  note(machine.id.name + " gets an older disk");
  for (size_t i = 0; i < machine.shards.size(); ++i) {
    machine.shards[i].disk = machine.backup->disks[i]->clone();
    machine.shards[i].disk->sync_to(machine.shards[i].disk->written());
    machine.shards[i].disk->set_full(machine.full);
    machine.shards[i].columns->go_back();
  }
  machine.record = machine.backup->record;
  if (noticed) {
    machine.record.clean = false;
    machine.record.restored = true;
  }
  machine.seems_untouched = machine.record.clean;
  // An older disk in place of a wiped one is still a lost disk.
  machine.history = DiskHistory::rolled_back;
}

void World::set_stalled(Machine& machine, bool stalled) {
  if (machine.stalled == stalled) return;
  if (stalled) totals.add("fault: disk stalls");
  note(machine.id.name + (stalled ? " disk stalls" : " disk goes on"));
  machine.stalled = stalled;
  if (stalled || !machine.up) return;
  for (ShardState& shard : machine.shards) schedule_sync(machine, shard);
}

void World::set_full(Machine& machine, bool full) {
  if (machine.full == full) return;
  if (full) totals.add("fault: disk full");
  note(machine.id.name + (full ? " disk is full" : " disk has space again"));
  machine.full = full;
  for (ShardState& shard : machine.shards) {
    shard.disk->set_full(full);
    if (!machine.up) continue;
    when_running(machine, [this, &machine, &shard, full] {
      input(machine, shard, [full](Core& core, Now) { core.refuse_writes(full); });
    });
  }
}

void World::fail_next_write(Machine& machine) {
  totals.add("fault: write fails");
  note(machine.id.name + " disk: the next write fails");
  machine.shards[random_.below(machine.shards.size())].disk->fail_next_write(true);
}

void World::fail_next_sync(Machine& machine) {
  if (!machine.up) return;
  totals.add("fault: fsync fails");
  note(machine.id.name + " disk: the next fsync fails");
  machine.shards[random_.below(machine.shards.size())].disk->fail_next_sync(true, random_);
}

// Noticed damage makes room for a fresh start, as the server does by setting the directory aside.
void World::rot(Machine& machine) {
  if (!setup_.rocksdb || asks_for_its_past(machine)) return;
  totals.add("fault: a bit flips");
  if (machine.up) take_down(machine);
  bool noticed = std::exchange(machine.loses_disk, false);
  for (ShardState& shard : machine.shards) {
    const auto kept = shard.disk->rot(random_);
    noticed |= !kept;
    end_pending(machine, shard, kept.value_or(Lsn{0}));
  }
  note(machine.id.name +
       (noticed ? " dies and finds its disk damaged" : " dies; a bit flips where it does not matter"));
  if (!noticed) return;
  totals.add("sometimes: damage of a disk was noticed");
  wipe(machine);
}

// The process ends, as its store cannot go on; somebody starts it again.
void World::end_by_itself(Machine& machine) {
  note(machine.id.name + " ends: its store cannot go on");
  totals.add("sometimes: a store could not go on");
  crash(machine, true);
  queue_.after(restart_us, [this, &machine, run = machine.run] {
    if (machine.run == run) start(machine);
  });
}

void World::set_slow(Machine& machine, uint64_t delay_us) {
  if (delay_us > 0) totals.add("fault: slow node");
  machine.slow_us = delay_us;
}

void World::step_clock(Machine& machine, int64_t step_ms) {
  totals.add("fault: clock steps");
  note(machine.id.name + " clock steps by " + std::to_string(step_ms) + " ms");
  machine.wall_offset_ms += step_ms;
}

void World::drift_clock(Machine& machine, int64_t rate_ppm) {
  totals.add("fault: clock drifts");
  machine.wall_rate_ppm = rate_ppm;
}

void World::freeze_clock(Machine& machine) {
  totals.add("fault: clock freezes");
  machine.wall_frozen_ms = now(machine).wall_ms;
}

void World::set_clock_right(Machine& machine) {
  machine.wall_offset_ms = 0;
  machine.wall_rate_ppm = 0;
  machine.wall_frozen_ms.reset();
}

}  // namespace covey::sim
