// What a client sends as Covey-Context. The tag keeps a fuzzer from ever getting past it, so it is also given
// bytes as the text of a token that was sealed.
#include "replication/base64.h"
#include "replication/codec.h"
#include "replication/context_token.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  std::string_view text = fuzz::view(data, size);
  TokenKey secret = token_key("fuzz");
  if (auto bytes = base64_decode(text, Base64::url)) COVEY_ASSERT(base64_encode(*bytes, Base64::url) == text);
  COVEY_ASSERT(base64_decode(base64_encode(text, Base64::url), Base64::url) == text);
  if (auto context = open_context(secret, "t", "k", text)) {
    COVEY_ASSERT(seal_context(secret, "t", "k", *context, [] { return DotSet{}; }) == text);
  }
  if (auto context = decode_dot_set(text)) {
    // Whatever is given out may be sent back, and claims no more.
    std::string token = seal_context(secret, "t", "k", *context, [] { return DotSet{}; });
    COVEY_ASSERT(token.size() <= token_bytes_max);
    auto opened = open_context(secret, "t", "k", token);
    COVEY_ASSERT(opened && context->contains(*opened));
    COVEY_ASSERT(!open_context(secret, "t", "k2", token));
  }
  return 0;
}
