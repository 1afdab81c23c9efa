#include "server/http_parser.h"

#include <catch2/catch.hpp>
#include <string>

namespace covey::http_parser_test {

using namespace covey::server;
using Event = HttpParser::Event;

namespace {

HttpLimits small_limits() { return {.header_bytes = 512, .value_bytes = 100, .batch_bytes = 1000}; }

// Parses text that was cut at every place in turn, as a network may.
void check_every_cut(const std::string& text, void (*check)(HttpRequest&)) {
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    HttpParser parser(small_limits());
    std::string_view first(text.data(), cut);
    Event event = first.empty() ? Event::need_more : parser.parse(first);
    if (event == Event::need_more) {
      std::string rest = std::string(first) + text.substr(cut);
      std::string_view view = rest;
      event = view.empty() ? event : parser.parse(view);
    }
    INFO("cut at " << cut);
    REQUIRE(event == Event::complete);
    check(parser.request());
  }
}

Event parse_all(HttpParser& parser, std::string_view text) { return parser.parse(text); }

}  // namespace

TEST_CASE("a request is the same wherever the network cuts it", "[http]") {
  check_every_cut(
      "PUT /v1/kv/t/k?w=1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nCovey-Context: abc\r\n"
      "Content-Length: 5\r\n\r\nhello",
      [](HttpRequest& request) {
        CHECK(request.method == Method::put);
        CHECK(request.target == "/v1/kv/t/k?w=1");
        CHECK(request.content_type == "text/plain");
        CHECK(request.context == "abc");
        CHECK(request.body == "hello");
        CHECK(request.keep_alive);
      });
}

TEST_CASE("an empty line before a request is no request", "[http]") {
  check_every_cut("\r\n\r\nGET /k HTTP/1.1\r\nHost: x\r\n\r\n",
                  [](HttpRequest& request) { CHECK(request.target == "/k"); });
}

TEST_CASE("what would be stored otherwise than it was meant is refused", "[http]") {
  auto status = [](const std::string& fields) {
    HttpParser parser(small_limits());
    std::string text = "PUT /k HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
    INFO(fields);
    return parse_all(parser, text) == Event::failed ? parser.error().status : 0;
  };
  CHECK(status("Transfer-Encoding: gzip\r\n") == 501);
  CHECK(status("Transfer-Encoding: gzip, chunked\r\n") == 501);
  CHECK(status("Content-Encoding: gzip\r\nContent-Length: 0\r\n") == 415);
  CHECK(status("Content-Encoding: identity\r\nContent-Length: 0\r\n") == 0);
  CHECK(status("Content-Range: bytes 0-0/2\r\nContent-Length: 0\r\n") == 400);
  for (std::string name : {"Covey-Context", "Content-Type", "If-Match", "If-None-Match"}) {
    CHECK(status(name + ": a\r\n") == 0);
    CHECK(status(name + ": a\r\n" + name + ": a\r\n") == 400);
  }
}

TEST_CASE("a chunked body arrives whole, and trailers change nothing", "[http]") {
  check_every_cut(
      "PUT /k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nCovey-Context: forged\r\n\r\n",
      [](HttpRequest& request) {
        CHECK(request.body == "abcdefg");
        CHECK_FALSE(request.has_context);
      });
}

TEST_CASE("pipelined requests come out one by one", "[http]") {
  HttpParser parser(small_limits());
  std::string_view bytes = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
  REQUIRE(parser.parse(bytes) == Event::complete);
  CHECK(parser.request().target == "/a");
  parser.next();
  REQUIRE(parser.parse(bytes) == Event::complete);
  CHECK(parser.request().target == "/b");
  CHECK_FALSE(parser.request().keep_alive);
  CHECK_FALSE(parser.request().http_1_1);
  CHECK(bytes.empty());
}

TEST_CASE("what is over a limit is refused as soon as that is known", "[http]") {
  HttpParser declared(small_limits());
  CHECK(parse_all(declared, "PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n") == Event::failed);
  CHECK(declared.error().status == 413);
  CHECK(declared.error().message.find("100 bytes") != std::string::npos);

  HttpParser chunked(small_limits());
  CHECK(parse_all(chunked, "PUT /k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\nab") ==
        Event::failed);
  CHECK(chunked.error().status == 413);

  HttpParser header(small_limits());
  CHECK(parse_all(header, "GET /" + std::string(600, 'k') + " HTTP/1.1\r\nHost: x\r\n\r\n") == Event::failed);
  CHECK(header.error().status == 413);

  for (const char* begin : {"2;x=", "2\r\nab\r\n0\r\nTrailer: "}) {
    HttpParser endless(small_limits());
    CHECK(parse_all(endless, "PUT /k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                 std::string(begin) + std::string(600, 'x')) == Event::failed);
    CHECK(endless.error().status == 413);
  }

  HttpParser batch(small_limits());
  CHECK(parse_all(batch, "POST /k HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n") == Event::need_more);
}

TEST_CASE("a request says once which host it means; only HTTP/1.0 need not", "[http]") {
  const auto status = [](const std::string& text) {
    HttpParser parser(small_limits());
    return parse_all(parser, text) == Event::failed ? parser.error().status : 0;
  };
  CHECK(status("GET /k HTTP/1.1\r\n\r\n") == 400);
  CHECK(status("GET /k HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n") == 400);
  CHECK(status("GET /k HTTP/1.1\r\nHost:\r\n\r\n") == 0);
  CHECK(status("GET /k HTTP/1.0\r\n\r\n") == 0);
}

TEST_CASE("what is not HTTP is refused, never guessed at", "[http]") {
  for (const char* text :
       {"\x16\x03\x01\x02\x01\x01", "*1\r\n$4\r\nPING\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n"}) {
    HttpParser parser(small_limits());
    INFO(text);
    CHECK(parse_all(parser, text) == Event::failed);
    CHECK(parser.error().status >= 400);
  }
}

TEST_CASE("a client that asks before it sends its body is told to go on", "[http]") {
  HttpParser parser(small_limits());
  CHECK(
      parse_all(parser, "PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n") ==
      Event::header);
  CHECK(parse_all(parser, "ab") == Event::complete);
}

}  // namespace covey::http_parser_test
