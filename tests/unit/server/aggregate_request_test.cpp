#include "server/aggregate_request.h"

#include <catch2/catch.hpp>

namespace covey::server::aggregate_request_test {
namespace {

TEST_CASE("what is nested without end is refused wherever it stands in a request for aggregates") {
  const size_t depth = 400'000;
  const std::string deep = std::string(depth, '[') + std::string(depth, ']');
  for (const std::string& body :
       {R"({"queries": [{"aggregates": {"p": {"quantile": "x", "q": )" + deep + "}}}]}",
        R"({"special": )" + deep + R"(, "queries": [{"aggregates": {"s": {"sum": "x"}}}]})", deep}) {
    auto request = parse_aggregate(body);
    REQUIRE_FALSE(request);
    CHECK(request.error().status == 400);
    CHECK(request.error().message.find("nested") != std::string::npos);
  }
  // Brackets in strings are not nesting.
  const std::string text(100, '[');
  CHECK(parse_aggregate(R"({"queries": [{"id": "\")" + text + R"(", "aggregates": {"s": {"sum": "x"}}}]})"));
}

}  // namespace
}  // namespace covey::server::aggregate_request_test
