#include "replication/repair.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/hash.h"

namespace covey {

uint32_t Repair::bucket_of(const TableKey& key) {
  return static_cast<uint32_t>(hash_bytes(key.key, hash_bytes(key.table, 0x6275636b)) % repair_buckets);
}

bool Repair::has_bit(const std::string& bits, uint32_t bucket) {
  return bucket / 8 < bits.size() && (static_cast<uint8_t>(bits[bucket / 8]) >> (bucket % 8) & 1) != 0;
}

// Where the objects of a partition begin that stand behind a storage key; empty: all.
std::string Repair::behind(PartitionId id, const std::string& from) {
  return from.empty() ? partition_key(id) : from + '\0';
}

Repair::Hashing Repair::begin_hashing(PartitionId id, const std::string& from) {
  Hashing out;
  const Partition& partition = shard_.replica.at(id);
  out.kept = {partition.state_hash, partition.objects, partition.bytes};
  out.snapshot = shard_.store.snapshot();
  out.cursor = shard_.store.cursor(Column::objects, behind(id, from), after_prefix(partition_key(id)),
                                   out.snapshot.get());
  return out;
}

Repair::Progress Repair::hash_slice(Hashing& hashing) {
  for (size_t i = 0; i < slice_keys && hashing.cursor->valid(); ++i, hashing.cursor->next()) {
    auto key = decode_object_key(hashing.cursor->key());
    auto object = decode_object(hashing.cursor->value());
    if (!key || !object) {
      shard_.store_failed({StoreError::Kind::corruption, "an object met by a repair is unreadable"});
      return Progress::failed;
    }
    // With the context: a copy that still has one may know less than its versions show.
    uint64_t hash = object_hash(*key, *object);
    hashing.found.state_hash += hash;
    hashing.found.objects += object->versions.empty() ? 0 : 1;
    hashing.found.bytes += content_bytes(*key, *object);
    if (!object->context.empty())
      hash += hash_pair(bucket_of(*key) + hash_bytes(key->key, 1), object->context.hash());
    hashing.hashes[bucket_of(*key)] += hash;
  }
  if (auto error = hashing.cursor->error()) {
    shard_.store_failed(*error);
    return Progress::failed;
  }
  return hashing.cursor->valid() ? Progress::more : Progress::done;
}

bool Repair::open(Now now, const NodeId& peer, Partition& partition, Kind kind) {
  if (pulls_.contains(partition.id) || !has_room()) return false;
  ++shard_.stats.repairs_started;
  Pull pull;
  pull.peer = peer;
  pull.session = shard_.random.next();
  pull.keep = kind.keep;
  pull.ask_back = kind.ask_back;
  if (kind.check) pull.check = CopyCheck{.partition = partition.id, .with = peer};
  pull.until_us = now.tick_us + idle_after_us;
  if (auto found = interrupted_.find(partition.id); found != interrupted_.end() && !kind.keep) {
    pull.from = pull.position = found->second.position;
    pull.earlier = std::move(found->second.clock);
    pull.known_before = std::move(found->second.known_before);
    pull.filling = std::move(found->second.filling);
    interrupted_.erase(found);
    ++shard_.stats.repairs_resumed;
  } else if (!kind.keep) {
    pull.known_before = partition.clock;
    partition.written.emplace();
  }
  // What is kept aside is not here yet: the rest is wanted whole.
  if (pull.filling) {
    ask(peer, partition.id, pull);
  } else {
    pull.hashing = begin_hashing(partition.id, pull.from);
  }
  const auto at = pulls_.emplace(partition.id, std::move(pull)).first;
  // At once, where there is hardly anything to add up; a check of all copies takes its time.
  if (at->second.hashing && !kind.check) hash_on(now, at);
  return true;
}

void Repair::ask(const NodeId& peer, PartitionId id, Pull& pull) {
  auto& message = *shard_.outbox.to(peer).mutable_repair_open();
  message.set_partition(id.value);
  message.set_session(pull.session);
  message.set_keep(pull.keep);
  message.set_from(pull.from);
  message.set_ask_back(pull.ask_back);
  message.set_records(true);
  if (pull.from.empty()) message.set_objects(pull.objects);
  if (pull.earlier) ask_to_resume(shard_.replica.at(id), pull, message);
  for (uint64_t hash : pull.hashes) message.add_bucket_hashes(hash);
}

Repair::Pulls::iterator Repair::end_pull(Pulls::iterator at, const std::string& reason, bool resumable) {
  auto& [id, pull] = *at;
  ended_ = true;
  finished_ = finished_ || reason.empty();
  if (resumable && !pull.keep && pull.earlier && !pull.position.empty()) {
    interrupted_[id] = {std::move(pull.position), std::move(*pull.earlier), std::move(pull.known_before),
                        std::move(pull.filling)};
  } else if (!pull.keep) {
    shard_.replica.at(id).written.reset();
  }
  if (auto& check = pull.check) {
    using State = CopyCheck::State;
    check->reason = reason;
    check->state = !reason.empty()                                ? State::failed
                   : !check->repaired.empty() || check->recounted ? State::repaired
                   : check->buckets > 0                           ? State::differing
                                                                  : State::equal;
    if (reason.empty() && !pull.peer.name.empty()) ++shard_.stats.copies_compared;
    checked_.push_back(std::move(*check));
  }
  return pulls_.erase(at);
}

// A session under way would take over a clock for what it had brought before.
void Repair::forget(Partition& partition) {
  if (auto pull = pulls_.find(partition.id); pull != pulls_.end())
    end_pull(pull, "the copy was dropped, or is ready", false);
  interrupted_.erase(partition.id);
  merged_alone_.erase(partition.id);
  partition.written.reset();
}

void Repair::tick(Now now) {
  tick_pulls(now);
  tick_serves(now);
}

Repair::Pulls::iterator Repair::finish_pull(Pulls::iterator at) {
  const auto& [id, pull] = *at;
  Partition& partition = shard_.replica.at(id);
  ++shard_.stats.repairs_finished;
  if (!pull.keep) partition.unlogged.erase(pull.peer);
  if (!pull.keep && !partition.ready) filled_.emplace_back(id, pull.peer);
  return end_pull(at, "", false);
}

void Repair::tick_pulls(Now now) {
  for (auto at = pulls_.begin(); at != pulls_.end();) {
    const Pull& pull = at->second;
    if (now.tick_us > pull.until_us && !pull.arrived()) {
      at = end_pull(at, pull.peer.name + " has not answered", true);
    } else {
      at = pull.hashing ? hash_on(now, at) : std::next(at);
    }
  }
}

// Adds up another slice of the asker's hashes, and asks when that was the last. Answers the pull behind it.
Repair::Pulls::iterator Repair::hash_on(Now now, Pulls::iterator at) {
  auto& [id, pull] = *at;
  const Progress progress = hash_slice(*pull.hashing);
  pull.until_us = now.tick_us + idle_after_us;
  if (progress == Progress::more) return std::next(at);
  const bool counted = progress == Progress::done &&
                       (!pull.check || correct_counts(shard_.replica.at(id), *pull.hashing, *pull.check));
  if (!counted || pull.peer.name.empty())
    return end_pull(at, counted ? "" : "this node's storage failed", true);
  pull.hashes = pull.hashing->hashes;
  pull.objects = pull.hashing->found.objects;
  pull.hashing.reset();
  ask(pull.peer, id, pull);
  return std::next(at);
}

void Repair::receive(Now now, const NodeId& from, const peer::RepairChunk& message) {
  PartitionId id{message.partition()};
  auto at = pulls_.find(id);
  if (at == pulls_.end() || at->second.peer != from || at->second.session != message.session()) return;
  Pull& pull = at->second;
  if (pull.hashing || pull.arrived()) return;
  if (message.refusal() != 0) {
    const bool busy = message.refusal() == static_cast<uint32_t>(Refusal::busy);
    const bool unknown = message.refusal() == static_cast<uint32_t>(Refusal::no_longer_known);
    end_pull(at, from.name + (busy ? " is busy with other repairs" : " can't read its copy"), !unknown);
    return;
  }
  pull.until_us = now.tick_us + idle_after_us;
  if (message.index() == 0) return;  // it takes its time
  auto clock = decode_dot_set(message.clock());
  if (message.index() != pull.index + 1 || message.from() != pull.position) return;  // repeated
  Partition& partition = shard_.replica.at(id);
  CopyCheck unwanted;
  if (clock && may_fill(partition, pull, message)) pull.filling = begin_filling(partition, *clock);
  const bool goes_on = clock && (!pull.earlier || pull.index > 0 || resume(message, *clock, pull));
  const bool applied =
      goes_on && !shard_.writes_refused && message.keep() == pull.keep &&
      (pull.keep      ? keep_chunk(partition, message, *clock, pull.check ? *pull.check : unwanted)
       : pull.filling ? fill_chunk(now, partition, message, *clock, *pull.filling)
       : message.records().empty() ? apply_chunk(now, partition, message, *clock, pull)
                                   : apply_records(now, partition, message, *clock, pull));
  if (!applied) {
    end_pull(at,
             shard_.writes_refused ? "this node takes no writes: its disk is full"
                                   : "the copies change too fast, or this node's storage failed",
             false);
    return;
  }
  if (!pull.earlier) pull.earlier = std::move(*clock);
  pull.index = message.index();
  pull.position = message.to();
  auto& next = *shard_.outbox.to(from).mutable_repair_next();
  next.set_partition(message.partition());
  next.set_session(message.session());
  next.set_index(message.index() + 1);
  if (!message.last()) return;
  if (!pull.filling) {
    finish_pull(at);
    return;
  }
  pull.filling->arrived = true;
  pull.filling->voids = message.voids();
  pull.filling->load.objects->end();
  ended_ = finished_ = true;  // so far that another may begin
  take_in_written();
}

bool Repair::apply_chunk(Now now, Partition& partition, const peer::RepairChunk& message, const Clock& clock,
                         const Pull& pull) {
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  edit.set_told_by_repair();
  if (bug(Bug::repair_clock_first) && message.index() == 1) edit.join_clock(clock);
  shard_.stats.repair_objects_received += static_cast<uint64_t>(message.items_size());
  if (!merge_items(now, edit, message.items(), clock)) return false;
  if (!bug(Bug::repair_skips_absent_keys) && !cover_absent(edit, partition, message, clock)) return false;
  const Clock& taken = pull.earlier ? *pull.earlier : clock;
  if (!look_at_written(edit, partition, taken, pull.known_before)) return false;
  if (message.last()) {
    if (!partition.written->empty()) return false;
    if (!join_end(edit, partition, message.voids())) return false;
    edit.join_clock(taken);
  }
  auto done = edit.commit();
  if (!done) shard_.store_failed(done.error());
  return done.ok();
}

// Of the keys that were written here beside the session, leaves those in `written` that have a version which
// came meanwhile, which the clock that is to be taken over knows, and of which the session has not told: the
// sender may hold it no more. It has no bucket that differs, or came behind its chunk; with that clock it
// would be back for good. Compared anew, its bucket differs. False: the store failed.
bool Repair::look_at_written(Replica::Edit& edit, Partition& partition, const Clock& clock,
                             const Clock& known_before) {
  std::set<TableKey>& written = *partition.written;
  if (written.empty()) return true;
  const DotSet bases = clock.bases();
  const auto may_be_gone = [&](const Object& object) {
    return !object.context.contains(bases) &&
           std::any_of(object.versions.begin(), object.versions.end(), [&](const Version& one) {
             return clock.contains(one.dot) && !known_before.contains(one.dot);
           });
  };
  // Too many to be noted: then those of all keys that may be gone.
  if (written.size() > shard_.options.filled_beside_max) {
    written.clear();
    const std::string prefix = partition_key(partition.id);
    auto cursor = shard_.store.cursor(Column::objects, prefix, after_prefix(prefix));
    for (; cursor->valid(); cursor->next()) {
      auto object = decode_object(cursor->value());
      auto key = decode_object_key(cursor->key());
      if (!object || !key) return false;
      if (may_be_gone(fill(std::move(*object), partition.clock))) written.insert(std::move(*key));
    }
    if (auto error = cursor->error()) {
      shard_.store_failed(*error);
      return false;
    }
  }
  for (auto at = written.begin(); at != written.end();) {
    auto object = edit.read(*at);
    if (!object) {
      shard_.store_failed(object.error());
      return false;
    }
    at = may_be_gone(*object) ? std::next(at) : written.erase(at);
  }
  return true;
}

// Keys of the chunk's range that are here and that the sender did not hold: it has seen what its clock's
// bases say.
bool Repair::cover_absent(Replica::Edit& edit, Partition& partition, const peer::RepairChunk& message,
                          const Clock& clock) {
  std::set<std::string> told;
  ItemKeys keys;
  for (const auto& item : message.items()) {
    const TableKey& key = keys.read(item);
    told.insert(object_key(partition.id, key.table, key.key));
  }
  std::string prefix = partition_key(partition.id);
  std::string lower = message.from().empty() ? prefix : message.from() + '\0';
  std::string upper = message.last() || message.to().empty() ? after_prefix(prefix) : message.to() + '\0';
  Object nothing = fill({}, clock);
  std::vector<TableKey> absent;
  auto cursor = shard_.store.cursor(Column::objects, lower, upper);
  for (; cursor->valid(); cursor->next()) {
    auto key = decode_object_key(cursor->key());
    if (!key) return false;
    if (!has_bit(message.buckets(), bucket_of(*key)) || told.contains(std::string(cursor->key()))) continue;
    absent.push_back(std::move(*key));
  }
  if (auto error = cursor->error()) {
    shard_.store_failed(*error);
    return false;
  }
  cursor.reset();
  for (const TableKey& key : absent) {
    if (!shard_.replica.merge_into(edit, key, nothing, {})) return false;
  }
  return true;
}

const TableKey& ItemKeys::read(const peer::Item& item) {
  if (!item.table().empty()) last_.table = item.table();
  last_.key = item.key();
  return last_;
}

void ItemKeys::write(const TableKey& key, peer::Item& item) {
  if (key.table != last_.table) item.set_table(key.table);
  item.set_key(key.key);
  last_ = key;
}

bool Repair::merge_item(Now now, Replica::Edit& edit, const TableKey& key, const peer::Item& item,
                        const DotSet& base) {
  auto object = decode_object(item.object());
  auto settled = item.dots().empty() ? std::optional<DotSet>(DotSet{}) : decode_dot_set(item.dots());
  if (!object || !settled || !is_table_key(key.table, key.key) || settled->count() > settled_dots_max ||
      partition_of(key.table, key.key, shard_.options.partitions) != edit.partition()) {
    ++shard_.stats.malformed_messages_dropped;
    return false;
  }
  for (const Version& version : object->versions) shard_.heard_time(now, version.time);
  object->context.join_bases(base);
  for (const Version& version : object->versions) object->context.add(version.dot);
  if (bug(Bug::settle_without_object) && (item.key().size() + item.object().size()) % 7 == 0) {
    for (const Version& version : object->versions) settled->add(version.dot);
    edit.join_clock(*settled);
    return true;
  }
  auto merged = shard_.replica.merge_into(edit, key, std::move(*object), *settled);
  if (!merged) shard_.store_failed(merged.error());
  return merged.ok();
}

}  // namespace covey
