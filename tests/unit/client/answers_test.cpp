#include "client/answers.h"

#include <catch2/catch.hpp>

#include "client/encoding.h"

namespace covey::client::answers_test {
namespace {

HttpResponse response(int status, std::string body,
                      std::vector<std::pair<std::string, std::string>> headers = {}) {
  return {status, std::move(headers), std::move(body)};
}

}  // namespace

TEST_CASE("a single value comes byte for byte, with its context and counts", "[client]") {
  const std::string bytes("1.00\0\xff", 6);
  auto reading = reading_from(response(200, bytes,
                                       {{"content-type", "application/octet-stream"},
                                        {"covey-context", "ctx"},
                                        {"ETag", "\"n1.7f3a:42\""},
                                        {"Covey-Replicas", "2/3"}}));
  REQUIRE(reading);
  REQUIRE(reading->versions.size() == 1);
  CHECK(reading->versions[0].value == bytes);
  CHECK(reading->versions[0].content_type == "application/octet-stream");
  CHECK(reading->versions[0].dot == "n1.7f3a:42");
  CHECK(reading->context == "ctx");
  CHECK(reading->replicas.answered == 2);
  CHECK(reading->replicas.owners == 3);
}

TEST_CASE("siblings keep their bytes, types and dots in each spelling", "[client]") {
  auto reading = reading_from(response(300, R"({"siblings": [
      {"value": {"b": 1, "a": 2}, "dot": "n1.7f3a:1", "time": "2026-01-01T00:00:00Z", "content_type": "application/json"},
      {"value": "text", "dot": "n2.1:1", "content_type": "text/plain"},
      {"value": "text", "dot": "n2.1:2", "content_type": "application/json"},
      {"value": "/wA=", "base64": true, "dot": "n3.1:1", "content_type": "application/octet-stream"}],
      "context": "c"})"));
  REQUIRE(reading);
  REQUIRE(reading->siblings());
  REQUIRE(reading->versions.size() == 4);
  CHECK(reading->versions[0].value == R"({"b": 1, "a": 2})");
  CHECK(reading->versions[0].dot == "n1.7f3a:1");
  CHECK(reading->versions[1].value == "text");
  CHECK(reading->versions[2].value == "\"text\"");
  CHECK(reading->versions[3].value == std::string("\xff\0", 2));
  CHECK(reading->context == "c");
}

TEST_CASE("an absent key has a context, an absent table is an error", "[client]") {
  const std::string error = R"({"error": {"code": "not_found", "message": "no such key"}})";
  auto absent = reading_from(response(404, error, {{"Covey-Context", "ctx"}}));
  REQUIRE(absent);
  CHECK_FALSE(absent->found());
  CHECK(absent->context == "ctx");

  auto detailed =
      reading_from(response(404, R"({"siblings": [], "context": "c2", "replicas": {"owners": 3}})",
                            {{"Content-Type", "application/vnd.covey+json"}}));
  REQUIRE(detailed);
  CHECK(detailed->context == "c2");

  auto no_table =
      reading_from(response(404, R"({"error": {"code": "no_such_table", "message": "no table t"}})"));
  REQUIRE_FALSE(no_table);
  CHECK(no_table.error().kind == Error::Kind::not_found);
  CHECK(no_table.error().code == "no_such_table");
}

TEST_CASE("each refusal of the API is told as what it is", "[client]") {
  using Kind = Error::Kind;
  const std::tuple<int, Kind, bool> table[] = {
      {400, Kind::refused, false},    {409, Kind::refused, false},     {412, Kind::refused, false},
      {413, Kind::refused, false},    {422, Kind::refused, false},     {404, Kind::not_found, false},
      {429, Kind::overloaded, false}, {503, Kind::unavailable, false}, {504, Kind::timed_out, true},
      {500, Kind::failed, true}};
  for (const auto& [status, kind, unknown] : table) {
    INFO(status);
    auto written = written_from(response(status, R"({"error": {"code": "c", "message": "m", "needed": 2}})"));
    REQUIRE_FALSE(written);
    CHECK(written.error().kind == kind);
    CHECK(written.error().outcome_unknown == unknown);
    CHECK(written.error().details["needed"] == 2);
  }
  CHECK(error_from(response(429, "", {{"Retry-After", "7"}})).retry_after == std::chrono::seconds(7));
}

