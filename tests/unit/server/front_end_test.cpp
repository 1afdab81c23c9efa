// The pieces between bytes and requests: percent-encoding, options, errors, tables' columns, lines of a
// batch.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "server/batch_line.h"
#include "server/call_options.h"
#include "server/errors.h"
#include "server/json_text.h"
#include "server/table_definition.h"
#include "server/text.h"

namespace covey::front_end_test {

using namespace covey;
using namespace covey::server;
using nlohmann::json;

TEST_CASE("any bytes can be a key", "[front_end]") {
  CHECK(*parse_key("a%2Fb%00%FF") == std::string("a/b\0\xff", 5));
  CHECK(*parse_key("a/b+c") == "a/b+c");
  CHECK(parse_key("").error().status == 400);
  CHECK(parse_key("%").error().status == 400);
  CHECK(parse_key("%4").error().status == 400);
  CHECK(parse_key("%4x").error().status == 400);
  CHECK(parse_key(std::string(2048, 'k')).ok());
  CHECK(parse_key(std::string(2049, 'k')).error().status == 413);
}

TEST_CASE("a misspelt option is an error, not the default", "[front_end]") {
  Config config;
  config.replicas = 3;
  auto refused = [&](const char* query) { return !parse_options(config, query).ok(); };
  CHECK(
      parse_options(config, "r=3&w=one&sloppy=false&timeout_ms=5&ttl_ms=9&limit=10&prefix=a%2Bb+c")->prefix ==
      "a+b c");
  for (const char* query :
       {"r=4", "r=0", "w=", "w=Quorum", "w=1x", "r=-1", "sloppy=yes", "timeout_ms=0", "timeout_ms=60001",
        "ttl_ms=0", "limit=10001", "limit=0", "quorum=1", "r=%zz", "w=1&w=1", "prefix=a&start=b&prefix="}) {
    INFO(query);
    CHECK(refused(query));
  }
}

TEST_CASE("text that goes into JSON comes out of it unchanged", "[front_end]") {
  std::string text;
  for (int i = 1; i < 128; ++i) text.push_back(static_cast<char>(i));
  text += "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6";
  std::string out;
  append_json_string(out, text);
  CHECK(json::parse(out).get<std::string>() == text);
  std::string broken;
  append_json_string(broken, "a\xff\xed\xa0\x80z");
  CHECK_NOTHROW(json::parse(broken));
  CHECK(iso_time(1772368496789) == "2026-03-01T12:34:56.789Z");
}

TEST_CASE("each refusal of the core has its status, code and details", "[front_end]") {
  Response response;
  response.needed = 2;
  response.owners = 3;
  response.reachable = 1;
  response.received = 1;
  response.outcomes = {{NodeId{"n2"}, "suspected"}};
  auto body = [&](Status status, Operation operation) {
    response.status = status;
    ErrorAnswer error = error_of(response, operation);
    json parsed = json::parse(error_body(error))["error"];
    parsed["status"] = error.status;
    CHECK_FALSE(parsed["message"].get<std::string>().empty());
    return parsed;
  };
  json unavailable = body(Status::unavailable, Operation::put);
  CHECK(unavailable["status"] == 503);
  CHECK(unavailable["code"] == "unavailable");
  CHECK(unavailable["needed"] == 2);
  CHECK(unavailable["reachable"] == 1);
  CHECK(unavailable["owners"]["n2"] == "suspected");
  json timeout = body(Status::timeout, Operation::put);
  CHECK(timeout["status"] == 504);
  CHECK(timeout["received"] == 1);
  CHECK(timeout["outcome"] == "unknown");
  CHECK_FALSE(body(Status::timeout, Operation::get).contains("outcome"));
  CHECK(body(Status::overloaded, Operation::get)["status"] == 429);
  CHECK(body(Status::too_many_siblings, Operation::put)["status"] == 409);
  CHECK(body(Status::precondition_failed, Operation::put)["status"] == 412);
  CHECK(body(Status::disk_full, Operation::put)["status"] == 507);
  CHECK(body(Status::storage_failed, Operation::put)["status"] == 500);
}

TEST_CASE("a value with a wrong column is refused by the column's name", "[front_end]") {
  auto table = parse_table_definition(json::parse(R"({"conflicts": "lww", "columns": [
      {"name": "temp", "path": "/temp", "type": "float64"}, {"name": "count", "path": "/a/count", "type": "int64"},
      {"name": "site", "type": "string"}]})"));
  REQUIRE(table.ok());
  CHECK(table->conflicts == Conflicts::last_write_wins);
  CHECK_FALSE(check_columns(*table, R"({"temp": 1, "a": {"count": -3}, "site": "x", "more": []})"));
  CHECK_FALSE(check_columns(*table, R"({"temp": null})"));
  CHECK_FALSE(check_columns(*table, "{}"));
  CHECK(check_columns(*table, R"({"temp": "hot"})")->find("\"temp\"") != std::string::npos);
  CHECK(check_columns(*table, R"({"a": {"count": 1.5}})")->find("\"count\"") != std::string::npos);
  CHECK(check_columns(*table, R"({"a": {"count": 9223372036854775808}})"));
  CHECK(check_columns(*table, R"({"site": 1})"));
  CHECK(check_columns(*table, "[1]"));
  CHECK(check_columns(*table, "{\"temp\": 1"));
  CHECK(check_columns(*table, ""));
  // Numbers that 64 bits can't hold are JSON, and fit no column but that a whole one is a number.
  CHECK_FALSE(check_columns(*table, R"({"temp": 12345678901234567890123, "more": 1e999})"));
  CHECK(check_columns(*table, R"({"a": {"count": 12345678901234567890123}})")->find("\"count\"") !=
        std::string::npos);
  CHECK(check_columns(*table, R"({"temp": 1e999})")->find("\"temp\"") != std::string::npos);
  // What is stored is read again as it was.
  CHECK(parse_table_definition(std::string_view(table->text))->text == table->text);
}

