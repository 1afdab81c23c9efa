#include "server/peer_frame.h"

#include <algorithm>
#include <cstring>

#include "replication/hash.h"
#include "replication/result.h"

namespace covey::server {
namespace {

constexpr uint64_t frame_seed = 0x6672616d65;
constexpr size_t kept_frame_bytes_max = 1024 * 1024;  // larger memory is given back once it is empty
constexpr size_t read_bytes = 128 * 1024;
constexpr size_t read_beyond_bytes = 16 * 1024;  // the end of a frame, which is moved to the front

void write_little(char* to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to[i] = static_cast<char>(value >> (8 * i) & 0xff);
}

uint64_t read_little(const char* from, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(from[i]);
  return value;
}

}  // namespace

void write_frame_header(char* to, std::string_view first, std::string_view second) {
  COVEY_ASSERT(first.size() + second.size() <= frame_payload_bytes_max);
  write_little(to, first.size() + second.size(), 4);
  const uint64_t hash =
      second.empty() ? hash_bytes(first, frame_seed) : hash_bytes(first, second, frame_seed);
  write_little(to + 4, hash, 8);
}

void append_frame(std::string& out, std::string_view payload) {
  const size_t begin = out.size();
  out.resize(begin + frame_header_bytes);
  write_frame_header(out.data() + begin, payload, {});
  out.append(payload);
}

// Behind what was not taken yet.
void FrameReader::make_room(size_t bytes) {
  const size_t rest = end_ - begin_;
  if (capacity_ - end_ >= bytes && (rest > 0 || capacity_ <= kept_frame_bytes_max)) return;
  if (capacity_ < rest + bytes || (rest == 0 && capacity_ > kept_frame_bytes_max)) {
    const size_t grown = std::max(rest + bytes, std::min(2 * capacity_, kept_frame_bytes_max));
    auto memory = std::make_unique_for_overwrite<char[]>(grown);
    if (rest > 0) std::memcpy(memory.get(), memory_.get() + begin_, rest);
    memory_ = std::move(memory);
    capacity_ = grown;
  } else {
    std::memmove(memory_.get(), memory_.get() + begin_, rest);
  }
  begin_ = 0;
  end_ = rest;
}

std::span<char> FrameReader::room() {
  if (begin_ == end_) begin_ = end_ = 0;
  const size_t rest = end_ - begin_;
  size_t wanted = read_bytes;
  if (rest >= 4) {
    const size_t frame = frame_header_bytes +
                         std::min<size_t>(read_little(memory_.get() + begin_, 4), frame_payload_bytes_max);
    if (frame > read_bytes) wanted = frame - std::min(frame, rest) + read_beyond_bytes;
  }
  make_room(wanted);
  return {memory_.get() + end_, wanted};
}

void FrameReader::feed(std::string_view bytes) {
  if (begin_ == end_) begin_ = end_ = 0;
  make_room(bytes.size());
  if (!bytes.empty()) std::memcpy(memory_.get() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

std::optional<std::string_view> FrameReader::next() {
  const std::string_view rest(memory_.get() + begin_, end_ - begin_);
  if (failure_ != Failure::none || rest.size() < 4) return std::nullopt;
  const size_t length = read_little(rest.data(), 4);
  if (length > frame_payload_bytes_max) {
    failure_ = Failure::too_long;
    return std::nullopt;
  }
  if (rest.size() < frame_header_bytes + length) return std::nullopt;
  const std::string_view payload = rest.substr(frame_header_bytes, length);
  if (read_little(rest.data() + 4, 8) != hash_bytes(payload, frame_seed)) {
    failure_ = Failure::bad_checksum;
    return std::nullopt;
  }
  begin_ += frame_header_bytes + length;
  return payload;
}

}  // namespace covey::server
