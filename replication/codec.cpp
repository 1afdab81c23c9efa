#include "replication/codec.h"

#include <array>

#include "replication/result.h"

namespace covey {
namespace {

constexpr uint8_t format_of_values = 1;  // registers alone, as all objects were before there were others
constexpr uint8_t format_of_kinds = 2;

// Content types that nearly every value has, by number. Persisted: append only. 0: spelled out.
constexpr std::array<std::string_view, 6> common_types = {"",
                                                          "",
                                                          "application/json",
                                                          "text/plain",
                                                          "application/octet-stream",
                                                          "application/x-www-form-urlencoded"};

uint8_t common_type(std::string_view type) {
  for (size_t i = 1; i < common_types.size(); ++i) {
    if (common_types[i] == type) return static_cast<uint8_t>(i);
  }
  return 0;
}

}  // namespace

// Each number is appended once, not byte by byte: a put writes some twenty of them.
void Writer::u32_big(uint32_t value) {
  std::array<char, 4> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (24 - 8 * i));
  out_.append(bytes.data(), bytes.size());
}
void Writer::u64(uint64_t value) {
  std::array<char, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out_.append(bytes.data(), bytes.size());
}
void Writer::u64_big(uint64_t value) {
  std::array<char, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (56 - 8 * i));
  out_.append(bytes.data(), bytes.size());
}
void Writer::varint(uint64_t value) {
  std::array<char, 10> bytes;
  size_t count = 0;
  for (; value >= 0x80; value >>= 7) bytes[count++] = static_cast<char>(value | 0x80);
  bytes[count++] = static_cast<char>(value);
  out_.append(bytes.data(), count);
}
void Writer::bytes(std::string_view value) {
  varint(value.size());
  raw(value);
}

std::string_view Reader::take(size_t count) {
  if (!ok_ || count > in_.size()) {
    fail();
    return {};
  }
  std::string_view out = in_.substr(0, count);
  in_.remove_prefix(count);
  return out;
}
uint8_t Reader::u8() {
  std::string_view byte = take(1);
  return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
}
uint32_t Reader::u32_big() {
  uint32_t out = 0;
  for (char c : take(4)) out = out << 8 | static_cast<uint8_t>(c);
  return out;
}
uint64_t Reader::u64() {
  uint64_t out = 0;
  int shift = 0;
  for (char c : take(8)) {
    out |= static_cast<uint64_t>(static_cast<uint8_t>(c)) << shift;
    shift += 8;
  }
  return out;
}
uint64_t Reader::u64_big() {
  uint64_t out = 0;
  for (char c : take(8)) out = out << 8 | static_cast<uint8_t>(c);
  return out;
}
uint64_t Reader::varint() {
  uint64_t out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t byte = u8();
    if (!ok_) return 0;
    if (shift == 63 && byte > 1) break;
    if (shift > 0 && byte == 0) break;  // a shorter spelling exists: each number has one
    out |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return out;
  }
  fail();
  return 0;
}
std::string_view Reader::bytes() {
  uint64_t size = varint();
  return take(static_cast<size_t>(size));
}
std::string_view Reader::until_zero() {
  size_t at = in_.find('\0');
  if (at == std::string_view::npos) {
    fail();
    return {};
  }
  std::string_view out = take(at);
  take(1);
  return out;
}
std::string_view Reader::rest() { return take(in_.size()); }

void encode(Writer& out, const DotSet& set) {
  out.varint(set.entries().size());
  for (const auto& entry : set.entries()) {
    out.u64(entry.actor.value);
    out.varint(entry.base);
    out.varint(entry.runs.size());
    uint64_t before = entry.base;
    for (const auto& run : entry.runs) {
      out.varint(run.first - before);
      out.varint(run.last - run.first);
      before = run.last;
    }
  }
}

std::string encode(const DotSet& set) {
  std::string out;
  Writer writer(out);
  encode(writer, set);
  return out;
}

std::optional<DotSet> decode_dot_set(Reader& in) {
  DotSet out;
  uint64_t entries = in.varint();
  Actor last_actor{0};
  for (uint64_t i = 0; i < entries && in.ok(); ++i) {
    Actor actor{in.u64()};
    if (i > 0 && actor <= last_actor) return std::nullopt;
    last_actor = actor;
    uint64_t base = in.varint();
    uint64_t runs = in.varint();
    if (base == 0 && runs == 0) return std::nullopt;
    if (base > 0) out.add(actor, {1, base});
    uint64_t before = base;
    for (uint64_t r = 0; r < runs && in.ok(); ++r) {
      uint64_t gap = in.varint();
      uint64_t length = in.varint();
      // Normal form: at least one counter is missing before each run; and no number wraps around.
      if (!in.ok() || gap < 2 || gap > UINT64_MAX - before || length > UINT64_MAX - before - gap) {
        return std::nullopt;
      }
      out.add(actor, {before + gap, before + gap + length});
      before = before + gap + length;
    }
  }
  if (!in.ok()) return std::nullopt;
  return out;
}

std::optional<DotSet> decode_dot_set(std::string_view bytes) {
  Reader in(bytes);
  auto out = decode_dot_set(in);
  if (!out || !in.done()) return std::nullopt;
  return out;
}

