// What is kept of a column for each group; bits.
#pragma once

#include <cstdint>

namespace covey::agg {

enum Need : uint32_t {
  kNeedSum = 1,
  kNeedSquares = 2,
  kNeedMinMax = 4,
  kNeedSketch = 8,
  kNeedDistinct = 16,
  kNeedFirst = 32,
  kNeedLast = 64,
};

}  // namespace covey::agg
