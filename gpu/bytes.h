// Writing and bounds-checked reading of the encodings: little endian, varints of 7 bits a byte, least first.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace covey::agg {

static_assert(std::endian::native == std::endian::little, "the encodings and tiles are little endian");

class ByteWriter {
 public:
  void u8(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void u64(uint64_t value) { raw(&value, sizeof value); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) u8(static_cast<uint8_t>(value | 0x80));
    u8(static_cast<uint8_t>(value));
  }
  void zigzag(int64_t value) {
    varint(static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63));
  }
  void text(std::string_view value) {
    varint(value.size());
    bytes_.append(value);
  }
  void raw(const void* data, size_t size) {
    if (size > 0) bytes_.append(static_cast<const char*>(data), size);
  }
  const std::string& bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first read that fails everything is zero and ok() is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : at_(bytes) {}
  bool ok() const { return ok_; }
  size_t left() const { return at_.size(); }
  bool ended() const { return ok_ && at_.empty(); }
  void fail() {
    ok_ = false;
    at_ = {};
  }
  uint8_t u8() {
    uint8_t value = 0;
    raw(&value, 1);
    return value;
  }
  uint64_t u64() {
    uint64_t value = 0;
    raw(&value, sizeof value);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = u8();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        // One way only to write a number.
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) fail();
        return ok_ ? value : 0;
      }
    }
    fail();
    return 0;
  }
  int64_t zigzag() {
    const uint64_t value = varint();
    return static_cast<int64_t>(value >> 1 ^ (0 - (value & 1)));
  }
  std::string_view text(size_t size_max) {
    const uint64_t size = varint();
    if (size > size_max || size > at_.size()) {
      fail();
      return {};
    }
    const std::string_view result = at_.substr(0, size);
    at_.remove_prefix(size);
    return result;
  }
  void raw(void* into, size_t size) {
    if (size > at_.size()) {
      fail();
      return;
    }
    if (size == 0) return;  // `into` may be null
    std::memcpy(into, at_.data(), size);
    at_.remove_prefix(size);
  }

 private:
  std::string_view at_;
  bool ok_ = true;
};

}  // namespace covey::agg
