// The side of a repair that has been asked: it adds up its own hashes, and sends what differs.
#include <algorithm>

#include "replication/codec.h"
#include "replication/repair.h"

namespace covey {
namespace {

constexpr size_t serves_max = 4;        // each pins a snapshot
constexpr uint64_t all_sent_below = 8;  // to who has less than this part of the objects
constexpr uint64_t waiting_told_us = 1'000'000;
// What an object counts for at the pace beside its bytes: small ones cost clients the processor, not the
// link.
constexpr uint64_t object_costs_bytes = 512;
constexpr uint64_t burst_us = 50'000;  // that the pace may be ahead after a pause

}  // namespace

void Repair::tick_serves(Now now) {
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

}  // namespace covey
