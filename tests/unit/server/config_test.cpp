#include "server/config.h"

#include <catch2/catch.hpp>

namespace covey::config_test {

using namespace covey;
using namespace covey::server;
using Catch::Matchers::Contains;

namespace {

const std::string smallest =
    R"({"node": "n1", "data_dir": "d", "listen": {"http": "127.0.0.1:1", "peer": "127.0.0.1:2"},
  "cluster": {"name": "c"})";

std::string error_of_text(const std::string& text) {
  auto config = parse_config("f.json", text);
  REQUIRE_FALSE(config.ok());
  return config.error().message;
}

// The smallest configuration with something more in it.
std::string with(const std::string& more) { return smallest + "," + more + "}"; }

}  // namespace

TEST_CASE("the smallest configuration has sensible defaults", "[config]") {
  auto config = parse_config("f.json", smallest + "}");
  REQUIRE(config.ok());
  CHECK(config->partitions == 64);
  CHECK(config->replicas == 3);
  CHECK(config->read_level.kind == Level::Kind::quorum);
  CHECK(config->sloppy);
  CHECK(config->durability == Durability::sync);
  CHECK(config->threads >= 1);
}

TEST_CASE("the Redis protocol is spoken only where an address is given, and its password is a text",
          "[config]") {
  CHECK(parse_config("f.json", smallest + "}")->listen_resp.empty());
  auto config = parse_config("f.json", with(R"("resp": {"password": "open sesame"})"));
  REQUIRE(config.ok());
  CHECK(config->resp_password == "open sesame");
  CHECK_THAT(error_of_text(with(R"("resp": {"password": 1})")), Contains("resp/password"));
}

TEST_CASE("comments are allowed and the environment is read", "[config]") {
  setenv("COVEY_TEST_ZONE", "west", 1);
  auto config =
      parse_config("f.json", with("// a comment\n\"zone\": \"z-${COVEY_TEST_ZONE}\" /* another */"));
  REQUIRE(config.ok());
  CHECK(config->zone == "z-west");
}

TEST_CASE("a configuration error names the place, what is wrong and what is allowed", "[config]") {
  CHECK_THAT(error_of_text("{\n  \"node\": \"n1\",\n  oops\n}"), Contains("f.json: line 3"));
  CHECK_THAT(error_of_text("[]"), Contains("one JSON object"));
  CHECK_THAT(error_of_text("{}"), Contains("/node") && Contains("missing"));
  CHECK_THAT(error_of_text(with("\"zome\": \"a\"")),
             Contains("/zome") && Contains("not a key") && Contains("zone"));
  CHECK_THAT(error_of_text(with("\"threads\": \"two\"")), Contains("/threads") && Contains("1 to 256"));
  CHECK_THAT(error_of_text(with("\"threads\": 0")), Contains("/threads"));
  CHECK_THAT(error_of_text(with("\"threads\": 65")), Contains("/threads") && Contains("64"));
  CHECK_THAT(error_of_text(with("\"weight\": 0")), Contains("/weight") && Contains("above 0"));
  CHECK_THAT(error_of_text(with("\"weight\": 1e999")), Contains("beyond every double"));
  CHECK_THAT(error_of_text(with("\"consistency\": {\"read\": 4}")),
             Contains("/consistency/read") && Contains("quorum"));
  CHECK_THAT(error_of_text(with("\"consistency\": {\"sloppy\": 1}")), Contains("true or false"));
  CHECK_THAT(error_of_text(with("\"durability\": {\"mode\": \"fast\"}")),
             Contains("\"sync\", \"interval\", \"none\""));
  CHECK_THAT(error_of_text(with("\"zone\": \"${COVEY_TEST_UNSET}\"")), Contains("COVEY_TEST_UNSET"));
  CHECK_THAT(error_of_text(with("\"zone\": \"a\", \"zone\": \"b\"")), Contains("twice"));
  CHECK_THAT(error_of_text(with(
                 "\"tables\": [{\"name\": \"t\", \"columns\": [{\"name\": \"x\", \"type\": \"date\"}]}]")),
             Contains("/tables/0") && Contains("int64"));
}

TEST_CASE("a GPU is used unless the configuration says otherwise", "[config]") {
  auto config = parse_config("f.json", smallest + "}");
  REQUIRE(config.ok());
  CHECK(config->gpu_enabled);
  CHECK(config->gpu_device == 0);
  CHECK(config->gpu_memory_bytes == 0);
  config = parse_config("f.json", with("\"gpu\": {\"enabled\": false, \"device\": 1, \"memory_mb\": 512}"));
  REQUIRE(config.ok());
  CHECK_FALSE(config->gpu_enabled);
  CHECK(config->gpu_device == 1);
  CHECK(config->gpu_memory_bytes == 512 * 1024 * 1024);
  CHECK_THAT(error_of_text(with("\"gpu\": {\"device\": -1}")),
             Contains("/gpu/device") && Contains("0 to 255"));
}

TEST_CASE("how fast the dead are found can be set", "[config]") {
  auto config = parse_config("f.json", smallest + "}");
  REQUIRE(config.ok());
  CHECK(config->detector.probe_interval_us == 400'000);
  CHECK(config->detector.probe_timeout_us == 120'000);
  config = parse_config("f.json", with(R"("detector": {"probe_ms": 100, "helpers": 5, "suspicion": 4})"));
  REQUIRE(config.ok());
  CHECK(config->detector.probe_interval_us == 100'000);
  CHECK(config->detector.probe_timeout_us == 50'000);
  CHECK(config->detector.asked_max == 5);
  CHECK(config->detector.suspicion_intervals == 4);
  CHECK_THAT(error_of_text(with(R"("detector": {"probe_ms": 100, "timeout_ms": 100})")),
             Contains("/detector/timeout_ms") && Contains("less than probe_ms (100)"));
}

TEST_CASE("impossible cluster shapes are refused", "[config]") {
  auto with_cluster = [](const std::string& cluster) {
    return R"({"node": "n1", "data_dir": "d", "listen": {"http": "h:1", "peer": "h:2"}, "cluster": )" +
           cluster + "}";
  };
  CHECK_THAT(error_of_text(with_cluster(R"({"name": "c", "partitions": 48})")), Contains("power of two"));
  CHECK_THAT(error_of_text(with_cluster(R"({"name": "c", "replicas": 17})")), Contains("1 to 16"));
  CHECK_THAT(error_of_text(with_cluster(R"({"name": "c", "seeds": ["nowhere"]})")),
             Contains("/cluster/seeds/0"));
  CHECK_THAT(error_of_text(with_cluster(R"({"name": "a b"})")), Contains("/cluster/name"));
}

TEST_CASE("addresses are read as people write them", "[config]") {
  CHECK(parse_host_port("127.0.0.1:80")->port == 80);
  CHECK(parse_host_port("[::1]:80")->host == "::1");
  CHECK(parse_host_port("name:0")->host == "name");
  CHECK_FALSE(parse_host_port("::1:80"));
  CHECK_FALSE(parse_host_port("name"));
  CHECK_FALSE(parse_host_port(":80"));
  CHECK_FALSE(parse_host_port("name:65536"));
  CHECK_FALSE(parse_host_port("name:"));
}

}  // namespace covey::config_test
