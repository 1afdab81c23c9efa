// Repair: filling a copy that has nothing yet, or hardly anything. What the other one stores is kept aside as
// it is and becomes visible at the end, all at once with the clock that it goes with. Merged chunk by chunk
// it would be read, given contexts, logged, and stripped and unlogged again once the clock has no holes.
#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/repair.h"

namespace covey {
namespace {

bool all_buckets(const std::string& bits) {
  return bits.size() == repair_buckets / 8 && bits.find_first_not_of('\xff') == std::string::npos;
}

void discount(Counts& counts, const TableKey& key, const Object& object) {
  counts.state_hash -= object_hash(key, object);
  counts.objects -= object.versions.empty() ? 0 : 1;
  counts.bytes -= content_bytes(key, object);
}

// Of a peer that tells nothing as it is stored.
std::string records_of(const peer::RepairChunk& message) {
  std::string records;
  Writer out(records);
  ItemKeys keys;
  for (const auto& item : message.items()) {
    const TableKey& key = keys.read(item);
    out.bytes(dot_value(key.table, key.key));
    out.bytes(item.object());
  }
  return records;
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
  filling->prefix = partition_key(partition.id);
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
  const std::string spelled = message.items_size() > 0 ? records_of(message) : std::string();
  Reader in(spelled.empty() ? message.records() : spelled);
  while (in.ok() && !in.done()) {
    const std::string_view key = in.bytes();
    const std::string_view bytes = in.bytes();
    if (in.ok() && !fill_record(now, partition, key, bytes, clock, filling)) return false;
  }
  if (!in.ok()) {
    ++shard_.stats.malformed_messages_dropped;
    return false;
  }
  return may_fill_on(partition, filling);
}

// False: too much of this copy is to be merged. Both are kept in memory and in the batch at the end.
bool Repair::may_fill_on(const Partition& partition, const Filling& filling) {
  if (partition.objects + partition.residual + partition.written->size() + filling.known.size() +
          filling.load.expiries.size() + filling.load.residual.size() <=
      shard_.options.filled_beside_max)
    return true;
  merged_alone_.insert(partition.id);
  return false;
}

// `stored`: the storage key behind its partition.
bool Repair::fill_record(Now now, Partition& partition, std::string_view stored, std::string_view bytes,
                         const Clock& clock, Filling& filling) {
  Reader parts(stored);
  const std::string_view table = parts.until_zero();
  const std::string_view key = parts.rest();
  ObjectView& object = filling.object;
  std::string& at = filling.key;
  at.assign(filling.prefix).append(stored);
  if (!is_table_key(table, key) || at <= filling.last_key || !read_object(bytes, object) ||
      partition_of(table, key, shard_.options.partitions) != partition.id) {
    ++shard_.stats.malformed_messages_dropped;
    return false;
  }
  ++shard_.stats.repair_objects_received;
  for (const VersionView& version : object.versions) {
    shard_.heard_time(now, version.time);
    if (!filling.clock.contains(version.dot)) filling.beyond.add(version.dot);
    if (partition.clock.contains(version.dot)) filling.known.insert({std::string(table), std::string(key)});
    if (version.expires_ms != 0)
      filling.load.expiries.insert(expiry_key(partition.id, version.expires_ms, table, key));
  }
  std::string again;
  if (clock != filling.clock) {
    again = encode(strip(fill(*decode_object(bytes), clock), filling.clock));
    bytes = again;
    if (!read_object(bytes, object)) return false;
  }
  if (!object.context.empty()) filling.load.residual.insert(at);
  Counts& counts = filling.load.counts;
  counts.state_hash += object_hash(table, key, object);
  counts.objects += object.versions.empty() ? 0 : 1;
  counts.bytes += content_bytes(table, key, object);
  if (auto error = filling.load.objects->add(at, bytes)) {
    shard_.store_failed(*error);
    return false;
  }
  std::swap(filling.last_key, at);
  ++filling.objects;
  return true;
}

uint64_t Repair::arrived(PartitionId id) const {
  if (const auto pull = pulls_.find(id); pull != pulls_.end() && pull->second.filling)
    return pull->second.filling->objects;
  const auto interrupted = interrupted_.find(id);
  return interrupted != interrupted_.end() && interrupted->second.filling
             ? interrupted->second.filling->objects
             : 0;
}

bool Repair::apply_records(Now now, Partition& partition, const peer::RepairChunk& message,
                           const Clock& clock, const Pull& pull) {
  peer::RepairChunk spelled = message;
  spelled.clear_records();
  Reader in(message.records());
  ItemKeys keys;
  while (in.ok() && !in.done()) {
    Reader parts(in.bytes());
    const TableKey key{std::string(parts.until_zero()), std::string(parts.rest())};
    auto& item = *spelled.add_items();
    keys.write(key, item);
    item.set_object(std::string(in.bytes()));
  }
  return in.ok() && apply_chunk(now, partition, spelled, clock, pull);
}

bool Repair::has_arrived() const {
  return std::any_of(pulls_.begin(), pulls_.end(), [](const auto& pull) { return pull.second.arrived(); });
}

bool Repair::has_room() const {
  const auto arrived = static_cast<size_t>(
      std::count_if(pulls_.begin(), pulls_.end(), [](const auto& pull) { return pull.second.arrived(); }));
  return pulls_.size() - arrived < pulls_max && pulls_.size() < pulls_max + arrived_max;
}

void Repair::take_in_written() {
  for (auto at = pulls_.begin(); at != pulls_.end();) {
    Pull& pull = at->second;
    const bool written = pull.arrived() && pull.filling->load.objects->ready();
    if (!written) {
      ++at;
    } else if (shard_.writes_refused || !end_filling(shard_.replica.at(at->first), *pull.filling)) {
      at = end_pull(at, "this node's storage failed", false);
    } else {
      at = finish_pull(at);
    }
  }
}

bool Repair::join_end(Replica::Edit& edit, Partition& partition, const std::string& bytes) {
  auto voids = bytes.empty() ? std::optional<DotSet>(DotSet{}) : decode_dot_set(bytes);
  if (!voids) return false;
  auto added = lives_.add_voids(edit, partition, *voids);
  if (!added) shard_.store_failed(added.error());
  return added.ok();
}

// Everything that has come is written, but for what this copy knows more of: keys that it holds, keys that
// were written since (they may hold nothing any more), and those of which it had seen a version before.
bool Repair::end_filling(Partition& partition, Filling& filling) {
  if (!may_fill_on(partition, filling)) return false;
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
    if (bug(Bug::filled_over_newer)) break;
    if (!merge_loaded(edit, key, filling)) return false;
  }
  if (!join_end(edit, partition, filling.voids)) return false;
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
    discount(filling.load.counts, key, *object);
    filling.load.residual.erase(at);
    for (const Version& version : object->versions) {
      filling.load.expiries.erase(expiry_key(edit.partition(), version.expires_ms, key.table, key.key));
    }
  } else if (bug(Bug::repair_skips_absent_keys)) {
    return true;
  }
  const Clock* clock = &filling.clock;
  for (const auto& [from, later] : filling.later) {
    if (!*bytes && at > from) clock = &later;
  }
  Object theirs = fill(std::move(*object), *clock);
  for (const Version& version : theirs.versions) theirs.context.add(version.dot);
  auto merged = shard_.replica.merge_into(edit, key, std::move(theirs), {});
  if (!merged) shard_.store_failed(merged.error());
  if (merged && *bytes) edit.put_over_load(key);
  return merged.ok();
}

}  // namespace covey
