// The command line against a fake node: exit codes, output, and what is sent.
#include "tests/unit/client/run_line.h"

namespace covey::cli::command_line_test {
namespace {

const std::string written_body =
    R"({"dot": "n1.1:9", "acks": {"needed": 2, "received": 3}, "context": "after"})";
const std::string siblings_body = R"({"siblings": [
    {"value": {"a": 1}, "dot": "n1.1:1", "time": "t1", "content_type": "application/json"},
    {"value": "two", "dot": "n2.1:1", "time": "t2", "content_type": "text/plain"}], "context": "both"})";

// Answers by the key in the path.
FakeReply answer(const FakeRequest& request) {
  const auto has = [&](const char* part) { return request.target.find(part) != std::string::npos; };
  if (request.method != "GET") {
    if (has("/late")) return error(504, "timeout");
    if (has("/big")) return error(413, "too_large");
    return {.body = written_body};
  }
  if (has("/siblings")) return {.status = 300, .body = siblings_body, .headers = {{"Covey-Context", "both"}}};
  if (has("/absent")) {
    FakeReply reply = error(404, "not_found");
    reply.headers = {{"Covey-Context", "nothing"}};
    return reply;
  }
  if (has("/no-table")) return error(404, "no_such_table");
  if (has("/cut-off")) return error(503, "unavailable");
  if (has("/busy")) return error(429, "overloaded");
  return {.body = "value", .headers = {{"Content-Type", "text/plain"}, {"Covey-Context", "before"}}};
}

}  // namespace

TEST_CASE("scripts can tell what happened from the exit code", "[client]") {
  FakeHttpServer server(answer);
  const std::vector<std::pair<std::vector<std::string>, int>> table = {
      {{"get", "there"}, 0},
      {{"get", "absent"}, 3},
      {{"get", "no-table"}, 3},
      {{"get", "siblings"}, 5},
      {{"siblings", "siblings"}, 5},
      {{"get", "cut-off"}, 4},
      {{"get", "busy"}, 4},
      {{"put", "there", "v"}, 0},
      {{"put", "late", "v"}, 4},
      {{"put", "big", "v"}, 1},
      {{"put", "cut-off", "v"}, 4},
      {{"put", "cut-off", "v", "--blind"}, 0},
      {{"del", "absent"}, 0},
      {{"resolve", "siblings", "--pick", "n1.1:1"}, 0},
      {{"resolve", "siblings", "--pick", "n9.1:1"}, 1},
      {{"resolve", "absent", "--value", "v"}, 3},
      {{"get", "k", "-r", "0"}, 2},
      {{"get"}, 2},
      {{"get", ""}, 2},
      {{"get", std::string(2049, 'k')}, 2},
      {{"put", "k", "v", "--ttl", "10"}, 2},
      {{"put", "k", "v", "--blind", "--context", "c"}, 2},
      {{"resolve", "k"}, 2},
      {{"nonsense"}, 2},
      {{"--output", "xml", "get", "k"}, 2},
      {{}, 2},
      {{"--help"}, 0},
      {{"cluster", "start", "--help"}, 0}};
  for (auto [arguments, code] : table) {
    if (!arguments.empty()) INFO(arguments.back());
    arguments.insert(arguments.begin(), {"--node", server.endpoint()});
    const Ran ran = run_line(arguments);
    INFO(ran.out << ran.err);
    CHECK(ran.code == code);
  }
  const std::string nobody = "127.0.0.1:" + std::to_string(test::free_port());
  CHECK(run_line({"get", "k", "--node", nobody}).code == 4);
  CHECK(run_line({"get", "k", "--node", nobody, "--node", server.endpoint()}).code == 0);
  CHECK(run_line({"get", "k", "--node", "nowhere"}).code == 2);
}

