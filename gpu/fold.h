// Exact sums of doubles at the speed of memory by anchored folds (after Demmel, Hida and Nguyen's binned
// sums, 2013-2020).
//
// Values are multiples of 2^low and below 2^high in magnitude. Fold f has the unit 2^(high - 40 * (f + 1))
// and the anchor A = 1.5 * 2^52 units: A + x is rounded to whole units, the difference to A is an exact
// integer number of units, at most 2^40, and what x has beyond it is exact too and goes down to the next
// fold. An anchor takes 2^11 values before its count has to be carried out. Rounding is to nearest; only
// integers are kept, so order does not matter.
#pragma once

#include <cstdint>

#include "gpu/order.h"
#include "gpu/portable.h"

namespace covey::agg {

inline constexpr int kFoldBits = 40;
inline constexpr int kFoldsMax = 6;
inline constexpr int kDepositsMax = 1024;  // into one anchor between two carries

struct Folds {
  int count = 0;  // 0: the range does not allow folds; use integers
  int high = 0;
  int low = 0;
  double anchors[kFoldsMax] = {};
  COVEY_AGG_HD int unit(int fold) const { return high - kFoldBits * (fold + 1); }
};

COVEY_AGG_HD inline double power_of_two(int exponent) {  // REQUIRES -1022 <= exponent <= 1023
  return float_of(static_cast<uint64_t>(exponent + 1023) << 52);
}

// For multiples of 2^low below 2^high. REQUIRES low < high
COVEY_AGG_HD inline Folds make_folds(int low, int high, int folds_max = kFoldsMax) {
  Folds folds;
  const int count = (high - low + kFoldBits - 1) / kFoldBits;
  // The first anchor and its sums must be finite, the last one normal.
  if (count > folds_max || high > 1000 || high - kFoldBits * count + 52 < -1022) return folds;
  folds.count = count;
  folds.high = high;
  folds.low = low;
  for (int f = 0; f < count; ++f) folds.anchors[f] = 1.5 * power_of_two(52 + folds.unit(f));
  return folds;
}

// The units of each fold in x, which must be within the folds' range.
COVEY_AGG_HD inline void fold_units(const Folds& folds, double x, int64_t* units) {
  for (int f = 0; f < folds.count; ++f) {
    const double t = folds.anchors[f] + x;
    const double q = t - folds.anchors[f];
    units[f] = static_cast<int64_t>(bits_of(t) - bits_of(folds.anchors[f]));
    x -= q;
  }
}

// A finite double as integer * 2^exponent.
struct Scaled {
  int64_t mantissa = 0;
  int exponent = 0;
};
COVEY_AGG_HD inline Scaled scaled(double value) {
  const uint64_t bits = bits_of(value);
  const int field = static_cast<int>((bits >> 52) & 0x7ff);
  const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  const int64_t mantissa = static_cast<int64_t>(field == 0 ? fraction : fraction | (uint64_t{1} << 52));
  Scaled result;
  result.mantissa = bits & kSignBit ? -mantissa : mantissa;
  result.exponent = (field == 0 ? 1 : field) - 1075;
  return result;
}

}  // namespace covey::agg
