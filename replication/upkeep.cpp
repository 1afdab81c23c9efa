#include "replication/upkeep.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/typed.h"

namespace covey {
namespace {

constexpr uint64_t slow_interval_us = 1'000'000;
constexpr uint64_t ask_others_first_us = 1'000'000;  // for a dot that one log no longer has, before a repair
constexpr size_t collected_a_round = 5'000;
// A short log waits, so that its end goes as ranges of dots and not one by one.
constexpr uint64_t collected_together = 512;
constexpr uint64_t collected_after_us = 2'000'000;
constexpr size_t stripped_a_round = 1'000;
constexpr size_t expired_a_round = 100;
constexpr uint64_t clocks_told_after_us = 5'000'000;  // since the start, in which others tell theirs

}  // namespace

void Upkeep::tick(Now now) {
  if (repair_.take_ended()) open_repairs(now);
  if (now.tick_us < next_round_us_) return tidy(now);
  tidy_up_to(now, SIZE_MAX);  // what is left of the last round
  next_round_us_ = now.tick_us + shard_.options.gossip_interval_us;
  bool slow = now.tick_us >= next_slow_round_us_;
  if (slow) next_slow_round_us_ = now.tick_us + slow_interval_us;
  const bool expires = slow && may_expire(now);
  shard_.stand_in_bytes = 0;
  for (auto& [id, partition] : shard_.replica.partitions()) {
    if (shard_.stands_in(partition)) shard_.stand_in_bytes += partition.bytes;
    shard_.replica.observe(now, partition);
    if (shard_.writes_refused) continue;
    become_ready(partition);
    drop_if_handed_over(partition);
    repair_unlogged(now, partition);
    track_divergence(now, partition);
    if (!slow) continue;
    lives_.close_holes(now, partition);
    if (expires) expire(now, partition);
  }
  tidied_ = 0;
  tidy_next_ = {};
  tidy(now);
}

// As many partitions as the round's time has come for: all at once keep those waiting who write.
void Upkeep::tidy(Now now) {
  const size_t all = shard_.replica.partitions().size();
  const uint64_t round_us = shard_.options.gossip_interval_us;
  const uint64_t passed = now.tick_us + round_us - next_round_us_;
  const uint64_t due = passed * all / std::max<uint64_t>(1, round_us) + 1;
  tidy_up_to(now, std::min<uint64_t>(due, all));
}

void Upkeep::tidy_up_to(Now now, size_t due) {
  auto& partitions = shard_.replica.partitions();
  auto at = partitions.lower_bound(tidy_next_);
  for (; tidied_ < due && at != partitions.end(); ++tidied_, ++at) {
    tidy_next_ = PartitionId{at->first.value + 1};
    if (!shard_.writes_refused) tidy(now, at->second);
  }
}

void Upkeep::tidy(Now now, Partition& partition) {
  collect(now, partition);
  auto stripped = shard_.replica.strip_residual(now, partition, stripped_a_round);
  if (!stripped) shard_.store_failed(stripped.error());
  auto cut = shard_.replica.cut_log(partition, collected_a_round);
  if (!cut) shard_.store_failed(cut.error());
}

void Upkeep::go_on(Now now) {
  if (repair_.take_finished() && !shard_.writes_refused) open_repairs(now);
}

void Upkeep::open_repairs(Now now) {
  for (auto& [id, partition] : shard_.replica.partitions()) {
    if (!repair_.has_room()) return;
    repair_unlogged(now, partition);
  }
}

void Upkeep::told_unlogged(Now now, PartitionId id) {
  Partition* partition = shard_.replica.find(id);
  if (partition != nullptr && !shard_.writes_refused && repair_.has_room()) repair_unlogged(now, *partition);
}

void Upkeep::told(PartitionId id) {
  Partition* partition = shard_.replica.find(id);
  if (partition == nullptr) return;
  leave_if_moved(*partition);
  if (!shard_.writes_refused) become_ready(*partition);
}

void Upkeep::become_ready(Partition& partition) {
  if (partition.ready || !shard_.keeps(partition.id)) return;
  const std::vector<NodeId>& owners = shard_.members.owners(partition.id);
  // Owners that were never met may know more.
  if (owners.size() < shard_.options.replicas) return;
  // The others may know of owners that this node has not heard of: one that is ready vouches for who they
  // are. Where nobody is ready, everybody has to say so, and what others hold, restored perhaps, has to be
  // here.
  std::set<NodeId> sources(owners.begin(), owners.end());
  for (const auto& [node, seen] : partition.vouched) sources.insert(seen.begin(), seen.end());
  if (partition.vouched.empty()) {
    for (const auto& [node, member] : shard_.members.all()) {
      if (!shard_.members.is_self(node) && !partition.told.contains(node)) return;
      if (partition.stand_ins.contains(node)) sources.insert(node);
    }
  }
  for (const NodeId& source : sources) {
    if (shard_.members.is_self(source) || bug(Bug::ready_before_filled)) continue;
    if (!partition.synced_with.contains(source)) return;
  }
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  edit.set_ready(true);
  auto done = edit.commit();
  if (!done) shard_.store_failed(done.error());
  partition.forget_told();
  repair_.forget(partition);
  shard_.told_ready(partition);
}

void Upkeep::leave_moved() {
  for (auto& [id, partition] : shard_.replica.partitions()) leave_if_moved(partition);
}

void Upkeep::leave_if_moved(Partition& partition) {
  if (!partition.ready || shard_.keeps(partition.id)) return;
  // Until a target has told since this start it only seems to be ready.
  for (const NodeId& target : shard_.members.targets(partition.id)) {
    if (!partition.heard.contains(target)) return;
  }
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  edit.set_left();
  auto done = edit.commit();
  if (!done) shard_.store_failed(done.error());
  partition.ready = false;  // even if that is not stored
  partition.left = true;
  partition.heard.clear();
  shard_.told_ready(partition);
}

void Upkeep::collect(Now now, Partition& partition) {
  if (partition.log == 0 && partition.voids.empty()) {
    partition.log_since_us = 0;
    return;
  }
  if (partition.log_since_us == 0) partition.log_since_us = now.tick_us;
  if (partition.log < collected_together && now.tick_us < partition.log_since_us + collected_after_us) return;
  if (!shard_.keeps(partition.id) || repair_.keeps_what_either_holds(partition.id)) return;
  const std::vector<NodeId>& keepers = shard_.members.keepers(partition.id);
  if (keepers.size() < shard_.options.replicas) return;
  Clock known_to_all = partition.durable_clock;
  for (const NodeId& keeper : keepers) {
    if (shard_.members.is_self(keeper)) continue;
    auto copy = partition.copies.find(keeper);
    if (copy == partition.copies.end()) {
      if (bug(Bug::collect_log_too_early)) continue;
      return;
    }
    if (!bug(Bug::collect_log_too_early)) known_to_all.intersect(copy->second.durable_clock);
  }
  auto done = shard_.replica.collect_log(partition, known_to_all, collected_a_round);
  if (!done) shard_.store_failed(done.error());
  partition.log_since_us = now.tick_us;
}

void Upkeep::drop_if_handed_over(Partition& partition) {
  // A repair may have brought a context alone, without a dot that would be in the clock.
  const bool holds = !partition.clock.empty() || partition.residual > 0 || partition.ready || partition.left;
  if (shard_.keeps(partition.id) || !holds || !shard_.replica.durable(partition)) return;
  const std::vector<NodeId>& owners = shard_.members.owners(partition.id);
  if (owners.size() < shard_.options.replicas) return;
  auto has_all = [&](const NodeId& owner) {
    if (partition.clock.empty()) return true;
    auto copy = partition.copies.find(owner);
    return copy != partition.copies.end() && copy->second.durable_clock.contains(partition.clock);
  };
  const bool early = bug(Bug::stand_in_drops_early) && std::any_of(owners.begin(), owners.end(), has_all);
  if (!early && !std::all_of(owners.begin(), owners.end(), has_all)) return;
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  edit.drop_everything();
  repair_.forget(partition);
  auto done = edit.commit();
  if (!done) {
    shard_.store_failed(done.error());
    return;
  }
  shard_.told_ready(partition);
  ++shard_.stats.stand_in_drops;
}

// Those that have what this copy lacks are asked in turns: one whose disk is damaged must not keep the others
// from being asked.
void Upkeep::repair_unlogged(Now now, Partition& partition) {
  for (auto& [peer, lacked] : partition.unlogged) lacked.first.subtract(partition.clock);
  std::erase_if(partition.unlogged, [](const auto& entry) { return entry.second.first.empty(); });
  const auto next = partition.unlogged.upper_bound(partition.asked_last);
  const auto ask = [&](auto at, auto end) {
    for (; at != end; ++at) {
      // What a copy that is being filled lacks is in nobody's log.
      const bool others_asked = !partition.ready || now.tick_us >= at->second.second + ask_others_first_us;
      if (!others_asked || !shard_.members.alive(now, at->first)) continue;
      if (repair_.open(now, at->first, partition, {.keep = false})) partition.asked_last = at->first;
    }
  };
  ask(next, partition.unlogged.end());
  ask(partition.unlogged.begin(), next);
}

// Of those whose clocks are as most others': what expires is gone on all replicas.
bool Upkeep::first_owner_to_expire(Now now, PartitionId id) const {
  for (const NodeId& owner : shard_.members.owners(id)) {
    if (shard_.members.alive(now, owner) && !wrong_clocks_.contains(owner))
      return shard_.members.is_self(owner);
  }
  return false;
}

// Not before others could tell their clocks.
bool Upkeep::may_expire(Now now) {
  if (started_us_ == 0) started_us_ = now.tick_us;
  const auto& members = shard_.members.all();
  wrong_clocks_ = shard_.clocks.wrong(now, shard_.members.self(), members);
  return members.size() == 1 || now.tick_us >= started_us_ + clocks_told_after_us;
}

// An expired version is deleted as any other: by one owner, under a dot. So replicas with equal clocks hold
// equal objects whatever their wall clocks say.
void Upkeep::expire(Now now, Partition& partition) {
  if (!first_owner_to_expire(now, partition.id) && !bug(Bug::expiry_without_dot)) return;
  std::string lower = partition_key(partition.id);
  std::vector<ExpiryKey> due;
  auto cursor = shard_.store.cursor(Column::expiry, lower, expiry_key(partition.id, now.wall_ms, "", ""));
  for (; cursor->valid() && due.size() < expired_a_round; cursor->next()) {
    auto key = decode_expiry_key(cursor->key());
    if (key) due.push_back(std::move(*key));
  }
  cursor.reset();
  for (const ExpiryKey& entry : due) {
    auto object = shard_.replica.read(partition, entry.key);
    if (!object) {
      shard_.store_failed(object.error());
      return;
    }
    Context covers;
    for (const Version& version : take_expired(*object, now.wall_ms)) covers.add(version.dot);
    if (covers.empty()) continue;
    ++shard_.stats.expired;
    if (!bug(Bug::expiry_without_dot)) {
      coordinator_.erase_own(now, partition.id, entry.key, covers);
      continue;
    }
    Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
    auto again = edit.read(entry.key);
    if (!again) return;
    discard(*again, covers);
    edit.put(entry.key, std::move(*again), {});
    auto done = edit.commit();
    if (!done) return;
  }
}

void Upkeep::track_divergence(Now now, Partition& partition) {
  bool diverged = false;
  if (shard_.keeps(partition.id)) {
    for (const auto& [node, copy] : partition.copies) {
      diverged = diverged || (shard_.members.owns(node, partition.id) && copy.clock != partition.clock);
    }
  } else {
    diverged = !partition.clock.empty();
  }
  if (!diverged) {
    partition.diverged_since_us = 0;
  } else if (partition.diverged_since_us == 0) {
    partition.diverged_since_us = now.tick_us;
  }
}

}  // namespace covey