TEST_CASE("a table's definition is checked before it spreads", "[front_end]") {
  for (const char* text :
       {"[]", "nonsense", R"({"conflicts": "newest"})", R"({"columns": {}})", R"({"colums": []})",
        R"({"columns": [{"name": "a b", "type": "int64"}]})",
        R"({"columns": [{"name": "a", "type": "int64", "path": "a"}]})",
        R"({"columns": [{"name": "a", "type": "int64"}, {"name": "a", "type": "int64"}]})"}) {
    INFO(text);
    CHECK_FALSE(parse_table_definition(std::string_view(text)).ok());
  }
}

TEST_CASE("a batch that can't be read names its line", "[front_end]") {
  auto lines = split_lines("{\"key\":\"a\",\"value\":1}\n\n  \r\n{\"key\":\"b\"\n[]\n");
  REQUIRE(lines.size() == 3);
  auto error = check_lines(lines);
  REQUIRE(error);
  CHECK(error->status == 400);
  CHECK(error->message.find("Line 4") != std::string::npos);
  CHECK_FALSE(check_lines(split_lines("{\"key\":\"a\",\"value\":1}")));
  CHECK(check_lines(split_lines("[]")));
}

TEST_CASE("a batch's line keeps its value as it was written", "[front_end]") {
  auto parse = [](const char* text) {
    BatchLine line;
    auto error = parse_line(text, 1000, line);
    INFO(text);
    REQUIRE_FALSE(error);
    return line;
  };
  CHECK(parse(R"({"key": "k", "value": 1.50})").value == "1.50");
  CHECK(parse(R"({"key": "k", "value": "x\n"})").value == R"("x\n")");
  CHECK(parse(R"({"key": "k", "value": {"a": [1, 2]} , "ttl_ms": 5})").value == R"({"a": [1, 2]})");
  CHECK(parse(R"({"key": "k", "value": [1, {"a": 2}]})").value == R"([1, {"a": 2}])");
  CHECK(parse(R"({"key": "k", "value": true})").value == "true");
  CHECK(parse(R"({"key": "k", "value": null})").content_type == "application/json");
  BatchLine bytes = parse(R"({"key_base64": "AP8=", "value_base64": "/w==", "content_type": "image/png"})");
  CHECK(bytes.key == std::string("\0\xff", 2));
  CHECK(bytes.value == "\xff");
  CHECK(parse(R"({"op": "delete", "key": "k"})").operation == Operation::erase);
  CHECK(parse(R"({"op": "get", "key": "k", "context": "abc"})").context == "abc");
}

