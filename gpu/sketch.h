// Log-linear buckets: sign, exponent and the top 7 bits of the mantissa of a value as double. A bucket's
// middle is within 2^-8 of each of its values (below 0.4 %), but for numbers under 2^-1022. Integers go by
// the double nearest to them, which is monotonic, so a bucket of integers is an interval too.
#pragma once

#include <cstdint>

#include "gpu/order.h"
#include "gpu/portable.h"

namespace covey::agg {

inline constexpr int kSketchShift = 45;

COVEY_AGG_HD inline uint32_t bucket_of_float(double value) {
  return static_cast<uint32_t>(order_float(value) >> kSketchShift);
}
COVEY_AGG_HD inline uint32_t bucket_of_int(int64_t value) {
  return bucket_of_float(static_cast<double>(value));
}

struct KeyRange {
  uint64_t lo = 0;  // order-mapped, both included
  uint64_t hi = 0;
};
inline KeyRange range_of_float_bucket(uint32_t bucket) {
  const uint64_t lo = static_cast<uint64_t>(bucket) << kSketchShift;
  return {lo, lo | ((uint64_t{1} << kSketchShift) - 1)};
}
// Of the integers that the bucket holds. REQUIRES that it holds one.
KeyRange range_of_int_bucket(uint32_t bucket);

}  // namespace covey::agg
