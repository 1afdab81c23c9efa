#include "server/rate.h"

#include <catch2/catch.hpp>

namespace covey::server {

TEST_CASE("a rate is that of the last samples", "[metrics]") {
  Rate rate;
  CHECK(rate.per_second() == 0);
  rate.sample(1'000'000, 500);
  CHECK(rate.per_second() == 0);
  rate.sample(1'500'000, 600);
  CHECK(rate.per_second() == 200);
  uint64_t us = 1'500'000, count = 600;
  for (size_t i = 1; i < Rate::samples_max; ++i) rate.sample(us += 250'000, count += 10);
  CHECK(rate.per_second() == 40);
  rate.sample(us += 1'000'000, count);
  CHECK(rate.per_second() == 60 * 1e6 / 2.5e6);
}

}  // namespace covey::server
