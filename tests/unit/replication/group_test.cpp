// Writes that come between two drains of a core are one write to its store.
#include <rapidcheck.h>

#include <catch2/catch.hpp>

#include "small_cluster.h"

namespace covey::group_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;
using Values = std::vector<std::string>;

Request put(SmallCluster& cluster, const std::string& key, const std::string& value,
            const std::string& level = "one") {
  Request request = cluster.make(Operation::put, key, level, false);
  request.value = value;
  return request;
}

TEST_CASE("writes that come together are stored by one write on each owner", "[group]") {
  SmallCluster cluster(3);
  std::map<std::string, uint64_t> before;
  for (const char* node : {"n1", "n2", "n3"}) before[node] = cluster.store(node).written().value;
  std::vector<RequestId> ids;
  for (int i = 0; i < 20; ++i)
    ids.push_back(cluster.begin("n1", put(cluster, std::to_string(i), "v", "all")));
  CHECK(cluster.store("n1").written().value == before["n1"]);
  for (RequestId id : ids) CHECK(cluster.end(id).status == Status::ok);
  for (const char* node : {"n1", "n2", "n3"}) {
    INFO(node);
    CHECK(cluster.store(node).written().value == before[node] + 1);
  }
}

TEST_CASE("an owner acknowledges in one message what came together", "[group]") {
  SmallCluster cluster(3);
  size_t acknowledgements = 0;
  cluster.lost = [&](const std::string&, const std::string&, const peer::Envelope& message) {
    acknowledgements += message.has_replicate_ack() ? 1 : 0;
    return false;
  };
  SECTION("all nodes know of that") {}
  SECTION("an earlier version coordinates, which would take the first alone") {
    cluster.changes = [](peer::Envelope& message) {
      if (message.has_replicate()) message.mutable_replicate()->clear_takes_many();
      if (message.has_replicate_ack()) CHECK(message.replicate_ack().others_size() == 0);
    };
  }
  std::vector<RequestId> ids;
  for (int i = 0; i < 20; ++i)
    ids.push_back(cluster.begin("n1", put(cluster, std::to_string(i), "v", "all")));
  for (RequestId id : ids) CHECK(cluster.end(id).received == 3);
  CHECK(acknowledgements == (cluster.changes ? 40 : 2));
}

TEST_CASE("who has its answer without others asks them for none", "[group]") {
  SmallCluster cluster(3, 3, 4, {.wait_for_durable = false});
  size_t acknowledgements = 0;
  cluster.lost = [&](const std::string&, const std::string&, const peer::Envelope& message) {
    acknowledgements += message.has_replicate_ack() ? 1 : 0;
    return false;
  };
  const Response one = cluster.put("n1", "k", "v", {}, "one");
  CHECK(one.status == Status::ok);
  CHECK(one.received == 1);
  CHECK(one.asked == 3);
  REQUIRE(one.outcomes.size() == 3);
  CHECK(one.outcomes[0].state == "answered");
  CHECK(one.outcomes[2].state == "no answer");
  CHECK(acknowledgements == 0);
  CHECK(cluster.core("n1").operations_in_flight() == 0);
  CHECK(cluster.values(cluster.get("n3", "k", "one")) == Values{"v"});
  CHECK(cluster.put("n1", "k", "w", {}, "all").received == 3);
  CHECK(acknowledgements == 2);
}

TEST_CASE("a full store refuses all that came together, and nothing of it stays", "[group]") {
  SmallCluster cluster(3);
  REQUIRE(cluster.put("n1", "old", "v", {}, "all").status == Status::ok);
  cluster.store("n1").set_full(true);
  std::vector<RequestId> ids;
  for (const char* key : {"a", "b", "old"}) ids.push_back(cluster.begin("n1", put(cluster, key, "new")));
  for (RequestId id : ids) CHECK(cluster.end(id).status == Status::disk_full);
  cluster.store("n1").set_full(false);
  for (const char* node : {"n1", "n2", "n3"}) {
    CHECK(cluster.get(node, "a", "all").status == Status::not_found);
    CHECK(cluster.values(cluster.get(node, "old", "all")) == Values{"v"});
  }
  // The numbers of the refused writes are given out again or not, but never twice.
  REQUIRE(cluster.put("n1", "a", "later", {}, "all").status == Status::ok);
  CHECK(cluster.values(cluster.get("n2", "a", "all")) == Values{"later"});
}