TEST_CASE("answers that make no sense are errors, and of writes their outcome is unknown", "[client]") {
  for (const std::string body : {"", "{", "[]", R"({"dot": 5})", R"({"acks": {}})"}) {
    INFO(body);
    auto written = written_from(response(200, body));
    REQUIRE_FALSE(written);
    CHECK(written.error().kind == Error::Kind::failed);
    CHECK(written.error().outcome_unknown);
  }
  for (const std::string body : {"", "{", R"({"siblings": 5})", R"({"siblings": [{"dot": "x"}]})",
                                 R"({"siblings": [{"value": "*", "base64": true}]})"}) {
    INFO(body);
    CHECK_FALSE(reading_from(response(300, body)));
  }
}

TEST_CASE("a batch line carries JSON as it was spelled and other bytes as base64", "[client]") {
  CHECK(batch_line({.key = "k", .value = R"({"n": 1.00})"}) == R"({"key":"k","value":{"n": 1.00}})");
  CHECK(batch_line({.key = "k", .value = "[1,\n2]"}) == R"({"key":"k","value":[1, 2]})");
  CHECK(batch_line({.key = "k", .value = "{}", .content_type = "application/x+json"}) ==
        R"({"key":"k","value":{},"content_type":"application/x+json"})");
  CHECK(batch_line({.key = "k", .value = "{", .content_type = "application/json"}) ==
        R"({"key":"k","value_base64":"ew==","content_type":"application/json"})");
  CHECK(batch_line({.kind = BatchOperation::Kind::del, .key = "k"}) == R"({"key":"k","op":"delete"})");
  CHECK(batch_line({.kind = BatchOperation::Kind::get, .key = "k\"\n"}) == R"({"key":"k\"\n","op":"get"})");
}

TEST_CASE("the lines of a batch's answer stand for themselves", "[client]") {
  const std::vector<BatchOperation> operations = {{.key = "a"},
                                                  {.key = "b"},
                                                  {.kind = BatchOperation::Kind::get, .key = "c"},
                                                  {.kind = BatchOperation::Kind::get, .key = "d"}};
  const std::string body =
      R"({"key": "a", "status": 200, "dot": "n1.1:1", "context": "x"})"
      "\n"
      R"({"key": "b", "status": 504, "error": {"code": "timeout", "message": "late", "outcome": "unknown"}})"
      "\n"
      R"({"key": "c", "status": 404, "context": "y"})"
      "\n"
      R"({"key": "d", "status": 200, "value": [1], "context": "z"})"
      "\n";
  auto outcomes = outcomes_from(response(200, body), operations);
  REQUIRE(outcomes);
  CHECK((*outcomes)[0].dot == "n1.1:1");
  REQUIRE((*outcomes)[1].error);
  CHECK((*outcomes)[1].error->outcome_unknown);
  CHECK_FALSE((*outcomes)[2].error);
  CHECK((*outcomes)[2].context == "y");
  REQUIRE((*outcomes)[3].versions.size() == 1);
  CHECK((*outcomes)[3].versions[0].value == "[1]");

  auto cut = outcomes_from(response(200, body.substr(0, body.find('\n') + 1)), operations);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().outcome_unknown);
}

TEST_CASE("a scan that breaks off is not taken for a whole one", "[client]") {
  const std::string lines =
      R"({"key": "a", "value": 1, "dot": "n1.1:1", "context": "x"})"
      "\n"
      R"({"key_base64": "/w==", "siblings": [{"value_base64": "AA==", "content_type": "b", "dot": "n1.1:2"}, {"value": 2}], "context": "y"})"
      "\n";
  auto page = scan_page_from(response(200, lines + R"({"cursor": "next"})"));
  REQUIRE(page);
  REQUIRE(page->entries.size() == 2);
  CHECK(page->entries[1].key == "\xff");
  CHECK(page->entries[1].versions.size() == 2);
  CHECK(page->cursor == "next");
  auto last = scan_page_from(response(200, R"({"cursor": null})"));
  REQUIRE(last);
  CHECK(last->cursor.empty());
  CHECK_FALSE(scan_page_from(response(200, lines)));
  CHECK_FALSE(scan_page_from(response(200, lines + R"({"error": {"code": "unavailable", "message": "m"}})")));
}

}  // namespace covey::client::answers_test
