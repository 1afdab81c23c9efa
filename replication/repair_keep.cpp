// Repair: copies whose objects are compared themselves, and of which both keep what either holds.
#include <algorithm>
#include <bit>
#include <set>

#include "replication/codec.h"
#include "replication/repair.h"

namespace covey {

// The counts are sums that each write moves on: what they were wrong by in the snapshot they still are.
bool Repair::correct_counts(Partition& partition, const Hashing& hashing, CopyCheck& check) {
  const Counts& found = hashing.found;
  const Counts& kept = hashing.kept;
  check.objects = found.objects;
  if (found == kept) return true;
  check.recounted = true;
  shard_.outbox.alarm("partition " + std::to_string(partition.id.value) +
                      " has not the state hash of its stored objects: it is corrected");
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  edit.correct_counts(
      {found.state_hash - kept.state_hash, found.objects - kept.objects, found.bytes - kept.bytes});
  auto done = edit.commit();
  if (!done) shard_.store_failed(done.error());
  return done.ok();
}

// False: the session can't go on.
bool Repair::keep_chunk(Partition& partition, const peer::RepairChunk& message, const Clock& clock,
                        CopyCheck& check) {
  check.buckets = 0;
  for (const char byte : message.buckets())
    check.buckets += static_cast<uint32_t>(std::popcount(static_cast<uint8_t>(byte)));
  // Keys that have changed here since their snapshot. One whose dot the log no longer has could be any.
  DotSet newer = partition.clock;
  newer.subtract(clock);
  if (newer.count() > settled_dots_max) return false;
  std::set<TableKey> changed;
  DotSet unlogged;
  auto walked = shard_.replica.walk_log(
      partition, newer,
      [&](Dot, const TableKey& key) {
        changed.insert(key);
        return true;
      },
      &unlogged);
  if (!walked) shard_.store_failed(walked.error());
  if (!walked || !unlogged.empty()) return false;

  const bool knows_all = partition.clock.contains(clock);
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  ItemKeys keys;
  std::map<std::string, uint64_t> repaired;
  for (const auto& item : message.items()) {
    auto theirs = decode_object(item.object());
    const TableKey& key = keys.read(item);
    if (!theirs || !is_table_key(key.table, key.key)) return false;
    ++check.received;
    ++shard_.stats.repair_objects_received;
    check.bytes += item.object().size();
    const bool is_news =
        std::any_of(theirs->versions.begin(), theirs->versions.end(),
                    [&](const auto& version) { return !partition.clock.contains(version.dot); });
    if (is_news || changed.contains(key)) {
      ++check.under_way;
      continue;
    }
    auto mine = edit.read_stored(key);
    if (!mine) {
      shard_.store_failed(mine.error());
      return false;
    }
    // As stored, not filled: nothing is known to be overwritten but what the contexts themselves say.
    Object both = merge(*mine, *theirs);
    if (both.versions == mine->versions) continue;
    // Their context says that something is overwritten; by what, their clock alone may say.
    const DotSet kept = dots_of(both);
    const bool drops = std::any_of(mine->versions.begin(), mine->versions.end(),
                                   [&](const Version& version) { return !kept.contains(version.dot); });
    if (drops && !knows_all) {
      ++check.under_way;
      continue;
    }
    edit.put(key, fill(std::move(both), partition.clock), {});
    ++repaired[key.table];
  }
  auto done = edit.commit();
  if (!done) shard_.store_failed(done.error());
  if (!done) return false;
  for (const auto& [table, count] : repaired) {
    check.repaired[table] += count;
    shard_.stats.objects_repaired += count;
  }
  return true;
}

}  // namespace covey
