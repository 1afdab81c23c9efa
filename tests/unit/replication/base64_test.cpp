#include "replication/base64.h"

#include <catch2/catch.hpp>

#include "tests/unit/replication/property.h"

namespace covey::base64_test {

TEST_CASE("base64 agrees with RFC 4648's examples, padded or not", "[base64]") {
  const std::pair<std::string, std::string> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"},
                                                          {"\xfb\xff", "+/8="}};
  for (const auto& [bytes, text] : examples) {
    CHECK(base64_encode(bytes) == text);
    CHECK(base64_decode(text) == bytes);
    CHECK(base64_decode(text.substr(0, text.find('='))) == bytes);
  }
  for (const char* bad : {"Z", "Zg=", "Zg=a", "Z g=", "Zh==", "====", "-_8=", "Zm8=Zm8="}) {
    INFO(bad);
    CHECK_FALSE(base64_decode(bad));
  }
}

TEST_CASE("base64 for headers has no padding and one spelling each", "[base64]") {
  const std::pair<std::string, std::string> examples[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
  for (const auto& [bytes, text] : examples) {
    CHECK(base64_encode(bytes, Base64::url) == text);
    CHECK(base64_decode(text, Base64::url) == bytes);
  }
  for (const char* bad : {"Z", "Zg==", "Zh", "Zm9", "Zm9vY", "+/8", "Zm 8", "Zm8\n"}) {
    INFO(bad);
    CHECK_FALSE(base64_decode(bad, Base64::url));
  }
}

TEST_CASE("base64 gives any bytes back", "[base64]") {
  CHECK_PROPERTY("round trip", [](const std::string& bytes) {
    RC_ASSERT(base64_decode(base64_encode(bytes)) == bytes);
    RC_ASSERT(base64_decode(base64_encode(bytes, Base64::url), Base64::url) == bytes);
  });
}

}  // namespace covey::base64_test
