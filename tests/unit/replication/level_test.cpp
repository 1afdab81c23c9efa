#include "replication/level.h"

#include "tests/unit/replication/property.h"

namespace covey::level_test {

TEST_CASE("quorum is a majority, one is one and all is all", "[level]") {
  Level one{Level::Kind::one}, quorum{Level::Kind::quorum}, all{Level::Kind::all};
  for (uint32_t replicas = 1; replicas <= 16; ++replicas) {
    CHECK(one.needed(replicas) == 1);
    CHECK(all.needed(replicas) == replicas);
    CHECK(quorum.needed(replicas) * 2 > replicas);
    CHECK((quorum.needed(replicas) - 1) * 2 <= replicas);
  }
}

TEST_CASE("a level is read as it is written", "[level]") {
  for (const char* text : {"one", "quorum", "all", "1", "2", "3"}) {
    auto level = parse_level(text, 3);
    REQUIRE(level);
    CHECK(level->text() == text);
  }
  CHECK(parse_level("2", 3)->needed(3) == 2);
}

TEST_CASE("a level that the cluster can't give is refused, not rounded", "[level]") {
  for (const char* text : {"0", "4", "-1", "+1", " 1", "1 ", "1.5", "0x1", "", "ONE", "two", "4294967297",
                           "99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(parse_level(text, 3));
  }
}

}  // namespace covey::level_test
