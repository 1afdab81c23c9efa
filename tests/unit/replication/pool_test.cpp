#include "replication/pool.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace covey::test::pool_test {
namespace {

struct Counted {
  Counted() { ++alive; }
  ~Counted() { --alive; }
  std::string text = "as new";
  static inline int alive = 0;
};

TEST_CASE("an object of a pool is new, whatever had its memory before, and ends with its pointer", "[pool]") {
  Pool<Counted> pool;
  for (int round = 0; round < 3; ++round) {
    std::vector<Pool<Counted>::Pointer> all;
    for (int i = 0; i < 1'000; ++i) {
      all.push_back(pool.make());
      REQUIRE(all.back()->text == "as new");
      all.back()->text = "used, and longer than what has room in the string itself";
    }
    CHECK(Counted::alive == 1'000);
    all.resize(10);
    CHECK(Counted::alive == 10);
  }
  CHECK(Counted::alive == 0);
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("memory of a pool is used again", "[pool]") {
  Pool<Counted> pool;
  auto first = pool.make();
  const Counted* const was = first.get();
  first.reset();
  CHECK(pool.make().get() == was);
}
#endif

}  // namespace
}  // namespace covey::test::pool_test
