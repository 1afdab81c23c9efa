// What nodes do together, seen from a client: each test is named after what a user would lose without it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "replication/codec.h"
#include "small_cluster.h"

namespace covey::core_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;
using Values = std::vector<std::string>;

const Values none;

void expect_quiet(SmallCluster& cluster, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    INFO(name);
    CHECK(cluster.core(name).quiet());
    for (const PartitionView& view : cluster.core(name).partitions(cluster.now())) {
      INFO("partition " << view.partition.value);
      CHECK(view.log == 0);
      CHECK(view.residual == 0);
      CHECK(view.diverged.empty());
      if (!view.owned) CHECK(view.clock.empty());
    }
  }
}

TEST_CASE("a value written on one node is read on every other") {
  SmallCluster cluster(3);
  Response written = cluster.put("n1", "k", "v", {}, "quorum");
  REQUIRE(written.status == Status::ok);
  CHECK(written.received >= 2);
  for (const char* node : {"n1", "n2", "n3"}) CHECK(cluster.values(cluster.get(node, "k")) == Values{"v"});
  cluster.wait_ms(3'000);
  for (const char* node : {"n1", "n2", "n3"})
    CHECK(cluster.values(cluster.get(node, "k", "one")) == Values{"v"});
  expect_quiet(cluster, {"n1", "n2", "n3"});
}

TEST_CASE("concurrent writes on two sides of a partition both survive it, and one write resolves them") {
  SmallCluster cluster(3);
  cluster.isolate("n1");
  cluster.wait_ms(2'000);
  REQUIRE(cluster.put("n1", "k", "a").status == Status::ok);
  REQUIRE(cluster.put("n2", "k", "b").status == Status::ok);
  CHECK(cluster.put("n1", "k", "c", {}, "quorum").status == Status::unavailable);
  CHECK(cluster.get("n1", "k", "quorum").status == Status::unavailable);
  CHECK(cluster.values(cluster.get("n3", "k")) == Values{"b"});
  cluster.heal();
  cluster.wait_ms(4'000);
  Response read = cluster.get("n3", "k", "one");
  CHECK(cluster.values(read) == Values{"a", "b"});
  cluster.put("n3", "k", "ab", read.context);
  cluster.wait_ms(4'000);
  for (const char* node : {"n1", "n2", "n3"})
    CHECK(cluster.values(cluster.get(node, "k", "one")) == Values{"ab"});
  expect_quiet(cluster, {"n1", "n2", "n3"});
}

TEST_CASE("a deleted key does not come back when a replica was away, and occupies no bytes") {
  SmallCluster cluster(3);
  cluster.put("n1", "k", "v", {}, "all");
  cluster.isolate("n3");
  cluster.wait_ms(2'000);
  Response read = cluster.get("n1", "k");
  REQUIRE(cluster.erase("n1", "k", read.context, "quorum").status == Status::ok);
  CHECK(cluster.get("n2", "k").status == Status::not_found);
  CHECK(cluster.values(cluster.get("n3", "k", "one")) == Values{"v"});
  cluster.heal();
  cluster.wait_ms(4'000);
  for (const char* node : {"n1", "n2", "n3"}) {
    CHECK(cluster.get(node, "k", "one").status == Status::not_found);
    CHECK_FALSE(cluster.store(node).cursor(Column::objects, "", "")->valid());
  }
  expect_quiet(cluster, {"n1", "n2", "n3"});
}

TEST_CASE("what a node acknowledged before it crashed is there after it, under a new actor") {
  SmallCluster cluster(3);
  cluster.isolate("n1");
  cluster.wait_ms(2'000);
  Actor before = cluster.core("n1").actor();
  REQUIRE(cluster.put("n1", "k", "v").status == Status::ok);
  cluster.crash("n1");
  cluster.wait_ms(100);
  CHECK(cluster.values(cluster.get("n1", "k", "one")) == Values{"v"});
  CHECK(cluster.core("n1").actor() != before);
  cluster.heal();
  cluster.wait_ms(4'000);
  CHECK(cluster.values(cluster.get("n2", "k", "one")) == Values{"v"});
  expect_quiet(cluster, {"n1", "n2", "n3"});
}

TEST_CASE("a write is not acknowledged before it is durable") {
  SmallCluster cluster(3);
  cluster.isolate("n1");
  cluster.wait_ms(2'000);
  cluster.syncs = false;
  Request request = cluster.make(Operation::put, "k", "one", false);
  request.value = "v";
  request.timeout_ms = 200;
  CHECK(cluster.ask("n1", request).status == Status::timeout);
}

TEST_CASE("the only node answers a write once it is durable, and otherwise says that it is not") {
  SmallCluster cluster(1, 1);
  cluster.wait_ms(100);
  Request request = cluster.make(Operation::put, "k", "one", false);
  request.timeout_ms = 200;
  request.value = "v";
  Response written = cluster.ask("n1", request);
  CHECK(written.status == Status::ok);
  CHECK(written.asked == 1);
  CHECK(written.received == 1);
  cluster.syncs = false;
  Response late = cluster.ask("n1", request);
  REQUIRE(late.status == Status::timeout);
  CHECK(late.received == 0);
  REQUIRE(late.outcomes.size() == 1);
  CHECK(late.outcomes[0].state == "not durable yet");
}

TEST_CASE("a wiped replica is filled again and meanwhile does not count in strict reads") {
  SmallCluster cluster(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) keys.push_back("key" + std::to_string(i));
  for (const std::string& key : keys) cluster.put("n1", key, "v" + key, {}, "all");
  cluster.wait_ms(3'000);
  cluster.isolate("n3");
  cluster.store("n3") = MemoryStore();
  cluster.start("n3", {.life = 77'001, .fallback_life = 77'002, .fresh = true});
  CHECK(cluster.get("n3", keys[0], "one").status != Status::ok);
  cluster.heal();
  for (const char* other : {"n1", "n2"}) cluster.join("n3", other);
  cluster.wait_ms(8'000);
  cluster.isolate("n3");
  size_t found = 0;
  for (const std::string& key : keys)
    found += cluster.values(cluster.get("n3", key, "one")) == Values{"v" + key} ? 1 : 0;
  CHECK(found == keys.size());
  cluster.heal();
  cluster.wait_ms(5'000);
  expect_quiet(cluster, {"n1", "n2", "n3"});
}

TEST_CASE("a stand-in takes writes that no owner can, and hands them over") {
  SmallCluster cluster(5);
  auto owners = cluster.core("n1").explain(cluster.now(), "default", "k").owners;
  REQUIRE(owners.size() == 3);
  std::set<std::string> is_owner;
  for (const auto& owner : owners) is_owner.insert(owner.node.name);
  std::string outside;
  for (int i = 1; i <= 5; ++i) {
    if (!is_owner.contains("n" + std::to_string(i))) outside = "n" + std::to_string(i);
  }
  for (const std::string& owner : is_owner) cluster.isolate(owner);
  cluster.wait_ms(2'000);
  CHECK(cluster.put(outside, "k", "strict").status == Status::unavailable);
  REQUIRE(cluster.put(outside, "k", "v", {}, "one", true).status == Status::ok);
  CHECK(cluster.values(cluster.get(outside, "k", "one", true)) == Values{"v"});
  cluster.heal();
  cluster.wait_ms(5'000);
  for (const std::string& owner : is_owner)
    CHECK(cluster.values(cluster.get(owner, "k", "one")) == Values{"v"});
  expect_quiet(cluster, {"n1", "n2", "n3", "n4", "n5"});
}

TEST_CASE("a stand-in takes no more than it has room for, and what it handed over makes room") {
  CoreOptions options;
  options.stand_in_bytes_max = 1'000;
  SmallCluster cluster(2, 1, 1, options);  // one owner, one that stands in
  const std::string owner = cluster.core("n1").partition(cluster.now(), PartitionId{0}).owned ? "n1" : "n2";
  const std::string other = owner == "n1" ? "n2" : "n1";
  cluster.isolate(owner);
  cluster.wait_ms(2'000);
  const std::string value(300, 'v');
  for (const char* key : {"a", "b", "c"})
    CHECK(cluster.put(other, key, value, {}, "one", true).status == Status::ok);
  const Response refused = cluster.put(other, "d", value, {}, "one", true);
  CHECK(refused.status == Status::unavailable);
  REQUIRE(!refused.outcomes.empty());
  CHECK(refused.outcomes.back().state == "has no room to stand in");
  CHECK(cluster.core(other).stats().stand_ins_refused == 1);
  CHECK(cluster.core(other).partition(cluster.now(), PartitionId{0}).stands_in);
  cluster.heal();
  cluster.wait_ms(5'000);
  for (const char* key : {"a", "b", "c"})
    CHECK(cluster.values(cluster.get(owner, key, "one")) == Values{value});
  cluster.isolate(owner);
  cluster.wait_ms(2'000);
  CHECK(cluster.put(other, "d", value, {}, "one", true).status == Status::ok);
}

TEST_CASE("what a late repair tells a node that keeps no copy any more does not stay there") {
  SmallCluster cluster(2, 1, 1);
  const std::string owner = cluster.core("n1").partition(cluster.now(), PartitionId{0}).owned ? "n1" : "n2";
  const std::string other = owner == "n1" ? "n2" : "n1";
  const std::string table = cluster.make(Operation::get, "k", "one", false).table;
  Object deleted;  // nothing but what was overwritten
  deleted.context.add(Dot{make_actor(owner, 77), {3}});
  peer::Envelope message;
  message.set_incarnation(cluster.core(owner).incarnation());
  auto& repair = *message.mutable_replicate();
  repair.set_partition(0);
  repair.mutable_item()->set_table(table);
  repair.mutable_item()->set_key("k");
  repair.mutable_item()->set_object(encode(deleted));
  cluster.core(other).receive(cluster.now(), NodeId{owner}, message);
  cluster.core(other).drain();
  CHECK(cluster.store(other).get(Column::objects, object_key(PartitionId{0}, table, "k"))->has_value());
  CHECK(cluster.core(other).partition(cluster.now(), PartitionId{0}).held);
  cluster.wait_ms(5'000);
  CHECK_FALSE(cluster.store(other).get(Column::objects, object_key(PartitionId{0}, table, "k"))->has_value());
  CHECK_FALSE(cluster.core(other).partition(cluster.now(), PartitionId{0}).held);
}

TEST_CASE("a write through a node that does not own the key reaches its owners") {
  SmallCluster cluster(5);
  for (int i = 1; i <= 5; ++i) {
    std::string node = "n" + std::to_string(i);
    Response written = cluster.put(node, "key" + node, "v", {}, "quorum");
    CHECK(written.status == Status::ok);
    for (int j = 1; j <= 5; ++j)
      CHECK(cluster.values(cluster.get("n" + std::to_string(j), "key" + node)) == Values{"v"});
  }
}

// Nodes that do not own the key forward it: the word to overwrite goes with it.
TEST_CASE("a write that overwrites replaces what its coordinator holds, and spares what it has not seen") {
  SmallCluster cluster(5);
  auto overwrite = [&](const std::string& node, Operation operation, const std::string& value) {
    Request request = cluster.make(operation, "k", "one", true);
    request.value = value;
    request.overwrite = true;
    return cluster.ask(node, std::move(request));
  };
  for (int i = 1; i <= 5; ++i) {
    const std::string node = "n" + std::to_string(i);
    const std::string value = "by " + node;
    REQUIRE(cluster.put("n1", "k", "blind", {}, "all").status == Status::ok);
    Response written = overwrite(node, Operation::put, value);
    REQUIRE(written.status == Status::ok);
    CHECK(written.siblings == 1);
    cluster.wait_ms(2'000);
    CHECK(cluster.values(cluster.get("n1", "k")) == Values{value});
  }
  REQUIRE(overwrite("n2", Operation::erase, "").status == Status::ok);
  cluster.wait_ms(2'000);
  CHECK(cluster.get("n1", "k").status == Status::not_found);

  cluster.isolate("n1");
  cluster.wait_ms(2'000);
  REQUIRE(overwrite("n1", Operation::put, "a").status == Status::ok);
  REQUIRE(overwrite("n2", Operation::put, "b").status == Status::ok);
  cluster.heal();
  cluster.wait_ms(6'000);
  CHECK(cluster.values(cluster.get("n3", "k")) == Values{"a", "b"});
}

TEST_CASE("a node that has forgotten its past counts nowhere, also if it can't note that for one partition",
          "[core]") {
  CoreOptions options;
  options.wait_for_durable = false;
  const uint32_t partitions = 8;
  SmallCluster cluster(3, 3, partitions, options);
  for (int i = 0; i < 40; ++i)
    REQUIRE(cluster.put("n1", "early" + std::to_string(i), "v", {}, "all").status == Status::ok);
  cluster.wait_ms(1'000);
  cluster.syncs = false;
  for (int i = 0; i < 40; ++i)
    REQUIRE(cluster.put("n1", "late" + std::to_string(i), "v", {}, "all").status == Status::ok);
  cluster.store("n1").crash();
  cluster.isolate("n1");
  cluster.start("n1", {.life = 100, .fallback_life = 7'777, .clean = true});
  cluster.isolate("n1");
  const auto ready = [&] {
    size_t count = 0;
    for (const auto& view : cluster.core("n1").partitions(cluster.now())) count += view.ready;
    return count;
  };
  REQUIRE(ready() == partitions);
  cluster.store("n1").fail_next_write(StoreError{StoreError::Kind::io, "the first of them"});
  cluster.join("n1", "n2");
  cluster.wait_ms(10);
  CHECK(ready() == 1);
}

}  // namespace

}  // namespace covey::core_test