TEST_CASE("a store that fails on an owner makes it refuse all that came together", "[group]") {
  SmallCluster cluster(3);
  cluster.store("n2").set_full(true);
  std::vector<RequestId> ids;
  for (const char* key : {"a", "b"}) ids.push_back(cluster.begin("n1", put(cluster, key, "v", "all")));
  for (RequestId id : ids) {
    Response response = cluster.end(id);
    CHECK(response.status == Status::timeout);
    CHECK(response.received < 3);
    for (const OwnerOutcome& outcome : response.outcomes) {
      if (outcome.node.name == "n2") CHECK(outcome.state == "disk full");
    }
  }
  cluster.store("n2").set_full(false);
  cluster.wait_ms(3'000);
  CHECK(cluster.values(cluster.get("n2", "b", "one")) == Values{"v"});
}

TEST_CASE("a read sees the writes that came before it, and a condition decides about them", "[group]") {
  SmallCluster cluster(3);
  RequestId first = cluster.begin("n1", put(cluster, "k", "a"));
  RequestId read = cluster.begin("n1", cluster.make(Operation::get, "k", "one", false));
  Request if_absent = put(cluster, "k", "b");
  if_absent.if_absent = true;
  RequestId refused = cluster.begin("n1", if_absent);
  if_absent.key = "other";
  RequestId taken = cluster.begin("n1", if_absent);
  CHECK(cluster.values(cluster.end(read)) == Values{"a"});
  CHECK(cluster.end(first).status == Status::ok);
  CHECK(cluster.end(refused).status == Status::precondition_failed);
  CHECK(cluster.end(taken).status == Status::ok);
}

TEST_CASE("a condition is not refused for a write that fails", "[group]") {
  SmallCluster cluster(3);
  RequestId first = cluster.begin("n1", put(cluster, "k", "a"));
  cluster.store("n1").fail_next_write(StoreError{StoreError::Kind::full, "full, once"});
  Request if_absent = put(cluster, "k", "b");
  if_absent.if_absent = true;
  RequestId second = cluster.begin("n1", if_absent);
  CHECK(cluster.end(first).status == Status::disk_full);
  CHECK(cluster.end(second).status == Status::ok);
  CHECK(cluster.values(cluster.get("n1", "k", "one")) == Values{"b"});
}

TEST_CASE("all that looks at the replica stores first what came before it", "[group]") {
  SmallCluster cluster(3);
  const auto written = [&] { return cluster.store("n1").written().value; };
  auto stored_by = [&](const std::string& key, const std::function<void(Core&)>& input) {
    const uint64_t before = written();
    RequestId id = cluster.begin("n1", put(cluster, key, "v"));
    input(cluster.core("n1"));
    CHECK(written() == before + 1);
    CHECK(cluster.end(id).status == Status::ok);
  };
  stored_by("a", [&](Core& core) { core.tick(cluster.now()); });
  stored_by("b", [&](Core& core) { core.link(cluster.now(), NodeId{"n2"}, true); });
  stored_by("c", [&](Core& core) { core.drain(); });
  stored_by("d", [&](Core& core) {
    peer::Envelope digest;
    digest.mutable_digest();
    digest.set_incarnation(2);
    core.receive(cluster.now(), NodeId{"n2"}, digest);
  });
}

// One cluster drains after each request, the other after several.
TEST_CASE("writes together leave the same as one by one", "[group]") {
  REQUIRE(rc::check([] {
    SmallCluster alone(3, 3, 2);
    SmallCluster together(3, 3, 2);
    const int count = *rc::gen::inRange(1, 40);
    std::vector<std::pair<RequestId, RequestId>> ids;
    for (int i = 0; i < count; ++i) {
      const std::string key(1, static_cast<char>('a' + *rc::gen::inRange(0, 4)));
      const bool puts = *rc::gen::inRange(0, 4) > 0;
      Request request = alone.make(puts ? Operation::put : Operation::erase, key, "quorum", false);
      if (puts) request.value = std::to_string(i);
      request.conflicts = *rc::gen::inRange(0, 2) == 0 ? Conflicts::siblings : Conflicts::last_write_wins;
      request.if_absent = puts && *rc::gen::inRange(0, 4) == 0;
      request.overwrite = *rc::gen::inRange(0, 4) == 0;
      RequestId one = alone.begin("n1", request);
      const Response response = alone.end(one);
      RequestId other = together.begin("n1", request);
      ids.emplace_back(one, other);
      if (*rc::gen::inRange(0, 5) > 0 && i + 1 < count) continue;
      const Response same = together.end(other);
      RC_ASSERT(same.status == response.status);
      RC_ASSERT(same.siblings == response.siblings);
    }
    alone.wait_ms(3'000);
    together.wait_ms(3'000);
    for (const char* node : {"n1", "n2", "n3"}) {
      for (const char* key : {"a", "b", "c", "d"}) {
        RC_ASSERT(alone.values(alone.get(node, key, "one")) ==
                  together.values(together.get(node, key, "one")));
      }
    }
    for (const char* node : {"n2", "n3"}) {
      for (uint32_t p = 0; p < 2; ++p) {
        const auto mine = together.core(node).partition(together.now(), PartitionId{p});
        const auto first = together.core("n1").partition(together.now(), PartitionId{p});
        RC_ASSERT(mine.state_hash == first.state_hash);
        RC_ASSERT(mine.clock == first.clock);
        RC_ASSERT(mine.log == 0);
      }
    }
  }));
}

}  // namespace

}  // namespace covey::group_test
