// What anybody may send to the HTTP port, in pieces of any size.
#include <algorithm>

#include "server/http_parser.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  using server::HttpParser;
  if (size == 0) return 0;
  server::HttpLimits limits;
  limits.header_bytes = 512;
  limits.value_bytes = 256;
  limits.batch_bytes = 1024;
  HttpParser parser(limits);
  // The first byte says how large the pieces are, so that cuts fall everywhere.
  size_t piece = data[0] == 0 ? size : data[0];
  std::string_view all = fuzz::view(data + 1, size - 1);
  std::string waiting;
  while (!all.empty()) {
    size_t taken = std::min(piece, all.size());
    waiting.append(all.substr(0, taken));
    all.remove_prefix(taken);
    std::string_view left = waiting;
    for (;;) {
      size_t before = left.size();
      auto event = parser.parse(left);
      COVEY_ASSERT(left.size() <= before);
      COVEY_ASSERT(parser.request().body.size() <= limits.batch_bytes);
      if (event == HttpParser::Event::failed) return 0;
      if (event == HttpParser::Event::need_more) break;
      if (event == HttpParser::Event::complete) {
        COVEY_ASSERT(!parser.request().target.empty());
        parser.next();
      }
      if (left.empty()) break;
    }
    // A header that does not end is refused before it fills the memory.
    COVEY_ASSERT(left.size() <= limits.header_bytes + piece);
    waiting.erase(0, waiting.size() - left.size());
  }
  return 0;
}
