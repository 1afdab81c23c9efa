#include "server/column_changes.h"

#include <utility>

#include "replication/codec.h"
#include "replication/hash.h"

namespace covey::server {
namespace {

constexpr uint64_t changes_seed = 0x6368616e676573;  // "changes"
constexpr size_t frame_bytes = 16;                   // length and checksum of a batch

}  // namespace

void ChangeWriter::add(PartitionId partition, uint64_t before, uint64_t after,
                       const std::vector<const TableKey*>& keys) {
  Writer out(body_);
  out.varint(partition.value);
  out.u64(before);
  out.u64(after);
  out.varint(keys.size());
  for (const TableKey* key : keys) {
    out.bytes(key->table);
    out.bytes(key->key);
  }
}

std::string ChangeWriter::take() {
  std::string batch;
  batch.reserve(frame_bytes + body_.size());
  Writer out(batch);
  out.u64(body_.size());
  out.u64(hash_bytes(body_, changes_seed));
  out.raw(body_);
  body_.clear();
  return batch;
}

bool ColumnChanges::read(std::string kept) {
  std::string_view bytes = bytes_.emplace_back(std::move(kept));
  while (!bytes.empty()) {
    if (bytes.size() < frame_bytes) return false;
    Reader frame(bytes.substr(0, frame_bytes));
    const uint64_t size = frame.u64();
    const uint64_t checksum = frame.u64();
    bytes.remove_prefix(frame_bytes);
    if (size > bytes.size() || hash_bytes(bytes.substr(0, size), changes_seed) != checksum) return false;
    std::string_view body = bytes.substr(0, size);
    bytes.remove_prefix(size);
    for (Reader in(body); !in.done();) {
      const PartitionId partition{static_cast<uint32_t>(in.varint())};
      const uint64_t before = in.u64();
      Record record{.after = in.u64(), .count = in.varint(), .keys = {}};
      const std::string_view keys = in.rest();
      Reader rest(keys);
      for (uint64_t left = record.count; left > 0 && rest.ok(); --left) {
        rest.bytes();
        rest.bytes();
      }
      if (!in.ok() || !rest.ok()) return false;
      const std::string_view left = rest.rest();
      record.keys = keys.substr(0, keys.size() - left.size());
      records_[partition].emplace(before, record);
      in = Reader(left);
    }
  }
  return true;
}

std::optional<std::set<std::string>> ColumnChanges::between(PartitionId partition, std::string_view table,
                                                            uint64_t from, uint64_t to) const {
  std::set<std::string> keys;
  std::set<uint64_t> reached = {from};
  std::vector<uint64_t> ahead = {from};
  auto records = records_.find(partition);
  while (!ahead.empty() && records != records_.end()) {
    const uint64_t state = ahead.back();
    ahead.pop_back();
    auto [at, end] = records->second.equal_range(state);
    for (; at != end; ++at) {
      Reader in(at->second.keys);
      for (uint64_t left = at->second.count; left > 0; --left) {
        const bool wanted = in.bytes() == table;
        const std::string_view key = in.bytes();
        if (wanted) keys.emplace(key);
      }
      if (reached.insert(at->second.after).second) ahead.push_back(at->second.after);
    }
  }
  if (!reached.contains(to)) return std::nullopt;
  return keys;
}

}  // namespace covey::server
