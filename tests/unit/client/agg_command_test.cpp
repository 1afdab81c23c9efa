// agg: its words as a request, its answer as a table and as bars.
#include "client/cli/agg_words.h"
#include "tests/unit/client/run_line.h"

namespace covey::cli::agg_command_test {
namespace {

const char* const answer = R"_({"results": [{"id": "q1", "groups": [
    {"key": [null], "rows": 2, "count": 2, "sum(temp)": -1.5, "exact": {}, "nulls": {}, "special": {}},
    {"key": ["eu"], "rows": 4, "count": 4, "sum(temp)": 3.0, "exact": {}, "nulls": {}, "special": {}}]}],
  "coverage": {"partitions": 4, "answered": 3, "missing": [2], "reasons": {"n2: away": 1}},
  "as_of": {"max_lag_ms": 0, "stand_in_rows": 0, "conflicted_keys": 1}})_";

}  // namespace

TEST_CASE("aggregates are asked for as they are said", "[client]") {
  auto of = [](std::string_view words, AggWordsOptions options = {}) {
    auto out = aggregates_from(words, options);
    INFO((out ? "" : out.error()));
    REQUIRE(out.ok());
    return out->dump();
  };
  CHECK(of("count, sum(temp)") == R"_({"count":{"count":"*"},"sum(temp)":{"sum":"temp"}})_");
  CHECK(of("count(temp)") == R"_({"count(temp)":{"count":"temp"}})_");
  CHECK(of("var( temp , 1 )") == R"_({"var( temp , 1 )":{"var":"temp","ddof":1}})_");
  CHECK(of("median(t)", {.exact_quantiles = true}) ==
        R"_({"median(t)":{"quantile":"t","q":0.5,"mode":"exact"}})_");
  CHECK(of("quantile(t, 0.5, 0.99)") == R"_({"quantile(t, 0.5, 0.99)":{"quantile":"t","q":[0.5,0.99]}})_");
  CHECK(of("histogram(t, -1, 0, 1.5)") ==
        R"_({"histogram(t, -1, 0, 1.5)":{"histogram":"t","edges":[-1,0,1.5]}})_");
  for (const char* wrong : {"", "sum", "sum(", "sum()", "sum(a", "sum(a) b", "total(a)", "quantile(a)",
                            "quantile(a, x)", "sum(a, 1)", "count,", "'", "count(a"}) {
    INFO(wrong);
    CHECK(!aggregates_from(wrong).ok());
  }
}

TEST_CASE("conditions are asked for as they are said", "[client]") {
  auto of = [](std::string_view words) {
    auto out = conditions_from(words);
    INFO((out ? "" : out.error()));
    REQUIRE(out.ok());
    return out->dump();
  };
  CHECK(of("temp>=20 and site = eu") ==
        R"_([{"column":"temp","op":">=","value":20},{"column":"site","op":"=","value":"eu"}])_");
  CHECK(of("site != '20' and t < -1e3") ==
        R"_([{"column":"site","op":"!=","value":"20"},{"column":"t","op":"<","value":-1000.0}])_");
  CHECK(of("site in (eu, \"new york\")") == R"_([{"column":"site","op":"in","value":["eu","new york"]}])_");
  CHECK(of("t between 1 and 2 and u is null") ==
        R"_([{"column":"t","op":"between","value":[1,2]},{"column":"u","op":"is_null"}])_");
  CHECK(of("v is not null") == R"_([{"column":"v","op":"not_null"}])_");
  for (const char* wrong :
       {"", "t", "t =", "t = 1 2", "t ~ 1", "t in 1", "t in (1", "t between 1", "t is 5", "t = 1 and"}) {
    INFO(wrong);
    CHECK(!conditions_from(wrong).ok());
  }
}

TEST_CASE("agg prints a table, bars, or the node's JSON, and says what is missing", "[client]") {
  std::string asked;
  FakeHttpServer server([&](const FakeRequest& request) {
    asked = request.body;
    return FakeReply{.body = answer};
  });
  const std::vector<std::string> line = {"--node",  server.endpoint(),  "--table",    "readings",
                                         "agg",     "count, sum(temp)", "--by",       "site",
                                         "--where", "temp > 1",         "--available"};
  const Ran table = run_line(line);
  REQUIRE(table.code == 0);
  CHECK(table.out == "site  count  sum(temp)\n-     2      -1.5\neu    4      3.0\n");
  CHECK(table.err ==
        "covey: 3 of 4 partitions answered; missing: 1 (n2: away)\ncovey: 1 keys have siblings\n");
  const Json body = Json::parse(asked);
  CHECK(body["coverage"] == "available");
  CHECK(body["queries"][0]["where"].dump() == R"_([{"column":"temp","op":">","value":1}])_");
  CHECK(body["queries"][0]["group_by"].dump() == R"_(["site"])_");
  auto plotted = line;
  plotted.push_back("--plot");
  const Ran bars = run_line(plotted);
  REQUIRE(bars.code == 0);
  CHECK(bars.out.find("-   2  ████████████████████\n") != std::string::npos);
  CHECK(bars.out.find("-   -1.5  -████████████████████\n") != std::string::npos);
  auto json = line;
  json.insert(json.begin(), {"--output", "json"});
  CHECK(Json::parse(run_line(json).out) == Json::parse(answer));
  CHECK(run_line({"agg", "sum("}).code == 2);
}

TEST_CASE("agg --verify asks a majority of owners, and tells how many agree", "[client]") {
  std::string asked;
  Json verified = Json::parse(answer);
  verified["verified"] = {{"owners", 2}, {"equal", 3}, {"diverging", {0}}, {"unverified", Json::array()}};
  FakeHttpServer server([&](const FakeRequest& request) {
    asked = request.body;
    return FakeReply{.body = verified.dump()};
  });
  const Ran ran = run_line(
      {"--node", server.endpoint(), "--table", "readings", "agg", "count, sum(temp)", "--verify", "quorum"});
  REQUIRE(ran.code == 0);
  CHECK(Json::parse(asked)["verify"] == "quorum");
  CHECK(
      ran.err.find("covey: verified: 3 of 4 partitions gave the same bits on 2 owners; 1 differ while writes "
                   "are on their way\n") != std::string::npos);
  CHECK(run_line({"agg", "count", "--verify", "all"}).code == 2);
}

TEST_CASE("a refused aggregate is an error with its exit code", "[client]") {
  FakeHttpServer server([](const FakeRequest&) { return error(503, "unavailable"); });
  CHECK(run_line({"--node", server.endpoint(), "agg", "count"}).code == 4);
  FakeHttpServer differing([](const FakeRequest&) {
    return FakeReply{.status = 500, .body = R"({"error": {"code": "replicas_differ", "message": "why",
        "partitions": [{"partition": 5, "nodes": ["n3", "n1"]}]}})"};
  });
  const Ran differ = run_line({"--node", differing.endpoint(), "agg", "count", "--verify", "quorum"});
  CHECK(differ.code == 1);
  CHECK(differ.err == "covey: replicas_differ: why\n  partition 5: n3, n1\n");
  FakeHttpServer missing([](const FakeRequest&) {
    return FakeReply{.status = 503, .body = R"({"error": {"code": "unavailable", "message": "why",
        "missing": [1, 2], "reasons": {"n1: too little memory": 2}}})"};
  });
  CHECK(run_line({"--node", missing.endpoint(), "agg", "count"}).err ==
        "covey: unavailable: why\n  2 partitions: n1: too little memory\n");
}

}  // namespace covey::cli::agg_command_test
