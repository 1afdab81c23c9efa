// What is said of the time until replicas are equal.
#include "client/cli/estimate.h"

#include <catch2/catch.hpp>

namespace covey::cli::estimate_test {

using client::Json;

TEST_CASE("updates that a copy lacks are counted from the clocks", "[client]") {
  const auto lacking = [](const std::vector<const char*>& clocks) {
    std::vector<CopyTold> parsed;
    for (const char* clock : clocks) parsed.push_back({Json::parse(clock)});
    return updates_lacking(parsed);
  };
  CHECK(lacking({}) == 0);
  CHECK(lacking({R"({"a": 42})"}) == 0);
  CHECK(lacking({R"({"a": 42, "b": "1-3,7"})", R"({"b": "1-3,7", "a": 42})"}) == 0);
  CHECK(lacking({R"({"a": 42})", R"({"a": 40})", "{}"}) == 2 + 42);
  // Of 1-9 the first lacks 4 to 6 and the other one 8 and 9.
  CHECK(lacking({R"({"a": "1-3,7-9"})", R"({"a": "1-7"})"}) == 3 + 2);
  CHECK(lacking({R"({"a": "5,9"})", R"({"b": 1})"}) == 1 + 2);
}

TEST_CASE("what has come to a copy that is being filled is not outstanding any more", "[client]") {
  const Json all = Json::parse(R"({"a": 100})");
  const auto lacking = [&](double came) {
    return updates_lacking({{all}, {Json::parse(R"({"a": 20})"), came}});
  };
  CHECK(lacking(0) == 80);
  CHECK(lacking(0.75) == 20);
  CHECK(lacking(0.999) == 1);  // until the clock says so it is not over
  CHECK(lacking(2) == 0);
}

TEST_CASE("how long it takes is told only where it is known", "[client]") {
  ConvergenceEstimate estimate;
  CHECK_FALSE(estimate.seconds_left());
  estimate.add(0, 1000, 100);
  CHECK_FALSE(estimate.seconds_left());
  CHECK_THAT(estimate.text(),
             Catch::Contains("1000 updates (about 97.7 KiB)") && Catch::Contains("not known yet"));
  estimate.add(1, 900, 100);
  REQUIRE(estimate.seconds_left());
  CHECK(*estimate.seconds_left() == Approx(9));
  CHECK_THAT(estimate.text(), Catch::Contains("takes about 9 s at the present rate"));
  SECTION("by the rate of late, not by that of long ago") {
    for (int second = 2; second <= 12; ++second)
      estimate.add(second, 900 - 10 * static_cast<uint64_t>(second), 100);
    CHECK(*estimate.seconds_left() == Approx(78));
  }
  SECTION("not while they do not become fewer") {
    for (int second = 2; second <= 12; ++second) estimate.add(second, 900, 100);
    CHECK_FALSE(estimate.seconds_left());
    CHECK_THAT(estimate.text(), Catch::Contains("do not become fewer"));
  }
  SECTION("not without all replicas' word") {
    estimate.add(2, std::nullopt, 0);
    CHECK_FALSE(estimate.seconds_left());
    CHECK_THAT(estimate.text(), Catch::Contains("not all replicas can be asked"));
    estimate.add(3, 800, 100);
    CHECK_FALSE(estimate.seconds_left());  // what was before it does not count
  }
  SECTION("and nothing is left when nothing is lacking") {
    estimate.add(2, 0, 100);
    CHECK(*estimate.seconds_left() == 0);
    CHECK(estimate.text() == "no update is outstanding");
  }
}

}  // namespace covey::cli::estimate_test
