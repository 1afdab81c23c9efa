#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/replication/small_cluster.h"

namespace covey::test::upkeep_test {
namespace {

TEST_CASE("partitions are tidied a few at a time, and none is left out", "[upkeep]") {
  constexpr uint32_t partitions = 64;
  SmallCluster cluster(3, 3, partitions);
  for (int i = 0; i < 1'000; ++i) cluster.put("n1", "key" + std::to_string(i), "value");
  const auto with_log = [&] {
    const auto views = cluster.core("n1").partitions(cluster.now());
    return std::count_if(views.begin(), views.end(), [](const PartitionView& view) { return view.log > 0; });
  };
  REQUIRE(with_log() == partitions);
  ptrdiff_t most = 0, before = partitions;
  for (int tick = 0; tick < 600 && before > 0; ++tick) {
    cluster.wait_ms(10);
    most = std::max(most, before - with_log());
    before = with_log();
  }
  CHECK(before == 0);
  // A round of 200 ms has twenty ticks.
  CHECK(most <= partitions / 20 + 1);
}

}  // namespace
}  // namespace covey::test::upkeep_test
