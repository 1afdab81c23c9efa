// Writes that are sent on to an owner, and what their client is told when the way there ends.
#include <catch2/catch.hpp>

#include "small_cluster.h"

namespace covey::forward_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;
using Values = std::vector<std::string>;

// Three of four nodes own each key: one that n1 does not, and whom it sends a write of it to.
struct Forwarding {
  SmallCluster cluster{4, 3, 16};
  std::string key;
  std::vector<std::string> owners;
  std::string target;

  Forwarding() {
    for (int i = 0; target.empty(); ++i) {
      REQUIRE(i < 100);
      key = "k" + std::to_string(i);
      owners.clear();
      for (const OwnerView& owner : cluster.core("n1").explain(cluster.now(), "default", key).owners)
        owners.push_back(owner.node.name);
      if (std::find(owners.begin(), owners.end(), "n1") == owners.end()) target = owners.front();
    }
  }
  RequestId put(const std::string& level = "quorum", bool sloppy = false) {
    Request request = cluster.make(Operation::put, key, level, sloppy);
    request.value = "v";
    return cluster.begin("n1", std::move(request));
  }
  // Messages of the kind no longer arrive, and nobody hears that they do not.
  void lose(peer::Envelope::BodyCase kind) {
    cluster.lost = [kind](const std::string&, const std::string&, const peer::Envelope& message) {
      return message.body_case() == kind;
    };
  }
  void check_unknown(const Response& response, const std::string& state) const {
    CHECK(response.status == Status::timeout);
    CHECK(response.needed == 2);
    CHECK(response.received == 0);
    REQUIRE(response.outcomes.size() == 1);
    CHECK(response.outcomes[0].node.name == target);
    CHECK(response.outcomes[0].state == state);
  }
};

TEST_CASE("a write that was sent on is answered when the connection ends: it may have happened",
          "[forward]") {
  Forwarding test;
  test.lose(peer::Envelope::kForwardReply);
  const RequestId id = test.put();
  test.cluster.settle();
  CHECK_FALSE(test.cluster.answered(id));
  test.cluster.cut("n1", test.target);
  test.cluster.wait_ms(20);
  REQUIRE(test.cluster.answered(id));
  test.check_unknown(test.cluster.end(id), "connection lost");
  CHECK(test.cluster.core("n1").operations_in_flight() == 0);
  CHECK(test.cluster.core("n1").stats().forwards_lost == 1);
  // And it has.
  CHECK(test.cluster.values(test.cluster.get(test.owners[1], test.key)) == Values{"v"});
}

TEST_CASE("a write that was sent on is answered when its node is declared dead", "[forward]") {
  Forwarding test;
  test.lose(peer::Envelope::kForward);
  const RequestId id = test.put();
  test.cluster.settle();
  Core& core = test.cluster.core("n1");
  core.learn(test.cluster.now(), {NodeId{test.target}, Health::suspected, 1, 0});
  test.cluster.settle();
  CHECK_FALSE(test.cluster.answered(id));
  core.learn(test.cluster.now(), {NodeId{test.target}, Health::dead, 1, 0});
  test.cluster.settle();
  REQUIRE(test.cluster.answered(id));
  test.check_unknown(test.cluster.end(id), "dead");
}

TEST_CASE("a write that had not left when the connection ended goes to another owner, once", "[forward]") {
  Forwarding test;
  const RequestId id = test.put();
  // Before anything is performed.
  test.cluster.cut("n1", test.target);
  test.cluster.wait_ms(20);
  REQUIRE(test.cluster.answered(id));
  const Response response = test.cluster.end(id);
  CHECK(response.status == Status::ok);
  CHECK(response.received >= 2);
  CHECK(test.cluster.core("n1").stats().forwards_moved == 1);
  CHECK(test.cluster.core(test.owners[1]).stats().writes_coordinated == 1);
  CHECK(test.cluster.core(test.target).stats().writes_coordinated == 0);
  CHECK(test.cluster.values(test.cluster.get(test.target, test.key)) == Values{"v"});
}

TEST_CASE(
    "a write that had not left is refused where too few are left, and stood in for where that is allowed",
    "[forward]") {
  for (bool sloppy : {false, true}) {
    Forwarding test;
    for (const std::string& owner : test.owners) {
      if (owner != test.target) test.cluster.cut("n1", owner);
    }
    test.cluster.settle();
    const RequestId id = test.put("one", sloppy);
    test.cluster.cut("n1", test.target);
    test.cluster.wait_ms(20);
    REQUIRE(test.cluster.answered(id));
    const Response response = test.cluster.end(id);
    CHECK(response.status == (sloppy ? Status::ok : Status::unavailable));
    CHECK(test.cluster.core("n1").stats().stand_in_writes == (sloppy ? 1 : 0));
  }
}

TEST_CASE("what waited behind others when the connection ended goes to another owner too", "[forward]") {
  Forwarding test;
  test.lose(peer::Envelope::kForward);
  const RequestId first = test.put();
  test.cluster.settle();
  const RequestId second = test.put();
  // The performer has taken it, and not sent it.
  Output output = test.cluster.core("n1").drain();
  REQUIRE(output.sends.size() == 1);
  test.cluster.lost = nullptr;
  test.cluster.core("n1").link(test.cluster.now(), NodeId{test.target}, false, std::move(output.sends));
  test.cluster.wait_ms(20);
  REQUIRE(test.cluster.answered(first));
  REQUIRE(test.cluster.answered(second));
  test.check_unknown(test.cluster.end(first), "connection lost");
  CHECK(test.cluster.end(second).status == Status::ok);
}

TEST_CASE(
    "a write that was sent on and arrives twice is done once, also beside those of another shard's life",
    "[forward]") {
  Forwarding test;
  peer::Envelope sent;
  test.cluster.changes = [&](peer::Envelope& message) {
    if (message.has_forward()) sent = message;
  };
  REQUIRE(test.cluster.end(test.put()).status == Status::ok);
  REQUIRE(sent.has_forward());
  test.cluster.changes = {};
  const auto arrives = [&](const peer::Envelope& message) {
    test.cluster.core(test.target).receive(test.cluster.now(), NodeId{"n1"}, message);
    test.cluster.settle();
    return test.cluster.values(test.cluster.get(test.target, test.key, "one"));
  };
  CHECK(arrives(sent) == Values{"v"});
  peer::Envelope other = sent;
  other.set_shard(1);
  other.set_incarnation(sent.incarnation() + 1);
  other.mutable_forward()->set_value("other");
  CHECK(arrives(other) == Values{"other", "v"});
  CHECK(arrives(sent) == Values{"other", "v"});
  CHECK(arrives(other) == Values{"other", "v"});
}

}  // namespace

}  // namespace covey::forward_test
