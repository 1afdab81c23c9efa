#include "client/raw_json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace covey::client::raw_json_test {

TEST_CASE("a member's text is found as it is spelled", "[client]") {
  const std::string text =
      R"( { "a" : 1.00 , "b":"x\"},{", "c" : { "a": [1, "]"], "value": 2 } ,"value":[{"d":"}"}, -0 ] , "n":12345678901234567890123} )";
  CHECK(raw_member(text, "a") == "1.00");
  CHECK(raw_member(text, "b") == R"("x\"},{")");
  CHECK(raw_member(text, "c") == R"({ "a": [1, "]"], "value": 2 })");
  CHECK(raw_member(text, "value") == R"([{"d":"}"}, -0 ])");
  CHECK(raw_member(text, "n") == "12345678901234567890123");
  CHECK_FALSE(raw_member(text, "d"));
  CHECK_FALSE(raw_member("{}", "a"));
  CHECK(raw_member(R"({"\u0061":true,"a\\":null})", "a") == "true");
  CHECK(raw_member(R"({"a":1,"a":2})", "a") == "2");
}

TEST_CASE("a number beyond every double does not make an answer unreadable", "[client]") {
  const auto parsed =
      parse_json(R"({"a": [1e999, -1E+999, 2], "\"1e999": "1e999", "b": 12345678901234567890123})");
  CHECK(parsed["a"].dump() == "[null,null,2]");
  CHECK(parsed["\"1e999"] == "1e999");
  CHECK(parsed["b"].is_number());
  for (const char* bad : {"1e999x", "[1e999", "1e999 1", "-1e", "{\"a\" 1e999}"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_json(bad), nlohmann::json::parse_error);
  }
}

TEST_CASE("an array's elements are found as they are spelled", "[client]") {
  CHECK(raw_elements("[]").empty());
  CHECK(raw_elements(" [ ] ").empty());
  CHECK(raw_elements(R"([1 , "a,]" ,[2,3],{"b":[4]}, null])") ==
        std::vector<std::string_view>{"1", R"("a,]")", "[2,3]", R"({"b":[4]})", "null"});
}

}  // namespace covey::client::raw_json_test