std::string encode(const Object& object) {
  std::string bytes;
  size_t estimate = 16;
  for (const Version& version : object.versions) estimate += version.value.size() + version.name.size() + 48;
  bytes.reserve(estimate);
  Writer out(bytes);
  const bool kinds = !plain(object);
  out.u8(kinds ? format_of_kinds : format_of_values);
  out.varint(object.versions.size());
  for (const Version& version : object.versions) {
    out.u64(version.dot.actor.value);
    out.varint(version.dot.counter.value);
    out.u64(version.time.value);
    out.varint(version.expires_ms);
    uint8_t type = common_type(version.content_type);
    out.u8(type);
    if (type == 0) out.bytes(version.content_type);
    out.bytes(version.value);
    if (!kinds) continue;
    out.u8(static_cast<uint8_t>(version.kind));
    out.bytes(version.name);
  }
  encode(out, object.context);
  return bytes;
}

bool read_object(std::string_view bytes, ObjectView& out) {
  Reader in(bytes);
  out.versions.clear();
  out.context.clear();
  const uint8_t format = in.u8();
  if (format != format_of_values && format != format_of_kinds) return false;
  bool plain = true;
  uint64_t versions = in.varint();
  for (uint64_t i = 0; i < versions && in.ok(); ++i) {
    VersionView version;
    version.dot.actor.value = in.u64();
    version.dot.counter.value = in.varint();
    version.time.value = in.u64();
    version.expires_ms = in.varint();
    uint8_t type = in.u8();
    if (type >= common_types.size()) return false;
    version.content_type = type == 0 ? in.bytes() : common_types[type];
    if (type == 0 && common_type(version.content_type) != 0) return false;
    version.value = in.bytes();
    if (format == format_of_kinds) {
      const uint8_t kind = in.u8();
      if (kind >= static_cast<uint8_t>(VersionKind::count)) return false;
      version.kind = static_cast<VersionKind>(kind);
      version.name = in.bytes();
      if (version.kind == VersionKind::value && !version.name.empty()) return false;
      plain = plain && version.kind == VersionKind::value;
    }
    if (version.dot.counter.value == 0) return false;
    if (!out.versions.empty() && version.dot <= out.versions.back().dot) return false;
    out.versions.push_back(version);
  }
  auto context = decode_dot_set(in);
  if (!context || !in.done()) return false;
  // One object has one encoding.
  if (format == format_of_kinds && plain) return false;
  out.context = std::move(*context);
  return true;
}

std::optional<Object> decode_object(std::string_view bytes) {
  ObjectView view;
  if (!read_object(bytes, view)) return std::nullopt;
  return to_object(view);
}

std::string object_key(PartitionId partition, std::string_view table, std::string_view key) {
  std::string out;
  out.reserve(5 + table.size() + key.size());
  Writer writer(out);
  writer.u32_big(partition.value);
  writer.raw(table);
  writer.u8(0);
  writer.raw(key);
  return out;
}

std::string dot_key(PartitionId partition, Dot dot) {
  std::string out;
  out.reserve(20);
  Writer writer(out);
  writer.u32_big(partition.value);
  writer.u64_big(dot.actor.value);
  writer.u64_big(dot.counter.value);
  return out;
}

std::string dot_value(std::string_view table, std::string_view key) {
  std::string out(table);
  out.push_back('\0');
  out.append(key);
  return out;
}

std::string expiry_key(PartitionId partition, uint64_t expires_ms, std::string_view table,
                       std::string_view key) {
  std::string out;
  Writer writer(out);
  writer.u32_big(partition.value);
  writer.u64_big(expires_ms);
  writer.raw(dot_value(table, key));
  return out;
}

std::string partition_key(PartitionId partition) {
  std::string out;
  Writer(out).u32_big(partition.value);
  return out;
}

std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

namespace {
std::optional<TableKey> rest_as_table_key(Reader& in) {
  TableKey out{std::string(in.until_zero()), std::string(in.rest())};
  if (!in.ok() || out.table.empty() || out.key.empty()) return std::nullopt;
  return out;
}
}  // namespace

std::optional<TableKey> decode_object_key(std::string_view bytes) {
  Reader in(bytes);
  in.u32_big();
  return rest_as_table_key(in);
}

std::optional<TableKey> decode_dot_value(std::string_view bytes) {
  Reader in(bytes);
  return rest_as_table_key(in);
}

std::optional<DotKey> decode_dot_key(std::string_view bytes) {
  Reader in(bytes);
  DotKey out;
  out.partition.value = in.u32_big();
  out.dot.actor.value = in.u64_big();
  out.dot.counter.value = in.u64_big();
  if (!in.done() || out.dot.counter.value == 0) return std::nullopt;
  return out;
}

std::optional<ExpiryKey> decode_expiry_key(std::string_view bytes) {
  Reader in(bytes);
  PartitionId partition{in.u32_big()};
  uint64_t expires_ms = in.u64_big();
  auto key = rest_as_table_key(in);
  if (!key) return std::nullopt;
  return ExpiryKey{partition, expires_ms, std::move(*key)};
}

}  // namespace covey
