// Frames between nodes: length (4 bytes, little endian), XXH3 of the payload (8 bytes, little endian),
// payload. The checksum guards against what TCP's 16 bits let through; a frame that does not match ends the
// connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace covey::server {

inline constexpr size_t frame_header_bytes = 12;
inline constexpr size_t frame_payload_bytes_max = 64 * 1024 * 1024;

void append_frame(std::string& out, std::string_view payload);
// Fills in the header of a frame whose payload was written in place: frame_begin reserves, frame_end
// completes.
size_t frame_begin(std::string& out);
void frame_end(std::string& out, size_t begin);

// Takes frames out of a stream. After a failure nothing more comes.
class FrameReader {
 public:
  enum class Failure { none, too_long, bad_checksum };

  void feed(std::string_view bytes);
  // The next whole payload, valid until the next call of feed(); nullopt: not there yet, or failed().
  std::optional<std::string_view> next();
  Failure failed() const { return failure_; }
  bool empty() const { return taken_ == bytes_.size(); }
  size_t buffered() const { return bytes_.size() - taken_; }

 private:
  std::string bytes_;
  size_t taken_ = 0;
  Failure failure_ = Failure::none;
};

}  // namespace covey::server
