#include "replication/repair.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/hash.h"

namespace covey {
namespace {

constexpr size_t serves_max = 4;  // each pins a snapshot
constexpr size_t slice_keys = 2'000;
constexpr uint64_t all_sent_below = 8;  // to who has less than this part of the objects
constexpr uint64_t idle_after_us = 5'000'000;
constexpr uint64_t waiting_told_us = 1'000'000;
// What an object counts for at the pace beside its bytes: small ones cost clients the processor, not the
// link.
constexpr uint64_t object_costs_bytes = 512;
constexpr uint64_t burst_us = 50'000;  // that the pace may be ahead after a pause

uint32_t bucket_of(const TableKey& key) {
  return static_cast<uint32_t>(hash_bytes(key.key, hash_bytes(key.table, 0x6275636b)) % repair_buckets);
}

bool has_bit(const std::string& bits, uint32_t bucket) {
  return bucket / 8 < bits.size() && (static_cast<uint8_t>(bits[bucket / 8]) >> (bucket % 8) & 1) != 0;
}

// Where the objects of a partition begin that stand behind a storage key; empty: all.
std::string behind(PartitionId id, const std::string& from) {
  return from.empty() ? partition_key(id) : from + '\0';
}

}  // namespace

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
    pull.filling = std::move(found->second.filling);
    interrupted_.erase(found);
    ++shard_.stats.repairs_resumed;
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
    interrupted_[id] = {std::move(pull.position), std::move(*pull.earlier), std::move(pull.filling)};
  } else if (pull.filling) {
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
  for (auto at = serves_.begin(); at != serves_.end();) {
    Serve& serve = at->second;
    bool over = now.tick_us > serve.until_us;
    if (!over && !serve.hashed) {
      Progress progress = hash_slice(serve.hashing);
      over = progress == Progress::failed;
      if (over) refuse(serve.peer, serve.partition, serve.session, Refusal::storage_failed);
      if (progress == Progress::done) begin_sending(serve);
    }
    if (!over && is_due(serve)) tell_waiting(now, serve);
    at = over ? serves_.erase(at) : std::next(at);
  }
  send_due(now);
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

bool Repair::is_due(const Serve& serve) const {
  return !serve.last &&
         (serve.ahead.empty() || serve.ahead_bytes < chunks_ahead_max * shard_.options.message_bytes_max);
}

void Repair::begin_sending(Serve& serve) {
  serve.hashed = true;
  serve.differing.assign(repair_buckets / 8, '\0');
  for (uint32_t b = 0; b < repair_buckets; ++b) {
    if (serve.hashing.hashes[b] != serve.theirs[b]) serve.differing[b / 8] |= static_cast<char>(1 << b % 8);
  }
  const bool differs = serve.differing.find_first_not_of('\0') != std::string::npos;
  if (serve.keep && serve.ask_back && differs) asked_back_.emplace_back(serve.partition, serve.peer);
  serve.hashing.cursor =
      shard_.store.cursor(Column::objects, behind(serve.partition, serve.to),
                          after_prefix(partition_key(serve.partition)), serve.hashing.snapshot.get());
}

// That there is more to come, so that it goes on waiting.
void Repair::tell_waiting(Now now, Serve& serve) {
  serve.until_us = now.tick_us + idle_after_us;
  if (now.tick_us < serve.told_us + waiting_told_us) return;
  serve.told_us = now.tick_us;
  auto& message = *shard_.outbox.to(serve.peer).mutable_repair_chunk();
  message.set_partition(serve.partition.value);
  message.set_session(serve.session);
}

// What is wanted and the pace allows, in turns.
void Repair::send_due(Now now) {
  for (size_t passed = 0; passed < serves_.size() && now.tick_us >= sends_again_us_;) {
    auto next = serves_.upper_bound(last_served_);
    if (next == serves_.end()) next = serves_.begin();
    last_served_ = next->first;
    const bool due = is_due(next->second) && next->second.hashed;
    if (due) send_chunk(now, next->second);
    passed = due ? 0 : passed + 1;
  }
}

void Repair::receive(Now now, const NodeId& from, const peer::RepairOpen& message) {
  PartitionId id{message.partition()};
  if (!shard_.mine(id) || message.bucket_hashes_size() != static_cast<int>(repair_buckets)) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  if (serves_.contains({from, message.session()})) return;  // repeated
  std::string from_key = message.from();
  if (!from_key.empty() && !from_key.starts_with(partition_key(id))) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  if (serves_.size() >= serves_max) {
    refuse(from, id, message.session(), Refusal::busy);
    return;
  }
  const Partition& partition = shard_.replica.at(id);
  Serve serve;
  serve.peer = from;
  serve.partition = id;
  serve.session = message.session();
  serve.keep = message.keep();
  serve.ask_back = message.ask_back();
  std::copy(message.bucket_hashes().begin(), message.bucket_hashes().end(), serve.theirs.begin());
  serve.clock = partition.clock;
  serve.voids = partition.voids;
  if (!from_key.empty() && !serve_resumed(partition, message, serve)) return;
  serve.hashing = begin_hashing(id, from_key);
  serve.to = std::move(from_key);
  serve.told_us = now.tick_us;
  serve.until_us = now.tick_us + idle_after_us;
  // To who has nothing, or hardly anything, everything goes.
  const bool empty =
      std::all_of(serve.theirs.begin(), serve.theirs.end(), [](uint64_t h) { return h == 0; }) ||
      (message.has_objects() && message.objects() <= partition.objects / all_sent_below);
  if (empty && !serve.keep) {
    for (size_t b = 0; b < repair_buckets; ++b) serve.hashing.hashes[b] = ~serve.theirs[b];
    serve.as_records = message.records();
    begin_sending(serve);
  }
  serves_.emplace(std::pair{from, message.session()}, std::move(serve));
  send_due(now);
}

void Repair::refuse(const NodeId& peer, PartitionId id, uint64_t session, Refusal refusal) {
  auto& refused = *shard_.outbox.to(peer).mutable_repair_chunk();
  refused.set_partition(id.value);
  refused.set_session(session);
  refused.set_refusal(static_cast<uint32_t>(refusal));
}

// Tells the chunk behind the one told last.
void Repair::send_chunk(Now now, Serve& serve) {
  auto& message = *shard_.outbox.to(serve.peer).mutable_repair_chunk();
  message.set_partition(serve.partition.value);
  message.set_session(serve.session);
  message.set_index(++serve.index);
  message.set_keep(serve.keep);
  message.set_buckets(serve.differing);
  message.set_clock(encode(serve.clock));
  if (!serve.voids.empty()) message.set_voids(encode(serve.voids));
  if (serve.since && serve.index == 1) message.set_since(encode(*serve.since));
  serve.from = serve.to;
  message.set_from(serve.from);
  const size_t objects = add_objects(serve, message);
  auto& cursor = *serve.hashing.cursor;
  serve.last = !cursor.valid();
  if (auto error = cursor.error()) {
    shard_.store_failed(*error);
    message.set_refusal(static_cast<uint32_t>(refusal_of(*error)));
  }
  if (!serve.last) message.set_to(serve.to);
  message.set_last(serve.last);
  serve.told_us = now.tick_us;
  serve.until_us = now.tick_us + idle_after_us;
  const size_t sent = message.ByteSizeLong();
  serve.ahead.push_back(sent);
  serve.ahead_bytes += sent;
  if (const uint64_t rate = shard_.options.transfer_bytes_per_second; rate > 0) {
    const uint64_t earliest = now.tick_us - std::min(now.tick_us, burst_us);
    const uint64_t counted = sent + object_costs_bytes * objects;
    sends_again_us_ = std::max(sends_again_us_, earliest) + counted * 1'000'000 / rate;
  }
  shard_.stats.repair_objects_sent += objects;
  shard_.stats.repair_bytes_sent += sent;
}

size_t Repair::add_objects(Serve& serve, peer::RepairChunk& message) {
  const size_t bytes_max = shard_.options.message_bytes_max;
  auto& cursor = *serve.hashing.cursor;
  size_t bytes = 0;
  size_t objects = 0;
  ItemKeys keys_told;
  std::string* records = serve.as_records ? message.mutable_records() : nullptr;
  if (records != nullptr && cursor.valid()) records->reserve(bytes_max + cursor.value().size());
  for (size_t keys = 0; cursor.valid() && bytes < bytes_max && keys < slice_keys; cursor.next(), ++keys) {
    serve.to = cursor.key();
    if (records != nullptr) {
      Writer out(*records);
      out.bytes(cursor.key().substr(partition_key_bytes));
      out.bytes(cursor.value());
    } else {
      auto key = decode_object_key(cursor.key());
      if (!key || !has_bit(serve.differing, bucket_of(*key))) continue;
      auto& item = *message.add_items();
      keys_told.write(*key, item);
      item.set_object(cursor.value().data(), cursor.value().size());
    }
    bytes += cursor.key().size() + cursor.value().size();
    ++objects;
  }
  return objects;
}

void Repair::receive(Now now, const NodeId& from, const peer::RepairNext& message) {
  auto at = serves_.find({from, message.session()});
  if (at == serves_.end() || !at->second.hashed) return;
  Serve& serve = at->second;
  if (message.index() == 0 || message.index() > serve.index + 1) return;
  for (uint64_t kept = serve.index + 1 - message.index(); serve.ahead.size() > kept;) {
    serve.ahead_bytes -= serve.ahead.front();
    serve.ahead.pop_front();
  }
  serve.until_us = now.tick_us + idle_after_us;
  if (serve.last && serve.ahead.empty()) {
    serves_.erase(at);  // it has everything
    return;
  }
  send_due(now);
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
       : message.records().empty() ? apply_chunk(now, partition, message, *clock, pull.earlier)
                                   : apply_records(now, partition, message, *clock, pull.earlier));
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
                         const std::optional<Clock>& earlier) {
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  if (bug(Bug::repair_clock_first) && message.index() == 1) edit.join_clock(clock);
  shard_.stats.repair_objects_received += static_cast<uint64_t>(message.items_size());
  if (!merge_items(now, edit, message.items(), clock)) return false;
  if (!bug(Bug::repair_skips_absent_keys) && !cover_absent(edit, partition, message, clock)) return false;
  if (message.last()) {
    if (!join_end(edit, partition, message.voids())) return false;
    edit.join_clock(earlier ? *earlier : clock);
  }
  auto done = edit.commit();
  if (!done) shard_.store_failed(done.error());
  return done.ok();
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
  auto merged = shard_.replica.merge_into(edit, key, *object, *settled);
  if (!merged) shard_.store_failed(merged.error());
  return merged.ok();
}

}  // namespace covey
