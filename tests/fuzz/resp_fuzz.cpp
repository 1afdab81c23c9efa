// What anybody may send to the port of the Redis protocol, in pieces of any size.
#include <algorithm>

#include "server/resp_parser.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  using server::RespParser;
  if (size < 2) return 0;
  const server::RespLimits limits{.words = 20,
                                  .word_bytes = 256,
                                  .command_bytes = 2048,
                                  .line_bytes = 128,
                                  .words_before_authentication = 4,
                                  .word_bytes_before_authentication = 64};
  RespParser parser(limits);
  // The first two bytes say how large the pieces are, and whether the client has authenticated.
  const size_t piece = data[0] == 0 ? size : data[0];
  const bool authenticated = data[1] % 2 == 0;
  std::string_view all = fuzz::view(data + 2, size - 2);
  std::string waiting;
  while (!all.empty()) {
    const size_t taken = std::min(piece, all.size());
    waiting.append(all.substr(0, taken));
    all.remove_prefix(taken);
    std::string_view left = waiting;
    for (;;) {
      const size_t before = left.size();
      const auto event = parser.parse(left, authenticated);
      COVEY_ASSERT(left.size() <= before);
      if (event == RespParser::Event::failed) {
        COVEY_ASSERT(parser.error().starts_with("Protocol error: "));
        return 0;
      }
      if (event == RespParser::Event::need_more) break;
      COVEY_ASSERT(left.size() < before);
      const auto words = parser.take_words();
      COVEY_ASSERT(!words.empty());
      for (const std::string& word : words) {
        COVEY_ASSERT(word.size() <= limits.word_bytes);
        COVEY_ASSERT(authenticated || word.size() <= limits.word_bytes_before_authentication);
      }
      COVEY_ASSERT(authenticated || words.size() <= limits.words_before_authentication);
    }
    // A line that does not end is refused before it fills the memory.
    COVEY_ASSERT(left.size() <= limits.line_bytes);
    waiting.erase(0, waiting.size() - left.size());
  }
  return 0;
}
