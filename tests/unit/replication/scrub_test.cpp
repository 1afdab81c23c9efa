// Copies that are compared on an operator's word: what was lost without a trace comes back, and what was
// deleted does not.
#include <catch2/catch.hpp>

#include "replication/codec.h"
#include "tests/unit/replication/small_cluster.h"

namespace covey::scrub_test {
namespace {

using State = CopyCheck::State;

// All nodes at once, each pair once.
std::vector<CopyCheck> check_all(test::SmallCluster& cluster, const std::vector<std::string>& nodes) {
  std::set<NodeId> except;
  for (const std::string& node : nodes) {
    REQUIRE(cluster.core(node).check_copies(except));
    except.insert(NodeId{node});
  }
  const auto running = [&] {
    return std::any_of(nodes.begin(), nodes.end(),
                       [&](const auto& node) { return cluster.core(node).checking_copies(); });
  };
  for (int i = 0; i < 3000 && running(); ++i) cluster.wait_ms(10);
  REQUIRE_FALSE(running());
  std::vector<CopyCheck> all;
  for (const std::string& node : nodes) {
    for (const CopyCheck& check : cluster.core(node).copy_checks()) all.push_back(check);
  }
  return all;
}

uint64_t count(const std::vector<CopyCheck>& checks, State state) {
  return static_cast<uint64_t>(
      std::count_if(checks.begin(), checks.end(), [&](const auto& check) { return check.state == state; }));
}

uint64_t repaired(const std::vector<CopyCheck>& checks) {
  uint64_t sum = 0;
  for (const CopyCheck& check : checks) {
    for (const auto& [table, objects] : check.repaired) sum += objects;
  }
  return sum;
}

// Takes an object off a node's disk behind the back of its core.
void lose(test::SmallCluster& cluster, const std::string& node, const std::string& key) {
  StoreBatch batch;
  batch.erase(Column::objects, object_key(partition_of("default", key, 4), "default", key));
  REQUIRE(cluster.store(node).write(batch));
}

const std::vector<std::string> all_nodes = {"n1", "n2", "n3"};

}  // namespace

TEST_CASE("copies that are equal are compared once for each pair and left alone", "[repair]") {
  test::SmallCluster cluster(3);
  for (int i = 0; i < 50; ++i) cluster.put("n1", "k" + std::to_string(i), "v", {}, "all");
  cluster.wait_ms(5'000);
  const auto checks = check_all(cluster, all_nodes);
  // Three pairs in each of four partitions; n3, which need be compared with nobody, reads its own.
  CHECK(checks.size() == 4 * 3 + 4);
  CHECK(count(checks, State::equal) == checks.size());
  CHECK(repaired(checks) == 0);
  uint64_t objects = 0;
  for (const CopyCheck& check : checks) objects += check.objects;
  CHECK(objects == 50 * 4);
}

TEST_CASE("objects that a disk has lost without a trace come back", "[repair]") {
  test::SmallCluster cluster(3);
  for (int i = 0; i < 50; ++i) cluster.put("n1", "k" + std::to_string(i), "v" + std::to_string(i), {}, "all");
  cluster.wait_ms(5'000);
  for (int i = 0; i < 10; ++i) lose(cluster, "n2", "k" + std::to_string(i));
  lose(cluster, "n3", "k20");
  const auto checks = check_all(cluster, all_nodes);
  CHECK(count(checks, State::failed) == 0);
  CHECK(repaired(checks) >= 11);
  CHECK(std::any_of(checks.begin(), checks.end(), [](const auto& check) { return check.recounted; }));
  cluster.wait_ms(5'000);
  for (const std::string& node : all_nodes) {
    for (int i = 0; i < 50; ++i) {
      CHECK(cluster.values(cluster.get(node, "k" + std::to_string(i), "one")) ==
            std::vector<std::string>{"v" + std::to_string(i)});
    }
  }
  CHECK(count(check_all(cluster, all_nodes), State::equal) == 16);
}

TEST_CASE("what is deleted while copies are compared stays deleted", "[repair]") {
  test::SmallCluster cluster(3);
  for (int i = 0; i < 400; ++i) cluster.put("n1", "k" + std::to_string(i), "v", {}, "all");
  cluster.wait_ms(5'000);
  // n2 hears of none of the deletes while it is compared: its copy still shows what n1 has deleted.
  cluster.no_room = [](const std::string&, const std::string& to, const peer::Envelope& message) {
    return to == "n2" && (message.has_replicate() || message.has_push());
  };
  REQUIRE(cluster.core("n1").check_copies({}));
  for (int i = 0; i < 400; i += 2) {
    const std::string key = "k" + std::to_string(i);
    cluster.erase("n1", key, cluster.get("n1", key, "one").context);
    if (i % 40 == 0) cluster.wait_ms(10);
  }
  for (int i = 0; i < 3000 && cluster.core("n1").checking_copies(); ++i) cluster.wait_ms(10);
  const auto checks = cluster.core("n1").copy_checks();
  CHECK(repaired(checks) == 0);
  CHECK(std::any_of(checks.begin(), checks.end(), [](const auto& check) { return check.under_way > 0; }));
  cluster.no_room = nullptr;
  cluster.wait_ms(10'000);
  for (const std::string& node : all_nodes) {
    for (int i = 0; i < 400; ++i) {
      const size_t values = cluster.get(node, "k" + std::to_string(i), "one").object.versions.size();
      CHECK(values == (i % 2 == 0 ? 0u : 1u));
    }
    CHECK(cluster.core(node).stats().state_hash_alarms == 0);
  }
}

TEST_CASE("a keeper that is away for a while is waited for, and the others' copies are compared meanwhile",
          "[repair]") {
  test::SmallCluster cluster(3, 3, 64);
  for (int i = 0; i < 200; ++i) cluster.put("n1", "k" + std::to_string(i), "v", {}, "all");
  cluster.wait_ms(5'000);
  cluster.isolate("n3");
  cluster.wait_ms(2'000);
  REQUIRE(cluster.core("n1").check_copies({}));
  CHECK_FALSE(cluster.core("n1").check_copies({}));
  cluster.wait_ms(5'000);
  CHECK(cluster.core("n1").checking_copies());
  CHECK(count(cluster.core("n1").copy_checks(), State::equal) == 64);
  CHECK(count(cluster.core("n1").copy_checks(), State::waiting) == 64);
  cluster.heal();
  for (int i = 0; i < 3000 && cluster.core("n1").checking_copies(); ++i) cluster.wait_ms(10);
  CHECK(count(cluster.core("n1").copy_checks(), State::equal) == 2 * 64);
  CHECK(cluster.core("n1").check_copies({}));
}

TEST_CASE("a node that was asked back already takes part in the round that did it", "[repair]") {
  test::SmallCluster cluster(3, 3, 64);
  for (int i = 0; i < 200; ++i) cluster.put("n1", "k" + std::to_string(i), "v", {}, "all");
  cluster.wait_ms(5'000);
  for (int i = 0; i < 200; ++i) {
    StoreBatch batch;
    const std::string key = "k" + std::to_string(i);
    batch.erase(Column::objects, object_key(partition_of("default", key, 64), "default", key));
    REQUIRE(cluster.store("n1").write(batch));
  }
  REQUIRE(cluster.core("n1").check_copies({}));
  for (int i = 0; i < 1000 && !cluster.core("n3").checking_copies(); ++i) cluster.wait_ms(1);
  REQUIRE(cluster.core("n3").checking_copies());
  CHECK(cluster.core("n3").check_copies({NodeId{"n1"}}));
  CHECK_FALSE(cluster.core("n3").check_copies({NodeId{"n1"}}));
  const auto running = [&] {
    return std::any_of(all_nodes.begin(), all_nodes.end(),
                       [&](const auto& node) { return cluster.core(node).checking_copies(); });
  };
  for (int i = 0; i < 3000 && running(); ++i) cluster.wait_ms(10);
  const auto checks = cluster.core("n3").copy_checks();
  CHECK(std::count_if(checks.begin(), checks.end(),
                      [](const auto& check) { return check.with.name == "n2"; }) == 64);
  CHECK(count(checks, State::failed) == 0);
}

TEST_CASE("a copy whose other keeper does not answer is told, and a single node reads its own", "[repair]") {
  test::SmallCluster cluster(3);
  cluster.put("n1", "k", "v", {}, "all");
  cluster.isolate("n3");
  cluster.wait_ms(2'000);
  const auto checks = check_all(cluster, {"n1"});
  CHECK(count(checks, State::failed) == 4);
  CHECK(count(checks, State::equal) == 4);
  CHECK(std::any_of(checks.begin(), checks.end(),
                    [](const auto& check) { return check.reason == "n3 does not answer"; }));
  test::SmallCluster single(1, 1);
  single.put("n1", "k", "v");
  CHECK(count(check_all(single, {"n1"}), State::equal) == 4);
}

}  // namespace covey::scrub_test