TEST_CASE("put overwrites what it sees, unless it is told otherwise", "[client]") {
  FakeHttpServer server(answer);
  const auto contexts_of = [&](std::vector<std::string> arguments) {
    const size_t before = server.requests().size();
    arguments.insert(arguments.begin(), {"--node", server.endpoint()});
    CHECK(run_line(arguments).code == 0);
    std::string log;
    const auto requests = server.requests();
    for (size_t i = before; i < requests.size(); ++i) {
      const auto& request = requests[i];
      log += request.method + " " + request.target;
      if (request.headers.contains("covey-context")) log += " context " + request.headers.at("covey-context");
      log += "; ";
    }
    return log;
  };
  CHECK(contexts_of({"put", "k", "v"}) == "GET /v1/kv/default/k; PUT /v1/kv/default/k context before; ");
  CHECK(contexts_of({"put", "k", "v", "-w", "one"}) ==
        "GET /v1/kv/default/k?r=one; PUT /v1/kv/default/k?w=one context before; ");
  CHECK(contexts_of({"put", "k", "v", "-w", "one", "-r", "2"}) ==
        "GET /v1/kv/default/k?r=2; PUT /v1/kv/default/k?w=one context before; ");
  CHECK(contexts_of({"put", "k", "v", "--blind"}) == "PUT /v1/kv/default/k; ");
  CHECK(contexts_of({"put", "k", "v", "--context", "mine"}) == "PUT /v1/kv/default/k context mine; ");
  CHECK(contexts_of({"put", "siblings", "v"}) ==
        "GET /v1/kv/default/siblings; PUT /v1/kv/default/siblings context both; ");
  CHECK(contexts_of({"del", "absent"}) ==
        "GET /v1/kv/default/absent; DELETE /v1/kv/default/absent context nothing; ");
  CHECK(contexts_of({"--table", "t", "--no-sloppy", "--timeout", "2s", "put", "k", "v", "--blind", "--ttl",
                     "10s"}) == "PUT /v1/kv/t/k?sloppy=false&timeout_ms=2000&ttl_ms=10000; ");
}

TEST_CASE("get prints the value alone, and all siblings", "[client]") {
  FakeHttpServer server(answer);
  CHECK(run_line({"--node", server.endpoint(), "get", "k"}).out == "value\n");
  CHECK(run_line({"--node", server.endpoint(), "get", "k", "--raw"}).out == "value");
  const Ran siblings = run_line({"--node", server.endpoint(), "get", "siblings"});
  CHECK(siblings.out == "n1.1:1  t1  {\"a\": 1}\nn2.1:1  t2  two\n");
  const auto json =
      Json::parse(run_line({"--node", server.endpoint(), "get", "siblings", "--output", "json"}).out);
  CHECK(json["siblings"][0]["value"]["a"] == 1);
  CHECK(json["siblings"][1]["value"] == "two");
  CHECK(json["context"] == "both");
  const Ran failed = run_line({"--node", server.endpoint(), "get", "cut-off", "--output", "json"});
  CHECK(Json::parse(failed.err)["error"]["code"] == "unavailable");
}

TEST_CASE("a value may come from standard input", "[client]") {
  FakeHttpServer server(answer);
  const std::string value("bytes\0\n", 7);
  CHECK(run_line({"--node", server.endpoint(), "put", "k", "-", "--blind"}, value).code == 0);
  CHECK(server.requests().at(0).body == value);
}

TEST_CASE("the shell takes the same commands and keeps its options", "[client]") {
  FakeHttpServer server(answer);
  const Ran ran = run_line({"--node", server.endpoint(), "--table", "t", "shell"},
                           "get k\n# a comment\nput k 'a b' --blind\nget 'open\nget absent\n");
  CHECK(ran.code == 3);
  CHECK_THAT(ran.out, Catch::Contains("value\n") && Catch::Contains("n1.1:9"));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].target == "/v1/kv/t/k");
  CHECK(requests[1].body == "a b");
  CHECK(server.connections() == 1);
}

TEST_CASE("the shell completes what exists", "[client]") {
  const auto names = command_names();
  CHECK(std::count(names.begin(), names.end(), "siblings") == 1);
  CHECK(command_names("table") == std::vector<std::string>{"create", "show", "drop"});
  CHECK(command_names("get").empty());
  const auto options = option_names("put");
  CHECK(std::count(options.begin(), options.end(), "--ttl") == 1);
  CHECK(std::count(options.begin(), options.end(), "--table") == 1);
}

}  // namespace covey::cli::command_line_test
