#include "server/peer_frame.h"

#include "replication/hash.h"
#include "replication/result.h"

namespace covey::server {
namespace {

constexpr uint64_t frame_seed = 0x6672616d65;
constexpr size_t kept_bytes_max = 1024 * 1024;  // a larger buffer is given back once it is empty

void write_little(char* to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to[i] = static_cast<char>(value >> (8 * i) & 0xff);
}

uint64_t read_little(const char* from, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(from[i]);
  return value;
}

}  // namespace

size_t frame_begin(std::string& out) {
  size_t begin = out.size();
  out.resize(begin + frame_header_bytes);
  return begin;
}

void frame_end(std::string& out, size_t begin) {
  std::string_view payload = std::string_view(out).substr(begin + frame_header_bytes);
  COVEY_ASSERT(payload.size() <= frame_payload_bytes_max);
  write_little(out.data() + begin, payload.size(), 4);
  write_little(out.data() + begin + 4, hash_bytes(payload, frame_seed), 8);
}

void append_frame(std::string& out, std::string_view payload) {
  size_t begin = frame_begin(out);
  out.append(payload);
  frame_end(out, begin);
}

void FrameReader::feed(std::string_view bytes) {
  if (taken_ == bytes_.size()) {
    bytes_.clear();
    if (bytes_.capacity() > kept_bytes_max) bytes_.shrink_to_fit();
  } else {
    bytes_.erase(0, taken_);
  }
  taken_ = 0;
  bytes_.append(bytes);
}

std::optional<std::string_view> FrameReader::next() {
  std::string_view rest = std::string_view(bytes_).substr(taken_);
  if (failure_ != Failure::none || rest.size() < 4) return std::nullopt;
  size_t length = read_little(rest.data(), 4);
  if (length > frame_payload_bytes_max) {
    failure_ = Failure::too_long;
    return std::nullopt;
  }
  if (rest.size() < frame_header_bytes + length) return std::nullopt;
  std::string_view payload = rest.substr(frame_header_bytes, length);
  if (read_little(rest.data() + 4, 8) != hash_bytes(payload, frame_seed)) {
    failure_ = Failure::bad_checksum;
    return std::nullopt;
  }
  taken_ += frame_header_bytes + length;
  return payload;
}

}  // namespace covey::server
