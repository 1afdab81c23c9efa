// Repair: filling a copy that has nothing yet, or hardly anything. What the other one stores is kept aside as
// it is and becomes visible at the end, all at once with the clock that it goes with. Merged chunk by chunk
// it would be read, given contexts, logged, and stripped and unlogged again once the clock has no holes.
#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/repair.h"

namespace covey {
namespace {

bool all_buckets(const std::string& bits) {
  return bits.size() == repair_buckets / 8 && bits.find_first_not_of('\xff') == std::string::npos;
}

void count(Counts& counts, const TableKey& key, const Object& object, uint64_t times) {
  counts.state_hash += times * object_hash(key, object);
  counts.objects += object.versions.empty() ? 0 : times;
  counts.bytes += times * content_bytes(key, object);
}

}  // namespace

// At the first chunk of a session that begins at the first key.
bool Repair::may_fill(const Partition& partition, const Pull& pull, const peer::RepairChunk& message) const {
  return pull.index == 0 && !pull.keep && !partition.ready && pull.from.empty() &&
         all_buckets(message.buckets()) && partition.objects <= shard_.options.filled_beside_max &&
         !merged_alone_.contains(partition.id);
}

std::unique_ptr<Repair::Filling> Repair::begin_filling(Partition& partition, const Clock& clock) {
  partition.written.emplace();
  auto filling = std::make_unique<Filling>();
  filling->clock = clock;
  filling->load.objects = shard_.store.load();
  return filling;
}

// False: the session can't go on, and what has come is of no use.
bool Repair::fill_chunk(Now now, Partition& partition, const peer::RepairChunk& message, const Clock& clock,
                        Filling& filling) {
  // In a session that goes on with another: what came first is stored as its clock allows.
  if (!clock.contains(filling.clock)) return false;
  if (bug(Bug::repair_clock_first) && message.index() == 1) {
    Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
    edit.join_clock(clock);
    if (!edit.commit()) return false;
  }
  const bool same_clock = clock == filling.clock;
  ItemKeys keys;
  for (const auto& item : message.items()) {
    const TableKey& key = keys.read(item);
    auto object = decode_object(item.object());
    std::string at = object_key(partition.id, key.table, key.key);
    if (!object || !is_table_key(key.table, key.key) || at <= filling.last_key || !item.dots().empty() ||
        partition_of(key.table, key.key, shard_.options.partitions) != partition.id) {
      ++shard_.stats.malformed_messages_dropped;
      return false;
    }
    for (const Version& version : object->versions) {
      shard_.heard_time(now, version.time);
      if (!filling.clock.contains(version.dot)) filling.beyond.add(version.dot);
      if (partition.clock.contains(version.dot)) filling.known.insert(key);
      if (version.expires_ms != 0)
        filling.load.expiries.insert(expiry_key(partition.id, version.expires_ms, key.table, key.key));
    }
    if (!same_clock) object = strip(fill(std::move(*object), clock), filling.clock);
    if (!object->context.empty()) filling.load.residual.insert(at);
    count(filling.load.counts, key, *object, 1);
    auto error =
        filling.load.objects->add(at, same_clock ? std::string_view(item.object()) : encode(*object));
    if (error) {
      shard_.store_failed(*error);
      return false;
    }
    filling.last_key = std::move(at);
  }
  // Both are kept in memory and in the batch at the end.
  if (partition.objects + partition.residual + partition.written->size() + filling.known.size() +
          filling.load.expiries.size() + filling.load.residual.size() >
      shard_.options.filled_beside_max) {
    merged_alone_.insert(partition.id);
    return false;
  }
  if (!message.last()) return true;
  return end_filling(partition, message, filling);
}

// Everything that has come is written, but for what this copy knows more of: keys that it holds, keys that
// were written since (they may hold nothing any more), and those of which it had seen a version before.
bool Repair::end_filling(Partition& partition, const peer::RepairChunk& message, Filling& filling) {
  const std::string prefix = partition_key(partition.id);
  std::set<TableKey> here = std::move(filling.known);
  here.merge(*partition.written);
  auto cursor = shard_.store.cursor(Column::objects, prefix, after_prefix(prefix));
  for (; cursor->valid(); cursor->next()) {
    auto key = decode_object_key(cursor->key());
    if (!key) return false;
    here.insert(std::move(*key));
  }
  if (auto error = cursor->error()) {
    shard_.store_failed(*error);
    return false;
  }
  cursor.reset();
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  for (const TableKey& key : here) {
    if (!merge_loaded(edit, key, filling)) return false;
  }
  if (!join_end(edit, partition, message)) return false;
  edit.join_clock(filling.clock);
  edit.join_clock(filling.beyond);
  edit.load(std::move(filling.load));
  auto done = edit.commit();
  if (!done) shard_.store_failed(done.error());
  if (done) ++shard_.stats.copies_filled;
  return done.ok();
}

// What this copy holds under the key, with what was loaded for it; or with that the other one has nothing.
bool Repair::merge_loaded(Replica::Edit& edit, const TableKey& key, Filling& filling) {
  const std::string at = object_key(edit.partition(), key.table, key.key);
  auto bytes = filling.load.objects->find(at);
  auto object = bytes && *bytes ? decode_object(**bytes) : std::optional<Object>(Object{});
  if (!bytes || !object) {
    shard_.store_failed(bytes ? StoreError{StoreError::Kind::corruption, "a loaded object is unreadable"}
                              : bytes.error());
    return false;
  }
  if (*bytes) {
    count(filling.load.counts, key, *object, uint64_t{0} - 1);
    filling.load.residual.erase(at);
    for (const Version& version : object->versions) {
      filling.load.expiries.erase(expiry_key(edit.partition(), version.expires_ms, key.table, key.key));
    }
  } else if (bug(Bug::repair_skips_absent_keys)) {
    return true;
  }
  Object theirs = fill(std::move(*object), filling.clock);
  for (const Version& version : theirs.versions) theirs.context.add(version.dot);
  auto merged = shard_.replica.merge_into(edit, key, theirs, {});
  if (!merged) shard_.store_failed(merged.error());
  if (merged && *bytes) edit.put_over_load(key);
  return merged.ok();
}

}  // namespace covey
