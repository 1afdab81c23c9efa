#include "replication/replica.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"

namespace covey {

Replica::Replica(const CoreOptions& options, Store& store, CoreStats& stats)
    : options_(options), store_(store), stats_(stats) {}

Result<Done, StoreError> Replica::load() {
  auto cursor = store_.cursor(Column::partitions, "", "");
  for (; cursor->valid(); cursor->next()) {
    Reader key(cursor->key());
    PartitionId id{key.u32_big()};
    if (!key.done())
      return StoreError{StoreError::Kind::corruption, "a partition's record has an unreadable key"};
    if (id.value % options_.shards != options_.shard) continue;
    auto partition = decode_partition(id, cursor->value());
    if (!partition) {
      return StoreError{StoreError::Kind::corruption,
                        "the record of partition " + std::to_string(id.value) + " is unreadable"};
    }
    if (!partition->bytes_known) {
      if (auto counted = count_bytes(*partition); !counted) return counted.error();
    }
    // What stands in the store at start survived: it is as durable as it will get.
    partition->durable_clock = partition->clock;
    partition->settled = partition->clock;
    partition->settling = partition->clock;
    if (partition->log > 0) partition->unsearched = partition->clock;
    partitions_.insert_or_assign(id, std::move(*partition));
  }
  if (auto error = cursor->error()) return *error;
  return Done{};
}

Result<Done, StoreError> Replica::count_bytes(Partition& partition) const {
  const std::string lower = partition_key(partition.id);
  auto cursor = store_.cursor(Column::objects, lower, after_prefix(lower));
  for (; cursor->valid(); cursor->next()) {
    auto key = decode_object_key(cursor->key());
    auto object = decode_object(cursor->value());
    if (!key || !object) return StoreError{StoreError::Kind::corruption, "an object is unreadable"};
    partition.bytes += content_bytes(*key, *object);
  }
  if (auto error = cursor->error()) return *error;
  partition.bytes_known = true;
  return Done{};
}

Partition& Replica::at(PartitionId id) {
  auto [at, is_new] = partitions_.try_emplace(id);
  if (is_new) at->second.id = id;
  return at->second;
}

Partition* Replica::find(PartitionId id) {
  auto at = partitions_.find(id);
  return at == partitions_.end() ? nullptr : &at->second;
}

Result<Object, StoreError> Replica::read_stored(const Partition& partition, const TableKey& key) {
  auto bytes = store_.get(Column::objects, object_key(partition.id, key.table, key.key));
  if (!bytes) return bytes.error();
  if (!*bytes) return Object{};
  auto object = decode_object(**bytes);
  if (!object) return unreadable(key);
  return std::move(*object);
}

StoreError Replica::unreadable(const TableKey& key) {
  return {StoreError::Kind::corruption, "the object of key " + key.key + " is unreadable"};
}

Result<Object, StoreError> Replica::read(const Partition& partition, const TableKey& key) {
  COVEY_ASSERT(!grouping_);
  auto stored = read_stored(partition, key);
  if (!stored) return stored.error();
  return fill(std::move(*stored), partition.clock);
}

Result<bool, StoreError> Replica::merge_into(Edit& edit, const TableKey& key, Object theirs,
                                             const DotSet& settled) {
  auto replaced = edit.replace(key, theirs, settled);
  if (!replaced || *replaced) return replaced;
  auto mine = edit.read(key);
  if (!mine) return mine.error();
  Object merged = merge(*mine, theirs);
  if (bug(Bug::lww_drops_in_merge)) resolve(merged, Conflicts::last_write_wins);
  DotSet dots = settled;
  // Also those that merging dropped again: this replica has seen them now.
  for (const Version& version : theirs.versions) dots.add(version.dot);
  const bool changes = merged != *mine || !edit.knows(dots);
  edit.put(key, std::move(merged), dots);
  return changes;
}

Result<Done, StoreError> Replica::walk_log(const Partition& partition, const DotSet& wanted,
                                           const std::function<bool(Dot, const TableKey&)>& found,
                                           DotSet* unlogged) {
  DotSet missing = wanted;
  missing.subtract(partition.voids);
  for (const auto& entry : missing.entries()) {
    for (const auto& run : DotSet::runs_of(entry)) {
      uint64_t next = run.first;
      auto cursor = store_.cursor(Column::dots, dot_key(partition.id, {entry.actor, {run.first}}),
                                  dot_key(partition.id, {entry.actor, {run.last}}) + '\0');
      for (; cursor->valid(); cursor->next()) {
        auto at = decode_dot_key(cursor->key());
        auto key = decode_dot_value(cursor->value());
        if (!at || !key)
          return StoreError{StoreError::Kind::corruption, "an entry of the dot log is unreadable"};
        uint64_t counter = at->dot.counter.value;
        if (unlogged != nullptr && counter > next) unlogged->add(entry.actor, {next, counter - 1});
        next = counter + 1;
        if (!found(at->dot, *key)) return Done{};
      }
      if (auto error = cursor->error()) return *error;
      if (unlogged != nullptr && next <= run.last) unlogged->add(entry.actor, {next, run.last});
    }
  }
  return Done{};
}

namespace {

// The first `limit` of them, by actor and counter.
DotSet first_of(const DotSet& dots, size_t limit) {
  DotSet out;
  for (const auto& entry : dots.entries()) {
    for (auto run : DotSet::runs_of(entry)) {
      if (limit == 0) return out;
      run.last = std::min(run.last, run.first + limit - 1);
      out.add(entry.actor, run);
      limit -= run.last - run.first + 1;
    }
  }
  return out;
}

}  // namespace

// What came since the start needs no look at the log: a cursor beside many erased ranges is dear.
Result<bool, StoreError> Replica::collect_log(Partition& partition, const Clock& known_to_all, size_t limit) {
  DotSet known = known_to_all;
  known.intersect(partition.logged);
  DotSet erased = first_of(known, limit);
  bool more = erased != known;
  DotSet old = known_to_all;
  old.intersect(partition.unsearched);
  DotSet found;
  if (!old.empty() && !more) {
    size_t room = limit - erased.count();
    auto walked = walk_log(
        partition, old,
        [&](Dot dot, const TableKey&) {
          more = room == 0;
          if (more) return false;
          found.add(dot);
          --room;
          return true;
        },
        nullptr);
    if (!walked) return walked.error();
    erased.join(found);
  }
  const DotSet searched = more ? std::move(found) : std::move(old);
  DotSet voids = partition.voids;
  voids.subtract(known_to_all);
  bool voids_done = voids != partition.voids && !more;
  if (!erased.empty() || voids_done) {
    Edit edit(*this, partition, {});
    edit.erase_log(std::move(erased));
    auto done = edit.commit();
    if (!done) return done.error();
  }
  if (voids_done) partition.voids = std::move(voids);  // told to all; persisted with the next write
  partition.unsearched.subtract(searched);
  return more;
}

Result<Done, StoreError> Replica::cut_log(Partition& partition, size_t limit) {
  if (partition.log <= options_.log_entries_max) return Done{};
  DotSet oldest;
  size_t count = 0;
  std::string lower = partition_key(partition.id);
  auto cursor = store_.cursor(Column::dots, lower, after_prefix(lower));
  for (; cursor->valid() && count < limit && count * 2 < partition.log; cursor->next(), ++count) {
    auto at = decode_dot_key(cursor->key());
    if (!at) return StoreError{StoreError::Kind::corruption, "an entry of the dot log is unreadable"};
    oldest.add(at->dot);
  }
  if (auto error = cursor->error()) return *error;
  cursor.reset();
  if (oldest.empty()) return Done{};
  Edit edit(*this, partition, {});
  edit.erase_log(std::move(oldest));
  auto done = edit.commit();
  if (!done) return done.error();
  ++stats_.log_cuts;
  return Done{};
}

Result<Done, StoreError> Replica::strip_residual(Now now, Partition& partition, size_t limit) {
  if (partition.residual == 0 || bug(Bug::residual_never_stripped)) return Done{};
  if (partition.strip_from.empty()) {
    const bool still = partition.settled == partition.clock;
    if (!still && now.tick_us - partition.stripped_us < strip_interval_us) return Done{};
    Clock bases = partition.clock.bases();
    if (bases == partition.stripped_at) return Done{};
    partition.stripped_at = std::move(bases);
    partition.stripped_us = now.tick_us;
  }
  std::string prefix = partition_key(partition.id);
  std::string lower = partition.strip_from.empty() ? prefix : partition.strip_from;
  std::vector<TableKey> keys;
  partition.strip_from.clear();
  auto cursor = store_.cursor(Column::residual, lower, after_prefix(prefix));
  for (; cursor->valid(); cursor->next()) {
    if (keys.size() >= limit) {
      partition.strip_from = cursor->key();
      break;
    }
    auto key = decode_object_key(cursor->key());
    if (!key) return StoreError{StoreError::Kind::corruption, "an entry of the residual index is unreadable"};
    keys.push_back(std::move(*key));
  }
  std::optional<StoreError> failed = cursor->error();
  cursor.reset();
  Edit edit(*this, partition, {});
  for (size_t i = 0; i < keys.size() && !failed; ++i) {
    auto object = edit.read(keys[i]);
    if (object) {
      edit.put(keys[i], std::move(*object), {});
    } else {
      failed = object.error();
    }
  }
  if (!failed) {
    auto done = edit.commit();
    if (done) return Done{};
    failed = done.error();
  }
  // From the first again, though the bases may never move any more.
  partition.strip_from.clear();
  partition.stripped_at.clear();
  partition.stripped_us = 0;
  return *failed;
}

void Replica::observe(Now now, Partition& partition) {
  Lsn durable = store_.durable();
  if (partition.becoming_durable && partition.becoming_durable->first <= durable) {
    partition.durable_clock = std::move(partition.becoming_durable->second);
    partition.becoming_durable.reset();
  }
  if (partition.last_write <= durable) {
    if (partition.durable_clock != partition.clock) partition.durable_clock = partition.clock;
  } else if (!partition.becoming_durable) {
    partition.becoming_durable.emplace(partition.last_write, partition.clock);
  }
  if (now.tick_us >= partition.settling_since_us + options_.gossip_interval_us) {
    partition.settled = std::move(partition.settling);
    partition.settling = partition.clock;
    partition.settling_since_us = now.tick_us;
  }
}

}  // namespace covey
