// How much may be in flight between nodes, and what a user sees where there is no room.
#include <catch2/catch.hpp>

#include "small_cluster.h"

namespace covey::flow_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;
using Values = std::vector<std::string>;
using Body = peer::Envelope::BodyCase;

TEST_CASE("a quorum read does not send values that its coordinator has", "[flow]") {
  SmallCluster cluster(3);
  std::string large(1'000'000, 'v');
  REQUIRE(cluster.put("n1", "k", large, {}, "all").status == Status::ok);
  cluster.bytes_sent = 0;
  Response read = cluster.get("n1", "k", "all");
  CHECK(cluster.values(read) == Values{large});
  CHECK(read.behind == 0);
  CHECK(cluster.bytes_sent < 10'000);
}

TEST_CASE("a quorum read gets the values that its coordinator lacks, and what others have deleted is gone",
          "[flow]") {
  SmallCluster cluster(3);
  Response first = cluster.put("n1", "k", "first", {}, "all");
  Response other = cluster.put("n2", "k", "other", {}, "all");
  cluster.isolate("n1");
  cluster.wait_ms(2'000);
  REQUIRE(cluster.put("n2", "k", "second", first.context, "quorum").status == Status::ok);
  cluster.heal();
  Response read = cluster.get("n1", "k", "all");
  CHECK(cluster.values(read) == Values{"other", "second"});
  CHECK(cluster.values(cluster.get("n1", "k", "one")) == Values{"other", "second"});
  CHECK(cluster.values(cluster.get("n3", "k")) == Values{"other", "second"});
}

TEST_CASE("a read waits for a replica that has no room for its answer, and is answered as soon as it has",
          "[flow]") {
  SmallCluster cluster(3);
  cluster.put("n1", "k", "v", {}, "all");
  int refused = 0;
  cluster.no_room = [&](const std::string&, const std::string& to, const peer::Envelope& message) {
    bool large = message.body_case() == Body::kFetchReply && message.fetch_reply().refusal() == 0;
    return large && to == "n1" && ++refused <= 5;
  };
  Response read = cluster.get("n1", "k", "all");
  CHECK(read.status == Status::ok);
  CHECK(cluster.values(read) == Values{"v"});
  CHECK(refused > 5);
  CHECK(cluster.core("n1").stats().busy_replicas == 5);
}

TEST_CASE("a read is told that replicas are busy, not that they do not answer", "[flow]") {
  SmallCluster cluster(3);
  cluster.put("n1", "k", "v", {}, "all");
  Body without_room = Body::kFetchReply;
  cluster.no_room = [&](const std::string&, const std::string&, const peer::Envelope& message) {
    bool refusal = message.body_case() == Body::kFetchReply && message.fetch_reply().refusal() != 0;
    return message.body_case() == without_room && !refusal;
  };
  for (Body body : {Body::kFetchReply, Body::kFetch}) {
    without_room = body;
    Response read = cluster.get("n1", "k", "all");
    CHECK(read.status == Status::overloaded);
    bool named = std::any_of(read.outcomes.begin(), read.outcomes.end(),
                             [](const OwnerOutcome& outcome) { return outcome.state == "busy"; });
    CHECK(named);
  }
  cluster.no_room = nullptr;
  CHECK(cluster.get("n1", "k", "all").status == Status::ok);
}

TEST_CASE("a read that too few answer in time tells how many did", "[flow]") {
  SmallCluster cluster(3);
  cluster.put("n1", "k", "v", {}, "all");
  cluster.no_room = [](const std::string& from, const std::string&, const peer::Envelope& message) {
    return from == "n3" && message.body_case() == Body::kFetchReply;  // its refusal too
  };
  for (bool sloppy : {false, true}) {
    Response read = cluster.get("n1", "k", "all", sloppy);
    CHECK(read.status == Status::timeout);
    CHECK(read.received == 2);
  }
}

TEST_CASE("a write that there is no room for is sent again within its time", "[flow]") {
  SmallCluster cluster(3);
  int refused = 0;
  cluster.no_room = [&](const std::string&, const std::string&, const peer::Envelope& message) {
    return message.body_case() == Body::kReplicate && ++refused <= 5;
  };
  Response written = cluster.put("n1", "k", "v", {}, "all");
  CHECK(written.status == Status::ok);
  CHECK(written.received == 3);
  CHECK(refused > 5);
  CHECK(cluster.values(cluster.get("n2", "k", "one")) == Values{"v"});
}

TEST_CASE("a write that is overwritten before it could be sent is acknowledged as what it has become",
          "[flow]") {
  SmallCluster cluster(3);
  cluster.no_room = [&](const std::string&, const std::string&, const peer::Envelope& message) {
    return message.body_case() == Body::kReplicate;
  };
  RequestId first = cluster.begin("n1", cluster.make(Operation::put, "k", "all", false));
  cluster.wait_ms(20);
  Request again = cluster.make(Operation::put, "k", "all", false);
  again.value = "second";
  again.context = cluster.get("n1", "k", "one").context;
  RequestId second = cluster.begin("n1", again);
  cluster.wait_ms(20);
  cluster.no_room = nullptr;
  CHECK(cluster.end(first).status == Status::ok);
  CHECK(cluster.end(second).status == Status::ok);
  for (const char* node : {"n1", "n2", "n3"})
    CHECK(cluster.values(cluster.get(node, "k", "one")) == Values{"second"});
}

TEST_CASE("a write that could not be sent at all is told so, and gossip brings it", "[flow]") {
  SmallCluster cluster(3);
  cluster.no_room = [](const std::string&, const std::string&, const peer::Envelope& message) {
    return message.body_case() == Body::kReplicate;
  };
  Response written = cluster.put("n1", "k", "v", {}, "quorum");
  CHECK(written.status == Status::timeout);
  CHECK(std::count_if(written.outcomes.begin(), written.outcomes.end(),
                      [](const OwnerOutcome& outcome) { return outcome.state == "busy"; }) == 2);
  CHECK(cluster.put("n1", "k2", "v", {}, "one").status == Status::ok);
  cluster.no_room = nullptr;
  cluster.wait_ms(2'000);
  CHECK(cluster.values(cluster.get("n2", "k", "one")) == Values{"v"});
}

TEST_CASE("answered requests take no room from new ones while a replica is slow", "[flow]") {
  CoreOptions options;
  options.operations_max = 50;
  SmallCluster cluster(3, 3, 4, options);
  cluster.no_room = [](const std::string& from, const std::string& to, const peer::Envelope& message) {
    // n3 is silent, but still counts as alive.
    bool says = message.body_case() == Body::kReplicateAck || message.body_case() == Body::kFetchReply;
    return from == "n3" && to == "n1" && says;
  };
  for (int i = 0; i < 200; ++i) {
    INFO(i);
    std::string key = "k" + std::to_string(i);
    REQUIRE(cluster.put("n1", key, "v", {}, "one").status == Status::ok);
    REQUIRE(cluster.get("n1", key, "quorum").status == Status::ok);
  }
  CHECK(cluster.core("n1").operations_in_flight() == 0);
  CHECK(cluster.core("n1").stats().overloaded == 0);
}

TEST_CASE("reads of large values wait their turn and are all answered", "[flow]") {
  CoreOptions options;
  options.read_bytes_max = 1'000'000;
  SmallCluster cluster(3, 3, 4, options);
  for (int i = 0; i < 20; ++i)
    REQUIRE(cluster.put("n1", "k" + std::to_string(i), std::string(500'000, 'v'), {}, "all").status ==
            Status::ok);
  std::vector<RequestId> asked;
  for (int i = 0; i < 20; ++i)
    asked.push_back(
        cluster.begin("n1", cluster.make(Operation::get, "k" + std::to_string(i), "quorum", false)));
  for (RequestId id : asked) CHECK(cluster.end(id).status == Status::ok);
  CHECK(cluster.core("n1").stats().reads_queued > 0);
  cluster.wait_ms(2'000);
  CHECK(cluster.core("n1").quiet());
}

TEST_CASE("a read whose turn does not come is told that the node is busy", "[flow]") {
  CoreOptions options;
  options.read_bytes_max = 1;
  SmallCluster cluster(3, 3, 4, options);
  cluster.put("n1", "k", "v", {}, "all");
  cluster.no_room = [](const std::string&, const std::string&, const peer::Envelope& message) {
    return message.body_case() == Body::kFetchReply;
  };
  RequestId first = cluster.begin("n1", cluster.make(Operation::get, "k", "quorum", false));
  RequestId second = cluster.begin("n1", cluster.make(Operation::get, "k", "quorum", false));
  CHECK(cluster.end(first).status == Status::timeout);
  CHECK(cluster.end(second).status == Status::overloaded);
}

TEST_CASE("what nodes write apart from each other comes to no more than a message can carry", "[flow]") {
  CoreOptions options;
  options.object_bytes_max = 3'000;
  options.merged_bytes_max = 5'000;  // so each of the five may have a thousand
  SmallCluster cluster(5, 5, 1, options);
  const std::vector<std::string> names = {"n1", "n2", "n3", "n4", "n5"};
  for (const auto& name : names) cluster.isolate(name);
  cluster.wait_ms(2'000);
  for (const auto& name : names) {
    size_t accepted = 0;
    while (cluster.put(name, "k", std::string(300, 'v')).status == Status::ok) ++accepted;
    CHECK(accepted == 3);
    CHECK(cluster.put(name, "k", "more" + std::string(300, 'v')).status == Status::too_many_siblings);
    CHECK(cluster.put(name, "other", std::string(2'000, 'v')).status == Status::ok);  // one value always
  }
  cluster.heal();
  cluster.wait_ms(10'000);
  for (const auto& name : names) {
    Response read = cluster.get(name, "k", "one");
    CHECK(read.object.versions.size() == 15);
    CHECK(cluster.put(name, "k", std::string(600, 'v')).status == Status::too_many_siblings);
  }
  Response read = cluster.get("n1", "k", "all");
  CHECK(cluster.put("n1", "k", std::string(2'000, 'w'), read.context, "all").status == Status::ok);
  CHECK(cluster.get("n5", "k", "one").object.versions.size() == 1);
}

}  // namespace

}  // namespace covey::flow_test
