#include "server/resp_parser.h"

#include <catch2/catch.hpp>
#include <string>

#include "replication/number.h"

namespace covey::resp_parser_test {

using covey::parse_integer;
using namespace covey::server;
using Event = RespParser::Event;
using Words = std::vector<std::string>;

namespace {

struct Parsed {
  std::vector<Words> commands;
  std::string error;  // empty: none
};

// All of the text, in pieces that end where the network may cut it.
Parsed parse_in_pieces(const std::string& text, size_t piece, const RespLimits& limits = {},
                       bool authenticated = true) {
  RespParser parser(limits);
  Parsed out;
  std::string waiting;
  for (size_t at = 0; at < text.size(); at += piece) {
    waiting.append(text.substr(at, piece));
    std::string_view left = waiting;
    for (;;) {
      const Event event = parser.parse(left, authenticated);
      if (event == Event::need_more) break;
      if (event == Event::failed) {
        out.error = parser.error();
        return out;
      }
      out.commands.push_back(parser.take_words());
    }
    waiting.erase(0, waiting.size() - left.size());
  }
  return out;
}

std::string error_of(const std::string& text, bool authenticated = true) {
  const RespLimits limits{.words = 20, .word_bytes = 20'000, .command_bytes = 40'000, .line_bytes = 1000};
  const std::string error = parse_in_pieces(text, text.size(), limits, authenticated).error;
  CHECK(parse_in_pieces(text, 1, limits, authenticated).error == error);
  return error;
}

}  // namespace

TEST_CASE("commands are the same wherever the network cuts them", "[resp]") {
  const std::string text = std::string("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\na\r\nb\0c\r\n", 32) +
                           "\r\nPING\r\n*0\r\n*-1\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\nget  'k'\n";
  const std::vector<Words> wanted = {
      {"SET", "k", std::string("a\r\nb\0c", 6)}, {"PING"}, {"ECHO", ""}, {"get", "k"}};
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    INFO("pieces of " << piece);
    const Parsed parsed = parse_in_pieces(text, piece);
    CHECK(parsed.error.empty());
    CHECK(parsed.commands == wanted);
  }
}

TEST_CASE("what is not the protocol is refused in Redis' words", "[resp]") {
  CHECK(error_of("*x\r\n") == "Protocol error: invalid multibulk length");
  CHECK(error_of("*21\r\n") == "Protocol error: invalid multibulk length");
  CHECK(error_of("*" + std::string(1000, '1')) == "Protocol error: too big mbulk count string");
  CHECK(error_of("*1\r\nPING\r\n") == "Protocol error: expected '$', got 'P'");
  CHECK(error_of("*1\r\n$-1\r\n") == "Protocol error: invalid bulk length");
  CHECK(error_of("*1\r\n$+4\r\n") == "Protocol error: invalid bulk length");
  CHECK(error_of("*1\r\n$20001\r\n") == "Protocol error: invalid bulk length");
  CHECK(error_of("*1\r\n$" + std::string(1000, '1')) == "Protocol error: too big bulk count string");
  CHECK(error_of(std::string(1000, 'a')) == "Protocol error: too big inline request");
  CHECK(error_of("set k \"open\r\n") == "Protocol error: unbalanced quotes in request");
  CHECK(error_of("set k \"a\"b\r\n") == "Protocol error: unbalanced quotes in request");
  const std::string half = "$20000\r\n" + std::string(20'000, 'v') + "\r\n";
  CHECK(error_of("*3\r\n" + half + half) == "Protocol error: command is over the limit of its bytes");
}

TEST_CASE("before authentication a command is small", "[resp]") {
  CHECK(error_of("*10\r\n$16384\r\n", false).empty());
  CHECK(error_of("*11\r\n", false) == "Protocol error: unauthenticated multibulk length");
  CHECK(error_of("*2\r\n$4\r\nAUTH\r\n$16385\r\n", false) == "Protocol error: unauthenticated bulk length");
  CHECK(error_of("a b c d e f g h i j k\r\n", false) == "Protocol error: unauthenticated multibulk length");
  CHECK(error_of("*11\r\n").empty());
  // As Redis: what is too much for it, whoever asks, is another error.
  CHECK(error_of("*216385\r\n", false) == "Protocol error: unauthenticated multibulk length");
  CHECK(error_of("*2147483648\r\n", false) == "Protocol error: invalid multibulk length");
  CHECK(error_of("*1\r\n$536870912\r\n", false) == "Protocol error: unauthenticated bulk length");
  CHECK(error_of("*1\r\n$536870913\r\n", false) == "Protocol error: invalid bulk length");
}

TEST_CASE("a stream that failed stays so", "[resp]") {
  RespParser parser({});
  std::string_view bad = "*x\r\n";
  REQUIRE(parser.parse(bad, true) == Event::failed);
  std::string_view good = "PING\r\n";
  CHECK(parser.parse(good, true) == Event::failed);
}

TEST_CASE("an inline command is parted as a shell would", "[resp]") {
  CHECK(split_words("  a \t b ") == Words{"a", "b"});
  CHECK(split_words("") == Words{});
  CHECK(split_words("\v a\v"
                    "b\f 'c'\v"
                    "d") == Words{"a\v"
                                  "b\f",
                                  "c", "d"});
  CHECK(split_words(R"("a b" 'c d' "")") == Words{"a b", "c d", ""});
  CHECK(split_words(R"("\x41\n\r\t\b\a\"\\\q\xzz")") == Words{"A\n\r\t\b\a\"\\qxzz"});
  CHECK(split_words(R"('it\'s \n')") == Words{R"(it's \n)"});
  CHECK(split_words(R"(a"b c")") == Words{"ab c"});
  CHECK_FALSE(split_words(R"('a'b)"));
  CHECK_FALSE(split_words(R"("a)"));
  CHECK_FALSE(split_words(R"("a\)"));
}

TEST_CASE("integers are those that Redis takes", "[resp]") {
  CHECK(parse_integer("0") == 0);
  CHECK(parse_integer("-12") == -12);
  CHECK(parse_integer("9223372036854775807") == INT64_MAX);
  CHECK(parse_integer("-9223372036854775808") == INT64_MIN);
  for (const char* wrong : {"", "-", "+1", "01", "-0", "1 ", " 1", "1.0", "9223372036854775808", "0x1"}) {
    INFO(wrong);
    CHECK_FALSE(parse_integer(wrong));
  }
}

}  // namespace covey::resp_parser_test
