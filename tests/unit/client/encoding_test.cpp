#include "client/encoding.h"

#include <catch2/catch.hpp>

namespace covey::client::encoding_test {

TEST_CASE("a key of any bytes is one path segment", "[client]") {
  CHECK(percent_encode("a/b?c d%é") == "a%2Fb%3Fc%20d%25%C3%A9");
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode(std::string("\0\xff", 2)) == "%00%FF");
}

TEST_CASE("UTF-8 is told from other bytes", "[client]") {
  for (const std::string text :
       {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\xA6", "\xF4\x8F\xBF\xBF"}) {
    CHECK(valid_utf8(text));
  }
  // Lone and cut characters, overlong spellings, a surrogate, a point beyond the last.
  for (const std::string text :
       {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"}) {
    CHECK_FALSE(valid_utf8(text));
  }
}

TEST_CASE("a value's type is guessed from its bytes", "[client]") {
  CHECK(guess_content_type(R"({"a": 1})") == "application/json");
  CHECK(guess_content_type("5") == "application/json");
  CHECK(guess_content_type("hello") == "text/plain; charset=utf-8");
  CHECK(guess_content_type("") == "text/plain; charset=utf-8");
  CHECK(guess_content_type("\xFF\x00") == "application/octet-stream");
  CHECK(is_json_type("application/json; charset=utf-8"));
  CHECK(is_json_type("application/vnd.covey+json"));
  CHECK_FALSE(is_json_type("text/plain; application/json"));
}

TEST_CASE("durations need a unit", "[client]") {
  using std::chrono::milliseconds;
  const std::pair<std::string, int64_t> examples[] = {{"250ms", 250},  {"10s", 10'000},   {"1.5s", 1500},
                                                      {"5m", 300'000}, {"2h", 7'200'000}, {"1d", 86'400'000},
                                                      {"0s", 0}};
  for (const auto& [text, ms] : examples) CHECK(parse_duration(text) == milliseconds(ms));
  for (const std::string text :
       {"", "10", "s", "-1s", "1 s", "1w", "1sx", "nans", "infs", "1e3s", "99999d"}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("levels are one, quorum, all or a number of replicas", "[client]") {
  for (const std::string level : {"one", "quorum", "all", "1", "3", "12"}) CHECK(valid_level(level));
  for (const std::string level : {"", "0", "-1", "two", "ALL", "1.5", "100", "03"})
    CHECK_FALSE(valid_level(level));
}

}  // namespace covey::client::encoding_test
