// Bytes of what is stored and sent: dot sets, objects and storage keys. Every decoder checks all it reads and
// answers nullopt for bytes that it did not write. Numbers are little endian, keys big endian (they sort).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "replication/object.h"
#include "replication/types.h"

namespace covey {

// Appends fields to a string.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void u8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void u32_big(uint32_t value);
  void u64(uint64_t value);
  void u64_big(uint64_t value);
  void varint(uint64_t value);
  void bytes(std::string_view value);  // length, then the bytes
  void raw(std::string_view value) { out_.append(value); }

 private:
  std::string& out_;
};

// Takes fields from the front of a view. After the first failure everything answers zero and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  uint8_t u8();
  uint32_t u32_big();
  uint64_t u64();
  uint64_t u64_big();
  uint64_t varint();
  std::string_view bytes();
  std::string_view until_zero();  // up to a zero byte, which is skipped
  std::string_view rest();
  bool ok() const { return ok_; }
  bool done() const { return ok_ && in_.empty(); }
  void fail() {
    ok_ = false;
    in_ = {};
  }

 private:
  std::string_view take(size_t count);
  std::string_view in_;
  bool ok_ = true;
};

void encode(Writer& out, const DotSet& set);
std::string encode(const DotSet& set);
std::optional<DotSet> decode_dot_set(Reader& in);
std::optional<DotSet> decode_dot_set(std::string_view bytes);  // and nothing behind it

std::string encode(const Object& object);
std::optional<Object> decode_object(std::string_view bytes);
// The same without copies; the memory of `out` is used again. False: not an object's encoding.
[[nodiscard]] bool read_object(std::string_view bytes, ObjectView& out);

// Storage keys (docs/formats.md). A table's name has no zero byte, so keys sort by partition, table, key.
std::string object_key(PartitionId partition, std::string_view table, std::string_view key);
std::string dot_key(PartitionId partition, Dot dot);
std::string dot_value(std::string_view table, std::string_view key);
std::string expiry_key(PartitionId partition, uint64_t expires_ms, std::string_view table,
                       std::string_view key);
inline constexpr size_t partition_key_bytes = 4;  // every key of a partition begins with them
std::string partition_key(PartitionId partition);
std::string after_prefix(std::string prefix);  // the least key beyond all that begin with it; empty: none

// Of object keys, residual keys (both with_partition) and dot values (without).
std::optional<TableKey> decode_object_key(std::string_view bytes);
std::optional<TableKey> decode_dot_value(std::string_view bytes);
struct DotKey {
  PartitionId partition;
  Dot dot;
};
std::optional<DotKey> decode_dot_key(std::string_view bytes);
struct ExpiryKey {
  PartitionId partition;
  uint64_t expires_ms;
  TableKey key;
};
std::optional<ExpiryKey> decode_expiry_key(std::string_view bytes);

}  // namespace covey
