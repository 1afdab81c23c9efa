// Requests that await a replica whose process has ended: they are answered when that is known, if the others
// do not suffice.
#include <catch2/catch.hpp>

#include "small_cluster.h"

namespace covey::given_up_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;

// Three nodes own everything; n1 is asked, and what the others answer to it may be lost.
struct Awaiting {
  SmallCluster cluster{3, 3, 4};
  Core& core = cluster.core("n1");

  Awaiting() { REQUIRE(cluster.put("n2", "k", "before", {}, "all").status == Status::ok); }
  void lose_answers_of(std::set<std::string> nodes) {
    cluster.lost = [nodes](const std::string& from, const std::string&, const peer::Envelope& message) {
      return nodes.contains(from) &&
             (message.has_replicate_ack() || message.has_fetch_reply() || message.has_scan_reply());
    };
  }
  RequestId begin(Operation operation, const std::string& level) {
    Request request = cluster.make(operation, "k", level, false);
    request.timeout_ms = 60'000;
    if (operation == Operation::put) request.value = "after";
    const RequestId id = cluster.begin("n1", std::move(request));
    cluster.settle();
    REQUIRE_FALSE(cluster.answered(id));
    return id;
  }
  void declare(const std::string& node, Health health) {
    core.learn(cluster.now(), {NodeId{node}, health, 1, 0});
    cluster.settle();
  }
  static std::string state_of(const Response& response, const std::string& node) {
    for (const OwnerOutcome& outcome : response.outcomes)
      if (outcome.node.name == node) return outcome.state;
    return "not named";
  }
};

TEST_CASE("a write that needs a node is answered when that is declared dead: it may have happened",
          "[given up]") {
  Awaiting test;
  test.lose_answers_of({"n3"});
  const RequestId id = test.begin(Operation::put, "all");
  test.declare("n3", Health::suspected);
  CHECK_FALSE(test.cluster.answered(id));
  test.declare("n3", Health::dead);
  REQUIRE(test.cluster.answered(id));
  const Response response = test.cluster.end(id);
  CHECK(response.status == Status::timeout);
  CHECK(response.needed == 3);
  CHECK(response.received == 2);
  CHECK(test.state_of(response, "n2") == "answered");
  CHECK(test.state_of(response, "n3") == "dead");
  CHECK(test.core.stats().replicas_given_up == 1);
  CHECK(test.core.operations_in_flight() == 0);
}

TEST_CASE("a write or read that the others suffice for goes on waiting for them", "[given up]") {
  Awaiting test;
  const Operation operation = GENERATE(Operation::put, Operation::get);
  test.lose_answers_of({"n2", "n3"});
  const RequestId id = test.begin(operation, "quorum");
  test.declare("n3", Health::dead);
  CHECK_FALSE(test.cluster.answered(id));
  test.declare("n2", Health::dead);
  REQUIRE(test.cluster.answered(id));
  const Response response = test.cluster.end(id);
  CHECK(response.status == (operation == Operation::put ? Status::timeout : Status::unavailable));
  CHECK(response.received == 1);
}

TEST_CASE("a read that needs a node is unavailable once nobody listens at that one's address", "[given up]") {
  Awaiting test;
  test.lose_answers_of({"n3"});
  const RequestId id = test.begin(GENERATE(Operation::get, Operation::scan), "all");
  test.core.refused(test.cluster.now(), NodeId{"n2"});  // it has answered
  test.cluster.settle();
  CHECK_FALSE(test.cluster.answered(id));
  test.core.refused(test.cluster.now(), NodeId{"n3"});
  test.cluster.settle();
  REQUIRE(test.cluster.answered(id));
  const Response response = test.cluster.end(id);
  CHECK(response.status == Status::unavailable);
  CHECK(response.received == 2);
  CHECK(test.state_of(response, "n3") == "connection refused");
  CHECK(test.core.operations_in_flight() == 0);
}

// Of what is staged for the store, too: it is stored before anything is answered.
TEST_CASE("a write that was not stored yet does not wait for the dead either", "[given up]") {
  Awaiting test;
  test.lose_answers_of({"n3"});
  Request request = test.cluster.make(Operation::put, "k", "all", false);
  request.value = "after";
  const RequestId id = test.cluster.begin("n1", std::move(request));
  test.declare("n3", Health::dead);
  REQUIRE(test.cluster.answered(id));
  CHECK(test.cluster.end(id).status == Status::timeout);
}

}  // namespace

}  // namespace covey::given_up_test
