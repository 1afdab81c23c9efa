// import, export and bench against a fake node.
#include <atomic>
#include <set>

#include "tests/unit/client/run_line.h"

namespace covey::cli::bulk_command_test {

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

TEST_CASE(
    "an import tries lines again that were refused for the moment, and no write that may have been done",
    "[client]") {
  std::map<std::string, int> tries;
  FakeHttpServer server([&](const FakeRequest& request) {
    FakeReply reply;
    std::istringstream lines(request.body);
    for (std::string line; std::getline(lines, line);) {
      const Json operation = Json::parse(line);
      const std::string key = operation["key"];
      const bool reads = operation.value("op", "") == "get";
      const int tried = ++tries[key + (reads ? " read" : "")];
      Json result = {{"key", key}, {"status", 200}, {"dot", "n1.1:1"}, {"context", "c"}};
      const auto fail = [&](int status, const char* code) {
        result = {{"key", key}, {"status", status}, {"error", {{"code", code}, {"message", "why"}}}};
      };
      if (key == "busy" && !reads && tried < 3) fail(429, "overloaded");
      if (key == "late" && reads && tried == 1) fail(504, "timeout");
      if (key == "away" && !reads) fail(503, "unavailable");
      if (key == "unknown" && !reads) fail(504, "timeout");
      reply.body += result.dump() + "\n";
    }
    return reply;
  });
  const Folder folder;
  const std::string file = folder.write("in.csv", "key,n\nfine,1\nbusy,2\nlate,3\naway,4\nunknown,5\n");
  const Ran ran = run_line({"--node", server.endpoint(), "import", file, "--parallel", "1"});
  CHECK(ran.code == 4);
  CHECK(ran.out == "imported 3 records, 2 lines failed\n");
  CHECK_THAT(ran.err, Catch::Contains("line 5: unavailable") &&
                          Catch::Contains("line 6: timeout: why (outcome unknown)"));
  CHECK(tries == std::map<std::string, int>{{"fine read", 1},
                                            {"fine", 1},
                                            {"busy read", 3},
                                            {"busy", 3},
                                            {"late read", 2},
                                            {"late", 1},
                                            {"away read", 5},
                                            {"away", 5},
                                            {"unknown read", 1},
                                            {"unknown", 1}});
}

TEST_CASE("a file that can't be imported at all is told at once", "[client]") {
  FakeHttpServer server([](const FakeRequest&) { return FakeReply{}; });
  const Folder folder;
  const std::string file = folder.write("in.csv", "id,n\na,1\n");
  const Ran ran = run_line({"--node", server.endpoint(), "import", file});
  CHECK(ran.code == 1);
  CHECK_THAT(ran.err, Catch::Contains("no column \"key\""));
  CHECK(server.requests().empty());
}

TEST_CASE("an import that was cut off goes on where it stopped", "[client]") {
  std::atomic<bool> broken = true;
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
      reply.body = R"({"key": "a", "value": {"n": 12345678901234567890123}, "dot": "n1.1:1", "context": "x"})"
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
  CHECK(imported == R"({"key":"a","value":{"n": 12345678901234567890123}})"
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

}  // namespace covey::cli::bulk_command_test
