// What reaches a copy beside a repair: a version that the repair's sender has seen and dropped must not be
// taken for current.
#include <catch2/catch.hpp>

#include "replication/codec.h"
#include "small_cluster.h"

namespace covey::repair_beside_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;

const std::string deleted_key = "a key that sorts before the others";

std::string key(size_t index) { return "key" + std::to_string(index); }

// In its own store: a read would ask the others, and repair what it finds.
bool has_it(SmallCluster& cluster, const std::string& node) {
  const auto stored =
      cluster.store(node).get(Column::objects, object_key(PartitionId{0}, "default", deleted_key));
  REQUIRE(stored.ok());
  const auto object = *stored ? decode_object(**stored) : Object{};
  return !object->versions.empty();
}

// n2 was away for longer than logs reach; n1 has deleted a key that n3, which has not heard of it, still
// holds.
SmallCluster with_late_n2(size_t changed, uint64_t filled_beside_max) {
  constexpr size_t objects = 100;
  CoreOptions options;
  options.log_entries_max = 4;
  options.message_bytes_max = 2'000;
  options.transfer_bytes_per_second = 1'000;
  options.filled_beside_max = filled_beside_max;
  SmallCluster cluster(3, 3, 1, options);
  for (size_t i = 0; i < objects; ++i)
    REQUIRE(cluster.put("n1", key(i), std::string(1'000, 'v'), {}, "all").status == Status::ok);
  cluster.wait_ms(5'000);
  cluster.isolate("n2");
  const Response written = cluster.put("n1", deleted_key, "deleted", {}, "2");
  REQUIRE(written.status == Status::ok);
  cluster.cut("n1", "n3");
  REQUIRE(cluster.erase("n1", deleted_key, written.context).status == Status::ok);
  for (size_t i = 0; i < changed; ++i) {
    const Response read = cluster.get("n1", key(i), "one");
    REQUIRE(cluster.put("n1", key(i), std::string(1'000, 'c'), read.context).status == Status::ok);
  }
  cluster.wait_ms(2'000);  // until the log of n1 is cut
  REQUIRE(cluster.core("n1").stats().log_cuts > 0);
  REQUIRE(has_it(cluster, "n3"));
  REQUIRE_FALSE(has_it(cluster, "n1"));
  return cluster;
}

void check_that_it_stays_deleted(SmallCluster& cluster) {
  cluster.wait_ms(300'000);
  cluster.heal();
  cluster.wait_ms(300'000);
  for (const char* node : {"n1", "n2", "n3"}) {
    CHECK_FALSE(has_it(cluster, node));
    CHECK(cluster.core(node).stats().state_hash_alarms == 0);
    CHECK(cluster.core(node).partition(cluster.now(), PartitionId{0}).clock ==
          cluster.core("n1").partition(cluster.now(), PartitionId{0}).clock);
  }
}

TEST_CASE("a deleted key that comes beside a repair, behind its chunk or in an equal bucket, does not stay",
          "[repair]") {
  // Of many the first chunks have passed when it comes; of few its bucket is not among those that differ.
  const size_t changed = GENERATE(60, 12);
  // One more written beside it than are noted: then all keys are looked at.
  const uint64_t filled_beside_max = GENERATE(50'000, 0);
  SmallCluster cluster = with_late_n2(changed, filled_beside_max);
  cluster.join("n1", "n2");
  const CoreStats& stats = cluster.core("n2").stats();
  for (int i = 0; i < 2'000 && stats.repair_objects_received < 4; ++i) cluster.wait_ms(10);
  REQUIRE(stats.repair_objects_received >= 4);
  REQUIRE(stats.repairs_finished == 0);
  REQUIRE_FALSE(has_it(cluster, "n2"));
  cluster.join("n2", "n3");
  for (int i = 0; i < 1'000 && !has_it(cluster, "n2"); ++i) cluster.wait_ms(10);
  REQUIRE(has_it(cluster, "n2"));
  REQUIRE(stats.repairs_finished == 0);
  cluster.cut("n2", "n3");
  check_that_it_stays_deleted(cluster);
}

}  // namespace

}  // namespace covey::repair_beside_test