TEST_CASE("numbers of any size are JSON and keep their digits", "[front_end]") {
  for (std::string number : {"12345678901234567890123", "-9223372036854775809", "18446744073709551615",
                             "18446744073709551616", "1e999", "-1E+999", "1e-999", "-0", "-0.0",
                             "0.1000000000000000055511151231257827", "1234567890123456789012.5e-3"}) {
    INFO(number);
    std::string text = R"({"key": "k 1e999", "value": {"a": [)" + number + R"(, "\\\"1e999", 1e999]} })";
    REQUIRE_FALSE(check_lines(split_lines(text)));
    BatchLine line;
    REQUIRE_FALSE(parse_line(text, 1000, line));
    CHECK(line.key == "k 1e999");
    CHECK(line.value == R"({"a": [)" + number + R"(, "\\\"1e999", 1e999]})");
    CHECK(minified_json(" [ " + number + " , 1e999 ] ") == "[" + number + ",1e999]");
    BatchLine bare;
    REQUIRE_FALSE(parse_line(R"({"value": )" + number + R"( , "key": "k"})", 1000, bare));
    CHECK(bare.value == number);
  }
  for (std::string bad : {"01e999", "1e999 1", "1.e999", ".5", "+1", "--1", "1e999e", "1e999x", "true1e999",
                          "1e999true", "NaN", "Infinity", "-", "0x10", "12345678901234567890123 4"}) {
    INFO(bad);
    CHECK(check_lines(split_lines(R"({"key": "k", "value": )" + bad + "}")));
    CHECK(minified_json(bad).empty());
  }
}

TEST_CASE("what is not JSON is refused, what is odd but JSON is kept", "[front_end]") {
  auto value_of = [](const std::string& text) {
    BatchLine line;
    auto error = parse_line(text, 100'000, line);
    INFO(text);
    REQUIRE_FALSE(error);
    return line.value;
  };
  CHECK(value_of(R"({"key": "k", "value": {"a": 1, "a": 2}})") == R"({"a": 1, "a": 2})");
  CHECK(value_of(R"({"key": "k", "\u0076alue": [1]})") == "[1]");
  CHECK(value_of(R"({"\u006bey": "k", "value": ""})") == R"("")");
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(value_of(R"({"key": "k", "value": )" + nested(1000) + "}") == nested(1000));
  for (std::string bad :
       {R"({"key": "k", "value": )" + nested(2000) + "}", std::string("{\"key\": \"\xff\", \"value\": 1}"),
        std::string(R"({"key": "\ud800", "value": 1})"), std::string("{\"key\": \"a\tb\", \"value\": 1}")}) {
    INFO(bad);
    CHECK(check_lines(split_lines(bad)));
  }
}

TEST_CASE("a line with a fault of its own fails alone", "[front_end]") {
  for (const char* text :
       {"{}", R"({"key": "", "value": 1})", R"({"key": 1, "value": 1})", R"({"key": "k"})",
        R"({"key": "k", "value": 1, "op": "incr"})", R"({"key": "k", "value_base64": "?"})",
        R"({"key": "k", "key_base64": "aw==", "value": 1})", R"({"key": "k", "value": 1, "ttl_ms": 0})",
        R"({"key": "k", "value": 1, "ttl": 5})", R"({"key": "k", "value": 1, "value_base64": "aw=="})",
        R"({"key": "k", "key": "l", "value": 1})", R"({"key": "k", "value": 1, "value": 2})",
        R"({"key": "k", "value": 1, "op": "put", "op": "get"})"}) {
    BatchLine line;
    INFO(text);
    auto error = parse_line(text, 1000, line);
    REQUIRE(error);
    CHECK(error->status == 400);
  }
  BatchLine line;
  CHECK(parse_line(R"({"key": "k", "value": "12345"})", 4, line)->status == 413);
}

}  // namespace covey::front_end_test
