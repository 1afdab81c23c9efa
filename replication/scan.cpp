#include "replication/scan.h"

#include <algorithm>

#include "replication/codec.h"

namespace covey {
namespace {

constexpr uint32_t rows_max = 10'000;

struct Range {
  std::string table;
  std::string start_key;
  std::string prefix;
  uint32_t limit;
};

// Calls `row` with keys and stored bytes in order. covered_to: nullopt when all keys of the range were told.
template <class Row>
Refusal walk(Shard& shard, PartitionId id, const Range& range, std::optional<std::string>& covered_to,
             Row row) {
  const std::string& first = std::max(range.start_key, range.prefix);
  std::string table_begin = object_key(id, range.table, "");
  std::string upper = after_prefix(table_begin + range.prefix);
  auto cursor = shard.store.cursor(Column::objects, table_begin + first, upper);
  uint32_t limit = std::clamp<uint32_t>(range.limit, 1, rows_max);
  size_t bytes = 0;
  covered_to.reset();
  for (uint32_t rows = 0; cursor->valid(); cursor->next(), ++rows) {
    if (rows >= limit || bytes >= shard.options.message_bytes_max) break;
    std::string_view key = cursor->key().substr(table_begin.size());
    bytes += key.size() + cursor->value().size();
    if (!row(key, cursor->value())) {
      shard.store_failed(
          {StoreError::Kind::corruption, "the object of key " + std::string(key) + " is unreadable"});
      return Refusal::storage_failed;
    }
    covered_to = key;
  }
  if (auto error = cursor->error()) {
    shard.store_failed(*error);
    return refusal_of(*error);
  }
  if (!cursor->valid()) covered_to.reset();
  return Refusal::none;
}

}  // namespace

Refusal read_here(Shard& shard, PartitionId id, const Request& request, ReadAnswer& answer) {
  const Partition& partition = shard.replica.at(id);
  answer.node = shard.members.self();
  answer.counts_strictly = partition.ready && shard.owns(id);
  if (request.operation == Operation::get) {
    auto object = shard.replica.read(partition, {request.table, request.key});
    if (!object) {
      shard.store_failed(object.error());
      return refusal_of(object.error());
    }
    answer.object = std::move(*object);
    return Refusal::none;
  }
  answer.object = fill({}, partition.clock);
  Range range{request.table, request.start_key, request.prefix, request.limit};
  return walk(shard, id, range, answer.covered_to, [&](std::string_view key, std::string_view bytes) {
    auto object = decode_object(bytes);
    if (object) answer.rows.emplace(key, fill(std::move(*object), partition.clock));
    return object.has_value();
  });
}

Refusal scan_for_peer(Shard& shard, PartitionId id, const peer::Scan& wanted, peer::ScanReply& reply) {
  const Partition& partition = shard.replica.at(id);
  reply.set_base(encode(partition.clock.bases()));
  reply.set_ready(partition.ready && shard.owns(id));
  std::optional<std::string> covered_to;
  Range range{wanted.table(), wanted.start_key(), wanted.prefix(), wanted.limit()};
  Refusal refusal = walk(shard, id, range, covered_to, [&](std::string_view key, std::string_view bytes) {
    auto& item = *reply.add_items();
    item.set_key(key.data(), key.size());
    item.set_object(bytes.data(), bytes.size());
    return true;
  });
  reply.set_end(!covered_to);
  if (covered_to) reply.set_covered_to(*covered_to);
  return refusal;
}

std::optional<ReadAnswer> decode_scan_reply(const peer::ScanReply& message) {
  ReadAnswer answer;
  auto base = decode_dot_set(message.base());
  if (!base) return std::nullopt;
  answer.object = fill({}, *base);
  for (const auto& item : message.items()) {
    auto object = decode_object(item.object());
    if (!object || item.key().empty()) return std::nullopt;
    answer.rows.emplace(item.key(), fill(std::move(*object), *base));
  }
  if (!message.end()) answer.covered_to = message.covered_to();
  return answer;
}

}  // namespace covey
