// Messages on their way to a peer: frames in pieces of memory, which one write gathers. The records of a
// repair's chunk, nearly all of its bytes, are a piece as they are; everything else is encoded into pieces.
#pragma once

#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace covey::peer {
class Envelope;
}

namespace covey::server {

// Used by one thread.
class OutgoingFrames {
 public:
  // size: of the message as protobuf encodes it. REQUIRES size <= frame_payload_bytes_max. The message may
  // have lost its records afterwards.
  void add(peer::Envelope& message, size_t size);

  // Keeps some memory for the next.
  void clear();

  bool empty() const { return bytes_ == 0; }
  size_t bytes() const { return bytes_; }
  // All of it in order; valid as long as nothing is added and this stays where it is.
  std::vector<boost::asio::const_buffer> buffers() const;

 private:
  struct Piece {
    std::unique_ptr<char[]> memory;
    size_t capacity = 0;
    size_t used = 0;
    std::string records;  // or these
    std::string_view bytes() const { return memory ? std::string_view(memory.get(), used) : records; }
  };
  char* room(size_t bytes);

  std::vector<Piece> pieces_;
  size_t bytes_ = 0;
};

}  // namespace covey::server
