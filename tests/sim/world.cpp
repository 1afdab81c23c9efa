#include "tests/sim/world.h"

#include "replication/hash.h"
#include "replication/peer.pb.h"
#include "tests/sim/failure.h"

namespace covey::sim {

namespace {

constexpr uint64_t tick_us = 10'000;
constexpr uint64_t check_everything_each_steps = 400;
constexpr uint64_t check_columns_each_steps = 2'000;
constexpr uint64_t answer_slack_us = 500'000;

std::vector<NodeId> node_names(uint32_t count) {
  std::vector<NodeId> names;
  for (uint32_t i = 1; i <= count; ++i) names.push_back({"n" + std::to_string(i)});
  return names;
}

}  // namespace

World::World(const Setup& setup, bool traced)
    : setup_(setup),
      traced_(traced),
      random_(setup.seed),
      oracle_(setup, node_names(setup.nodes())),
      token_key_(token_key("simulated cluster")) {
  oracle_.table("default", Conflicts::siblings);
  oracle_.table("latest", Conflicts::last_write_wins);
  machines_.resize(setup.nodes());
  links_.resize(machines_.size() * machines_.size());
  for (size_t i = 0; i < machines_.size(); ++i) {
    machines_[i].index = i;
    machines_[i].id = {"n" + std::to_string(i + 1)};
    members_.push_back({.node = machines_[i].id,
                        .peer_address = machines_[i].id.name + ":1",
                        .http_address = machines_[i].id.name + ":2",
                        .zone = "",
                        .weight = 1.0});
  }
  for (Machine& machine : machines_) machine.outside = machine.index >= setup.first_members();
  if (setup.first_members() < setup.nodes()) members_changed();
  for (Machine& machine : machines_) wipe(machine);
  for (Machine& machine : machines_) start(machine);
}

World::~World() = default;

void World::note(const std::string& line) {
  if (!traced_) return;
  char time[32];
  std::snprintf(time, sizeof time, "%10.3f  ", static_cast<double>(now_us()) / 1e6);
  trace_.push_back(time + line);
}

void World::mix(uint64_t value) { digest_ = hash_pair(digest_, value); }

void World::run_for(uint64_t duration_us) {
  uint64_t end = now_us() + duration_us;
  while (!queue_.empty() && queue_.next_us() <= end) queue_.run_next();
  queue_.advance_to(end);
}

bool World::run_until(const std::function<bool()>& done, uint64_t limit_us) {
  uint64_t end = now_us() + limit_us;
  while (!done()) {
    if (queue_.empty() || queue_.next_us() > end) {
      queue_.advance_to(end);
      return done();
    }
    queue_.run_next();
  }
  return true;
}

Now World::now(const Machine& machine) const {
  uint64_t true_ms = now_us() / 1000;
  if (machine.wall_frozen_ms) return {now_us(), *machine.wall_frozen_ms};
  auto wall = static_cast<int64_t>(oracle_.base_wall_ms() + true_ms) + machine.wall_offset_ms +
              static_cast<int64_t>(true_ms) * machine.wall_rate_ppm / 1'000'000;
  return {now_us(), static_cast<uint64_t>(std::max<int64_t>(wall, 1))};
}

void World::when_running(Machine& machine, std::function<void()> action) {
  if (!machine.up) return;
  if (!machine.paused) {
    action();
    return;
  }
  machine.waiting.push_back([this, &machine, run = machine.run, action = std::move(action)] {
    if (machine.run == run) when_running(machine, action);
  });
}

// Performs what the core wants done; the oracle sees what changed before anybody is told of it.
void World::after_input(Machine& machine, ShardState& shard) {
  Output output = shard.core->drain();
  shard.fed = false;
  oracle_.saw_wall(now(machine).wall_ms);
  observe(machine, shard);
  shard.staged.clear();
  if (shard.disk->synced() < shard.disk->written()) schedule_sync(machine, shard);
  if (shard.disk->has_ended()) {
    queue_.after(0, [this, &machine, run = machine.run] {
      if (machine.run == run) end_by_itself(machine);
    });
  }
  if (machine.rotten && !machine.damage && (shard.disk->has_met_damage() || shard.watched->has_met_damage()))
    meet_damage(machine);
  for (auto& alarm : output.alarms) {
    totals.add("alarms");
    note(machine.id.name + " alarm: " + alarm);
  }
  std::vector<Output::Send> unsent;
  for (auto& one : output.sends) {
    if (!send(machine, one)) unsent.push_back(std::move(one));
  }
  for (auto& one : output.answers) answer(machine, one);
  for (const Verdict& verdict : output.verdicts) {
    for (ShardState& other : machine.shards) {
      if (&other == &shard || !other.core) continue;
      input_of_pass(machine, other, [&](Core& core, Now time) { core.learn(time, verdict); });
    }
  }
  if (!unsent.empty()) {
    input_at_once(machine, shard, [&](Core& core, Now time) {
      for (const auto& one : unsent) core.unsent(time, one.to, *one.message);
    });
  }
  if (!shard.disk->has_ended() && !machine.rotten && machine.up)
    shard.columns->step(shard.disk->store(), now(machine));
  if (++steps_ % check_everything_each_steps == 0) check_everything();
  if (steps_ % check_columns_each_steps == 0) check_columns();
}

void World::stage(Machine& machine, ShardState& shard, const TableKey& key,
                  const ClientOperation* operation) {
  if (shard.staged.contains(key)) {
    totals.add("sometimes: a write waited for one of its key");
    after_input(machine, shard);
  }
  shard.staged[key] = {operation, now(machine).wall_ms};
  if (shard.staged.size() > 1) totals.add("sometimes: several writes were stored together");
}

void World::end_pass_later(Machine& machine, ShardState& shard) {
  // One owner keeps no log that would tell the keys of deletes.
  if (setup_.pass_us == 0 || setup_.replicas == 1) return after_input(machine, shard);
  if (std::exchange(shard.pass_scheduled, true)) return;
  queue_.after(setup_.pass_us, [this, &machine, &shard, run = machine.run] {
    if (machine.run != run) return;
    when_running(machine, [this, &machine, &shard] {
      shard.pass_scheduled = false;
      if (shard.fed) after_input(machine, shard);
    });
  });
}

void World::schedule_tick(Machine& machine, uint64_t delay_us) {
  queue_.after(delay_us, [this, &machine, run = machine.run] {
    if (machine.run != run) return;
    if (!machine.paused) {
      for (ShardState& shard : machine.shards) {
        input(machine, shard, [](Core& core, Now time) { core.tick(time); });
      }
      check_deadlines(machine);
      look_at_departure(machine);
      look_whether_settled();
    }
    if (machine.run != run) return;
    schedule_tick(machine, tick_us);
  });
}

void World::check_deadlines(Machine& machine) {
  for (size_t number : machine.operations) {
    const ClientOperation& waiting = operations_[number];
    require(now_us() <= waiting.deadline_us + answer_slack_us,
            machine.id.name + " has not answered in time: operation " + std::to_string(number) + " on " +
                waiting.request.key);
  }
}

void World::schedule_sync(Machine& machine, ShardState& shard) {
  if (shard.sync_scheduled) return;
  shard.sync_scheduled = true;
  uint64_t delay = random_.between(sync_rules.delay_min_us, sync_rules.delay_max_us);
  if (setup_.durability == Durability::interval) delay += 100'000;
  if (setup_.durability == Durability::none) delay += 1'000'000;
  Lsn lsn = shard.disk->written();
  queue_.after(delay, [this, &machine, &shard, run = machine.run, lsn] {
    if (machine.run == run) finish_sync(machine, shard, lsn);
  });
}

void World::finish_sync(Machine& machine, ShardState& shard, Lsn lsn) {
  shard.sync_scheduled = false;
  if (machine.stalled) return;  // set_stalled schedules it again
  shard.disk->sync_to(lsn);
  while (!shard.pending.empty() && shard.pending.front().lsn <= shard.disk->synced()) {
    oracle_.learned(machine.index, oracle_.event(shard.pending.front().event), true);
    shard.pending.pop_front();
  }
  if (shard.disk->synced() < shard.disk->written()) schedule_sync(machine, shard);
  when_running(machine, [this, &machine, &shard] {
    input_of_pass(machine, shard, [](Core& core, Now time) { core.durable(time); });
  });
}

void World::finish() {
  for (Machine& machine : machines_) {
    for (ShardState& shard : machine.shards) {
      if (shard.core) count_stats(*shard.core);
    }
  }
  mix(now_us());
  mix(steps_);
}

}  // namespace covey::sim
