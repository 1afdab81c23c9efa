// Order-mapped bits: unsigned integers in the order of the values that they stand for, so that a minimum, a
// range or a rank is the same for both types of number.
#pragma once

#include <cstdint>
#include <cstring>

#include "gpu/portable.h"

namespace covey::agg {

COVEY_AGG_HD inline uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

COVEY_AGG_HD inline double float_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

inline constexpr uint64_t kSignBit = uint64_t{1} << 63;

// Negative NaN < -infinity < ... < infinity < NaN.
COVEY_AGG_HD inline uint64_t order_float(double value) {
  const uint64_t bits = bits_of(value);
  return bits ^ (bits & kSignBit ? ~uint64_t{0} : kSignBit);
}

COVEY_AGG_HD inline double float_from_order(uint64_t key) {
  return float_of(key ^ (key & kSignBit ? kSignBit : ~uint64_t{0}));
}

COVEY_AGG_HD inline uint64_t order_int(int64_t value) { return static_cast<uint64_t>(value) ^ kSignBit; }
COVEY_AGG_HD inline int64_t int_from_order(uint64_t key) { return static_cast<int64_t>(key ^ kSignBit); }

inline constexpr uint64_t kInfinityBits = uint64_t{0x7ff} << 52;
inline constexpr uint64_t kOrderOfInfinity = kInfinityBits ^ kSignBit;
inline constexpr uint64_t kOrderOfNegativeInfinity = ~(kInfinityBits | kSignBit);
// The one NaN that columns hold (a store normalizes NaNs, and -0 to 0).
inline constexpr uint64_t kNanBits = uint64_t{0x7ff8} << 48;

COVEY_AGG_HD inline bool is_special_bits(uint64_t bits) { return (bits & kInfinityBits) == kInfinityBits; }

}  // namespace covey::agg
