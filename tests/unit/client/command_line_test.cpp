// The command line against a fake node: exit codes, output, and what is sent.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "client/cli/app.h"
#include "tests/unit/client/fake_http_server.h"

namespace covey::cli {
namespace {

namespace fs = std::filesystem;
using test::FakeHttpServer;
using test::FakeReply;
using test::FakeRequest;

const std::string written_body =
    R"({"dot": "n1.1:9", "acks": {"needed": 2, "received": 3}, "context": "after"})";
const std::string siblings_body = R"({"siblings": [
    {"value": {"a": 1}, "dot": "n1.1:1", "time": "t1", "content_type": "application/json"},
    {"value": "two", "dot": "n2.1:1", "time": "t2", "content_type": "text/plain"}], "context": "both"})";

FakeReply error(int status, const std::string& code) {
  return {.status = status, .body = R"({"error": {"code": ")" + code + R"(", "message": "why"}})"};
}

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

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

Ran run_line(std::vector<std::string> arguments, const std::string& input = {}) {
  std::ostringstream out, err;
  std::istringstream in(input);
  auto* const old_out = std::cout.rdbuf(out.rdbuf());
  auto* const old_err = std::cerr.rdbuf(err.rdbuf());
  auto* const old_in = std::cin.rdbuf(in.rdbuf());
  Session session{Settings{}};
  const int code = run_command_line(session, std::move(arguments), false);
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  std::cin.rdbuf(old_in);
  return {code, out.str(), err.str()};
}

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "covey-client-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

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
  CHECK(siblings.out == "n1.1:1  t1  {\"a\":1}\nn2.1:1  t2  two\n");
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

TEST_CASE("an import tells the lines that failed and goes on", "[client]") {
  FakeHttpServer server([](const FakeRequest& request) {
    FakeReply reply;
    std::istringstream lines(request.body);
    for (std::string line; std::getline(lines, line);) {
      const Json operation = Json::parse(line);
      Json result = {{"key", operation["key"]}, {"status", 200}, {"dot", "n1.1:1"}, {"context", "c"}};
      if (operation.value("op", "") == "get") {
        result = {{"key", operation["key"]}, {"status", 404}, {"context", "seen"}};
      } else if (operation["key"] == "bad") {
        result = {{"key", "bad"}, {"status", 422}, {"error", {{"code", "bad_column"}, {"message", "temp"}}}};
      }
      reply.body += result.dump() + "\n";
    }
    return reply;
  });
  const Folder folder;
  const std::string file = folder.write("in.csv", "key,n\na,1\nbad,2\nc\nb,3\na,4\n");
  const Ran ran = run_line({"--node", server.endpoint(), "import", file, "--parallel", "1"});
  CHECK(ran.code == 1);
  CHECK(ran.out == "imported 3 records, 2 lines failed\n");
  CHECK_THAT(ran.err, Catch::Contains("line 3: bad_column: temp") && Catch::Contains("line 4: 1 fields"));
  std::string puts;
  for (const FakeRequest& request : server.requests()) {
    std::istringstream lines(request.body);
    for (std::string line; std::getline(lines, line);) {
      const Json operation = Json::parse(line);
      if (operation.value("op", "") == "get") continue;
      CHECK(operation["context"] == "seen");
      puts += operation["key"].get<std::string>() + operation["value"]["n"].dump() + " ";
    }
  }
  // The key's second line comes in a later batch than its first.
  CHECK(puts == "a1 bad2 b3 a4 ");
}

TEST_CASE("an import that was cut off goes on where it stopped", "[client]") {
  bool broken = true;
  std::set<std::string> keys;
  FakeHttpServer server([&](const FakeRequest& request) {
    FakeReply reply;
    std::istringstream lines(request.body);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      const Json operation = Json::parse(line);
      if (broken && operation["key"] == "k700") return FakeReply{.way = FakeReply::Way::close};
      keys.insert(operation["key"]);
      reply.body +=
          Json{{"key", operation["key"]}, {"status", 200}, {"dot", "d"}, {"context", "c"}}.dump() + "\n";
    }
    return reply;
  });
  const Folder folder;
  std::string text;
  for (int i = 1; i <= 1200; ++i)
    text += R"({"key": "k)" + std::to_string(i) +
            R"(", "value": 1})"
            "\n";
  const std::string file = folder.write("in.jsonl", text);
  const std::vector<std::string> command = {"--node", server.endpoint(), "import",
                                            file,     "--blind",         "--parallel",
                                            "1",      "--resume",        folder.file("position")};
  const Ran cut = run_line(command);
  CHECK(cut.code == 4);
  CHECK_THAT(cut.err, Catch::Contains("outcome unknown") && Catch::Contains("--from-line 501"));
  broken = false;
  const Ran rest = run_line(command);
  CHECK(rest.code == 0);
  CHECK(rest.out == "imported 700 records, 0 lines failed\n");
  CHECK(keys.size() == 1200);
  CHECK_FALSE(fs::exists(folder.file("position")));
}

