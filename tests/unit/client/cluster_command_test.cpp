// cluster and explain against fake nodes; cluster start with a script in place of the server.
#include <sys/stat.h>

#include "tests/unit/client/run_line.h"

namespace covey::cli::cluster_command_test {
namespace {

// One node's word on a cluster of two, in which it owns the one partition.
std::string cluster_of(const std::string& node, int other_port, const std::string& clock, int differing) {
  return R"({"cluster": "c", "node": ")" + node + R"(", "partitions": 1, "replicas": 2, "members": [
      {"node": ")" +
         node + R"(", "http": "", "peer": "p", "zone": "a", "state": "alive", "self": true},
      {"node": "other", "http": "127.0.0.1:)" +
         std::to_string(other_port) +
         R"(", "zone": "b", "state": "suspected", "health_ms": 2500, "incarnation": 71}],
      "ring": [{"partition": 0, "owners": ["n1", "n2"], "ready": true, "clock": )" +
         clock + R"(,
                "state_hash": "ab12", "log": 3, "residual": 0, "objects": 12, "diverged": ["n2"]}],
      "divergence": {"partitions": )" +
         std::to_string(differing) + R"(, "oldest_ms": 1500}})";
}

}  // namespace

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
  CHECK(fs::exists(folder.file("n2.log")));
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

TEST_CASE("await-converged asks every node and believes none alone", "[client]") {
  std::string clock1 = R"({"n1.1": 4, "n2.1": 2})", clock2 = R"({"n1.1": 3})";
  int differing2 = 0, port1 = 0, port2 = 0, polls = 0;
  FakeHttpServer first(
      [&](const FakeRequest&) { return FakeReply{.body = cluster_of("n1", port2, clock1, 0)}; });
  FakeHttpServer second([&](const FakeRequest&) {
    if (++polls == 2) clock2 = R"({"n2.1": 2, "n1.1": 4})", differing2 = 1;
    if (polls == 3) differing2 = 0;
    return FakeReply{.body = cluster_of("n2", port1, clock2, differing2)};
  });
  port1 = first.port();
  port2 = second.port();
  const Ran ran = run_line({"--node", first.endpoint(), "cluster", "await-converged", "--timeout", "60s"});
  CHECK(ran.code == 0);
  CHECK(polls == 3);

  clock2 = R"({"n1.1": 3})";
  const Ran late = run_line({"--node", first.endpoint(), "cluster", "await-converged", "--timeout", "1ms"});
  CHECK(late.code == 4);
  CHECK_THAT(late.err, Catch::Contains("partition 0 differs"));
}

TEST_CASE("await-converged does not wait longer for a node that hangs than it was told to wait", "[client]") {
  FakeHttpServer server([](const FakeRequest&) { return FakeReply{.way = FakeReply::Way::hang}; });
  const Ran ran = run_line({"--node", server.endpoint(), "cluster", "await-converged", "--timeout", "200ms"});
  CHECK(ran.code == 4);
  CHECK_THAT(ran.err, !Catch::Contains("not converged after 10 s"));
}

TEST_CASE("status, ring and explain say what a person asks", "[client]") {
  FakeHttpServer server([](const FakeRequest& request) {
    if (request.target == "/v1/cluster") return FakeReply{.body = cluster_of("n1", 7102, "{}", 1)};
    return FakeReply{.body = R"({"table": "default", "key": "k", "partition": 7,
        "owners": [{"node": "n1", "reachable": true, "ready": true, "state": "alive"},
                   {"node": "n2", "reachable": false, "ready": true, "state": "unreachable"}],
        "read": {"level": "quorum", "needed": 2, "reachable": 1, "would_succeed": false},
        "write": {"level": "one", "needed": 1, "reachable": 1, "would_succeed": true}, "stand_ins": []})"};
  });
  CHECK_THAT(run_line({"--node", server.endpoint(), "cluster", "status"}).out,
             Catch::Contains("1 partitions differ") && Catch::Contains("n1 *") &&
                 Catch::Contains("suspected  2 s    member"));
  CHECK_THAT(run_line({"--node", server.endpoint(), "cluster", "ring"}).out, Catch::Contains("n1,n2"));
  CHECK_THAT(run_line({"--node", server.endpoint(), "explain", "k", "-w", "one"}).out,
             Catch::Contains("owner n2: unreachable, not reachable") &&
                 Catch::Contains("read at quorum: would be refused (needs 2, 1 reachable)") &&
                 Catch::Contains("write at one: would succeed"));
  CHECK(server.requests().back().target == "/v1/explain/default/k?w=one");
}

TEST_CASE("status and ring show who leaves, who is filled and what is held here", "[client]") {
  FakeHttpServer server([](const FakeRequest&) {
    return FakeReply{.body = R"({"cluster": "c", "node": "n1", "partitions": 3, "replicas": 1, "members": [
        {"node": "n1", "state": "alive", "standing": "leaving", "weight": 2.0, "self": true},
        {"node": "n5", "state": "alive", "standing": "member", "place": "n4", "weight": 1.0}],
        "removed": ["n3", "n4"],
        "ring": [{"partition": 0, "owners": ["n1"], "filling": ["n5"], "held": true, "ready": true},
                 {"partition": 1, "owners": ["n5"], "filling": [], "held": true, "ready": false},
                 {"partition": 2, "owners": ["n5"], "filling": [], "held": false, "ready": false}]})"};
  });
  const std::string status = run_line({"--node", server.endpoint(), "cluster", "status"}).out;
  INFO(status);
  CHECK_THAT(status, Catch::Contains("n1 *  alive  0 ms   leaving        1     0              2.0"));
  CHECK_THAT(status, Catch::Contains("n5    alive  0 ms   member for n4  2     1              1.0"));
  CHECK_THAT(status, Catch::EndsWith("removed: n3,n4\n"));
  const std::string ring = run_line({"--node", server.endpoint(), "cluster", "ring"}).out;
  INFO(ring);
  CHECK_THAT(ring, Catch::Contains("0          n1      n5       ready"));
  CHECK_THAT(ring, Catch::Contains("1          n5               stand-in"));
  CHECK_THAT(ring, Catch::Contains("2          n5               -"));
}

}  // namespace covey::cli::cluster_command_test
