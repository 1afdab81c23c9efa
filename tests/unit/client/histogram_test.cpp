#include "client/histogram.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "rapidcheck.h"

namespace covey::client::histogram_test {

TEST_CASE("an empty histogram tells zeros", "[client]") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.percentile(99) == 0);
  CHECK(histogram.smallest() == 0);
  CHECK(histogram.largest() == 0);
}

TEST_CASE("small values are told exactly", "[client]") {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.record(value);
  CHECK(histogram.percentile(0) == 1);
  CHECK(histogram.percentile(50) == 50);
  CHECK(histogram.percentile(99) == 99);
  CHECK(histogram.percentile(100) == 100);
}

TEST_CASE("a percentile is never below the true one and at most 0.8 % above", "[client]") {
  CHECK(rc::check([](const std::vector<uint32_t>& values) {
    RC_PRE(!values.empty());
    Histogram whole, first, second;
    std::vector<uint64_t> sorted;
    for (size_t i = 0; i < values.size(); ++i) {
      const uint64_t value = static_cast<uint64_t>(values[i]) * (i % 3 == 0 ? 977 : 1);
      whole.record(value);
      (i % 2 == 0 ? first : second).record(value);
      sorted.push_back(value);
    }
    std::sort(sorted.begin(), sorted.end());
    first.add(second);
    for (const int percent : {1, 50, 90, 99, 100}) {
      const size_t rank = std::max<size_t>(1, (sorted.size() * static_cast<size_t>(percent) + 99) / 100);
      const uint64_t exact = sorted[rank - 1];
      const uint64_t told = whole.percentile(percent);
      RC_ASSERT(told >= exact);
      RC_ASSERT(static_cast<double>(told) <= static_cast<double>(exact) * 1.008);
      RC_ASSERT(first.percentile(percent) == told);
    }
    RC_ASSERT(whole.largest() == sorted.back());
    RC_ASSERT(whole.smallest() == sorted.front());
  }));
}

TEST_CASE("values beyond the range count as the largest", "[client]") {
  Histogram histogram;
  histogram.record(UINT64_MAX);
  CHECK(histogram.percentile(50) == Histogram::value_max);
}

}  // namespace covey::client::histogram_test