TEST_CASE("what export prints, import sends: siblings stay siblings", "[client]") {
  std::string imported;
  FakeHttpServer server([&](const FakeRequest& request) {
    FakeReply reply;
    if (request.method == "GET" && request.target.find("cursor=next") == std::string::npos) {
      reply.body = R"({"key": "a", "value": {"n": 1}, "dot": "n1.1:1", "context": "x"})"
                   "\n"
                   R"({"cursor": "next"})";
    } else if (request.method == "GET") {
      reply.body =
          R"({"key": "b", "siblings": [{"value": 1, "dot": "d1"}, {"value_base64": "dHdv", "content_type": "text/plain", "dot": "d2"}], "context": "y"})"
          "\n"
          R"({"cursor": null})";
    } else {
      imported += request.body;
      for (const char c : request.body) {
        if (c == '\n')
          reply.body += R"({"key": "k", "status": 200, "dot": "d", "context": "c"})"
                        "\n";
      }
    }
    return reply;
  });
  const Folder folder;
  CHECK(run_line({"--node", server.endpoint(), "export", "--out", folder.file("out.jsonl")}).code == 0);
  CHECK(run_line({"--node", server.endpoint(), "import", folder.file("out.jsonl"), "--blind"}).code == 0);
  CHECK(imported == R"({"key":"a","value":{"n":1}})"
                    "\n"
                    R"({"key":"b","value":1})"
                    "\n"
                    R"({"key":"b","value_base64":"dHdv","content_type":"text/plain"})"
                    "\n");
}

TEST_CASE("bench counts every operation and tells failures", "[client]") {
  std::atomic<int> seen{0};
  FakeHttpServer server([&](const FakeRequest& request) {
    if (++seen % 10 == 0) return error(503, "unavailable");
    return request.method == "GET" ? FakeReply{.body = "v"}
                                   : FakeReply{.body = "{}", .headers = {{"Covey-Context", "c"}}};
  });
  const Ran ran = run_line({"--node", server.endpoint(), "--output", "json", "bench", "--ops", "100",
                            "--clients", "3", "--keys", "30", "--pipeline", "4", "--no-preload"});
  CHECK(ran.code == 1);
  const Json report = Json::parse(ran.out);
  CHECK(report["operations"] == 90);
  CHECK(report["errors"]["HTTP 503"] == 10);
  CHECK(report["reads"]["count"].get<int>() + report["writes"]["count"].get<int>() == 90);
}

TEST_CASE("cluster start runs a node for each file and stop ends them", "[client]") {
  FakeHttpServer server([](const FakeRequest&) { return FakeReply{.body = "{}"}; });
  const Folder folder;
  const std::string program = folder.write(
      "coveyd", "#!/bin/sh\necho started $2\ntrap 'exit 0' TERM\nwhile :; do sleep 0.05; done\n");
  ::chmod(program.c_str(), 0755);
  fs::create_directory(folder.path() + "/configs");
  for (const char* node : {"n1", "n2"}) {
    folder.write(
        std::string("configs/") + node + ".json",
        Json{{"node", node}, {"data_dir", folder.file(node)}, {"listen", {{"http", server.endpoint()}}}}
            .dump());
  }
  const std::string configs = folder.file("configs");
  const Ran started = run_line({"cluster", "start", configs, "--coveyd", program, "--output", "json"});
  INFO(started.out << started.err);
  REQUIRE(started.code == 0);
  const Json nodes = Json::parse(started.out)["nodes"];
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0]["state"] == "ready");
  CHECK(fs::exists(folder.file("n2/coveyd.log")));
  const Ran again = run_line({"cluster", "start", configs, "--coveyd", program, "--output", "json"});
  CHECK(Json::parse(again.out)["nodes"] == nodes);
  CHECK(run_line({"cluster", "stop", configs}).out == "n1  stopped\nn2  stopped\n");
  CHECK(run_line({"cluster", "stop", configs}).out == "n1  was not running\nn2  was not running\n");
}

TEST_CASE("a node that ends at once is told with the end of its log", "[client]") {
  const Folder folder;
  const std::string program = folder.write("coveyd", "#!/bin/sh\necho the port is taken\nexit 1\n");
  ::chmod(program.c_str(), 0755);
  fs::create_directory(folder.path() + "/configs");
  folder.write("configs/n1.json",
               Json{{"node", "n1"},
                    {"data_dir", folder.file("n1")},
                    {"listen", {{"http", "127.0.0.1:" + std::to_string(test::free_port())}}}}
                   .dump());
  const Ran ran = run_line({"cluster", "start", folder.file("configs"), "--coveyd", program});
  CHECK(ran.code == 1);
  CHECK_THAT(ran.err, Catch::Contains("n1 has ended") && Catch::Contains("the port is taken"));
  CHECK(run_line({"cluster", "start", folder.file("nowhere")}).code == 2);
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

}  // namespace covey::cli
