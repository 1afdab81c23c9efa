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
    COVEY_ASSERT(seal_context(secret, "t", "k", *context) == text);
  }
  if (auto context = decode_dot_set(text)) {
    std::string token = seal_context(secret, "t", "k", *context);
    // A token that is longer than clients may send is refused.
    auto opened = open_context(secret, "t", "k", token);
    COVEY_ASSERT(!opened || opened == context);
    COVEY_ASSERT(!open_context(secret, "t", "k2", token));
  }
  return 0;
}
