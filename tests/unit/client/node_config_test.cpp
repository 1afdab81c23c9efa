#include "client/cli/node_config.h"

#include <catch2/catch.hpp>

namespace covey::cli::node_config_test {
namespace {

std::optional<std::string> environment(const std::string& name) {
  if (name == "BASE") return "/data";
  if (name == "PORT") return "7101";
  return std::nullopt;
}

Result<NodeConfig, std::string> parse(const std::string& text) {
  return parse_node_config(text, "/x/n1.json", environment);
}

}  // namespace

TEST_CASE("a node's file may have comments and names from the environment", "[client]") {
  auto config = parse(R"({
    // the first node
    "node": "n1", "data_dir": "${BASE}/n1", /* and */ "listen": {"http": "127.0.0.1:${PORT}"}})");
  REQUIRE(config);
  CHECK(config->node == "n1");
  CHECK(config->data_dir == "/data/n1");
  CHECK(config->http == "127.0.0.1:7101");
}

TEST_CASE("a node that listens everywhere is asked over the loopback address", "[client]") {
  auto four = parse(R"({"node": "n", "data_dir": "d", "listen": {"http": "0.0.0.0:1"}})");
  REQUIRE(four);
  CHECK(four->http == "127.0.0.1:1");
  auto six = parse(R"({"node": "n", "data_dir": "d", "listen": {"http": "[::]:1"}})");
  REQUIRE(six);
  CHECK(six->http == "[::1]:1");
}

TEST_CASE("a file that cannot be started from is named with what is wrong", "[client]") {
  const std::pair<std::string, std::string> examples[] = {
      {"[]", "not a JSON object"},
      {R"({"node": "n"})", "/data_dir must be a string"},
      {R"({"node": "n", "data_dir": "d", "listen": 5})", "/listen/http must be a string"},
      {R"({"node": "n", "data_dir": "${NOPE}", "listen": {"http": "a:1"}})", "NOPE"},
      {R"({"node": "n", "data_dir": "d", "listen": {"http": "a:0"}})", "fixed port"}};
  for (const auto& [text, expected] : examples) {
    auto config = parse(text);
    REQUIRE_FALSE(config);
    CHECK_THAT(config.error(), Catch::Contains("/x/n1.json") && Catch::Contains(expected));
  }
}

}  // namespace covey::cli::node_config_test
