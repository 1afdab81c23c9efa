#include "storage/disk_space.h"

#include <catch2/catch.hpp>

namespace covey::disk_space_test {

TEST_CASE("writes are refused below the floor and taken again only well above it", "[storage]") {
  SpaceFloor floor(100, 150);
  CHECK_FALSE(floor.update(100));
  CHECK(floor.update(99));
  CHECK(floor.update(120));
  CHECK(floor.update(149));
  CHECK_FALSE(floor.update(150));
  CHECK_FALSE(floor.update(120));
}

TEST_CASE("free space is told for a directory, and nothing for what does not exist", "[storage]") {
  REQUIRE(free_disk_bytes("/"));
  CHECK_FALSE(free_disk_bytes("/no/such/directory"));
}

}  // namespace covey::disk_space_test
