// What anybody may send to the peer port, in pieces of any size: frames out of a stream.
#include <algorithm>
#include <vector>

#include "server/peer_frame.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  if (size == 0) return 0;
  size_t piece = data[0] == 0 ? size : data[0];
  std::string_view payload = fuzz::view(data + 1, size - 1);

  auto frames = [piece](std::string_view stream) {
    server::FrameReader reader;
    std::vector<std::string> out;
    for (size_t turn = 0; !stream.empty(); ++turn) {
      std::string_view next = stream.substr(0, piece);
      if (turn % 2 == 0) {
        const auto room = reader.room();
        next = next.substr(0, room.size());
        std::copy(next.begin(), next.end(), room.begin());
        reader.filled(next.size());
      } else {
        reader.feed(next);
      }
      stream.remove_prefix(next.size());
      while (auto frame = reader.next()) out.emplace_back(*frame);
    }
    return out;
  };
  frames(payload);  // as it came: nearly always a wrong checksum or an impossible length

  std::string stream;
  server::append_frame(stream, payload);
  server::append_frame(stream, payload);
  COVEY_ASSERT(frames(stream) == std::vector<std::string>(2, std::string(payload)));
  stream[size % stream.size()] = static_cast<char>(stream[size % stream.size()] ^ 0x10);
  for (const std::string& frame : frames(stream)) COVEY_ASSERT(frame == payload);
  return 0;
}
