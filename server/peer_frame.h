// Frames between nodes: length (4 bytes, little endian), XXH3 of the payload (8 bytes, little endian),
// payload. The checksum guards against what TCP's 16 bits let through; a frame that does not match ends the
// connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace covey::server {

inline constexpr size_t frame_header_bytes = 12;
inline constexpr size_t frame_payload_bytes_max = 64 * 1024 * 1024;

void append_frame(std::string& out, std::string_view payload);
// The header of a frame whose payload is both, one after the other.
void write_frame_header(char* to, std::string_view first, std::string_view second);

// Takes frames out of a stream. After a failure nothing more comes.
class FrameReader {
 public:
  enum class Failure { none, too_long, bad_checksum };

  // Where the next bytes of the stream are to be read to: with memory for all of a frame that has begun, so
  // nothing for strangers. Then filled() tells how many have come.
  std::span<char> room();
  void filled(size_t count) { end_ += count; }
  // Or they are copied.
  void feed(std::string_view bytes);

  // The next whole payload, valid until the next call of room() or feed(); nullopt: not there yet, or
  // failed().
  std::optional<std::string_view> next();
  Failure failed() const { return failure_; }
  bool empty() const { return begin_ == end_; }
  size_t buffered() const { return end_ - begin_; }

 private:
  void make_room(size_t bytes);

  std::unique_ptr<char[]> memory_;
  size_t capacity_ = 0;
  size_t begin_ = 0, end_ = 0;  // of what was not taken yet
  Failure failure_ = Failure::none;
};

}  // namespace covey::server
