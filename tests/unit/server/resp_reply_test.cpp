#include "server/resp_reply.h"

#include <catch2/catch.hpp>

#include "server/glob.h"
#include "server/resp_cursors.h"
#include "server/resp_expiry.h"

namespace covey::resp_reply_test {

using namespace covey;
using namespace covey::server;

TEST_CASE("an answer is written as its version of the protocol has it", "[resp]") {
  const auto written = [](int protocol) {
    RespReply reply(protocol);
    reply.array(8);
    reply.ok();
    reply.integer(-7);
    reply.bulk(std::string_view("a\0\r\n", 4));
    reply.bulk_or_null(std::nullopt);
    reply.bulk_or_null("v");
    reply.null_array();
    reply.text("t");
    reply.map(1);
    reply.bulk("k");
    reply.bulk("");
    CHECK_FALSE(reply.failed());
    return reply.take();
  };
  const std::string begin = std::string("*8\r\n+OK\r\n:-7\r\n$4\r\na\0\r\n\r\n", 24);
  const std::string pair = "$1\r\nk\r\n$0\r\n\r\n";
  CHECK(written(2) == begin + "$-1\r\n$1\r\nv\r\n*-1\r\n$1\r\nt\r\n*2\r\n" + pair);
  CHECK(written(3) == begin + "_\r\n$1\r\nv\r\n_\r\n=5\r\ntxt:t\r\n%1\r\n" + pair);
}

TEST_CASE("an error is one line and all of the answer", "[resp]") {
  RespReply reply(2);
  reply.array(2);
  reply.error("ERR a\r\nb");
  CHECK(reply.failed());
  CHECK(reply.take() == "-ERR a  b\r\n");
  reply.error("ERR at its end \r\n\n");
  CHECK(reply.take() == "-ERR at its end \r\n");
}

TEST_CASE("patterns match as in Redis", "[resp]") {
  for (const char* pattern : {"*", "abc", "a*", "*c", "a?c", "a*b*c", "[a]bc", "[^b]bc", "[a-b]bc", "[b-a]bc",
                              "a\\bc", "**c", "a[\\b]c", "ab[c"}) {
    INFO(pattern);
    CHECK(matches_glob(pattern, "abc"));
  }
  for (const char* pattern : {"", "ab", "abcd", "?", "a*d", "[^a]bc", "[]bc", "a\\*c", "A*", "a?"}) {
    INFO(pattern);
    CHECK_FALSE(matches_glob(pattern, "abc"));
  }
  CHECK(matches_glob("", ""));
  CHECK(matches_glob("\\*[*]", "**"));
  std::string hard;
  for (int i = 0; i < 200; ++i) hard += "a*";
  CHECK_FALSE(matches_glob(hard + "b", std::string(2'000, 'a')));
  CHECK(literal_prefix("user:\\*1*") == "user:*1");
  CHECK(literal_prefix("[a]b").empty());
}

TEST_CASE("the places of scans that are told lately are known", "[resp]") {
  RespCursors cursors;
  CHECK_FALSE(cursors.find(0));
  CHECK_FALSE(cursors.find(1));
  const uint64_t first = cursors.add({"t", 3, "k"});
  REQUIRE(first != 0);
  REQUIRE(cursors.find(first));
  CHECK(cursors.find(first)->partition == 3);
  CHECK(cursors.find(first)->start_key == "k");
  for (uint64_t i = 1; i < RespCursors::cursors_max; ++i) cursors.add({"t", 0, ""});
  CHECK(cursors.find(first));
  cursors.add({"t", 0, ""});
  CHECK_FALSE(cursors.find(first));
  CHECK_FALSE(cursors.find(UINT64_MAX));
}

TEST_CASE("a time of expiry is refused where it can't be told", "[resp]") {
  const Now now{.tick_us = 0, .wall_ms = 1'700'000'000'000};
  const auto at = [&](const char* text, ExpiryUnit unit) { return parse_expiry(text, unit, "set", now); };
  CHECK(*at("10", {.seconds = true}) == 1'700'000'010'000);
  CHECK(*at("10", {}) == 1'700'000'000'010);
  CHECK(*at("1800000000", {.seconds = true, .since_1970 = true}) == 1'800'000'000'000);
  CHECK(*at("-5", {.since_1970 = true}) == -5);
  CHECK(*at("0", {.since_1970 = true}) == 1);
  CHECK(at("x", {}).error() == "ERR value is not an integer or out of range");
  const std::string invalid = "ERR invalid expire time in 'set' command";
  CHECK(at("9223372036854775807", {.seconds = true}).error() == invalid);
  CHECK(at("9223372036854775807", {}).error() == invalid);
  CHECK(*at("-9223372036854775808", {}) < 0);
  CHECK(at("-9223372036854775808", {.seconds = true}).error() == invalid);
}

}  // namespace covey::resp_reply_test
