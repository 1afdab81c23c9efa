// Non-negative integers of any size, for the last step of an aggregate: exact combination and one rounding.
// Schoolbook algorithms (Knuth, volume 2, 4.3.1): numbers have at most a few hundred limbs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpu/int128.h"

namespace covey::agg {

class BigInt {
 public:
  BigInt() = default;
  BigInt(uint64_t value);
  // Two's complement limbs; `negative` tells the sign, the result is the magnitude.
  static BigInt magnitude(const uint64_t* limbs, size_t count, bool& negative);

  bool is_zero() const { return limbs_.empty(); }
  int bit_length() const;
  bool bit(int index) const;
  // Whether any of the lowest `bits` bits is set.
  bool any_below(int bits) const;

  BigInt operator+(const BigInt& other) const;
  BigInt operator-(const BigInt& other) const;  // REQUIRES *this >= other
  BigInt operator*(const BigInt& other) const;
  BigInt operator<<(int bits) const;
  BigInt operator>>(int bits) const;
  bool operator<(const BigInt& other) const;
  bool operator==(const BigInt&) const = default;

  // floor(*this / divisor), and whether something remains. REQUIRES divisor != 0
  BigInt divided_by(const BigInt& divisor, bool& remains) const;
  // floor of the square root, and whether something remains.
  BigInt square_root(bool& remains) const;
  std::string decimal() const;
  Uint128 low128() const;

 private:
  void trim();
  std::vector<uint32_t> limbs_;  // least first, no leading zero
};

// (-1)^negative * (value + sticky) * 2^exponent, rounded once to the nearest double, ties to even; 0 < sticky
// < 1 if something remains, which REQUIRES value.bit_length() >= 55 then. Overflow gives an infinity,
// underflow is gradual.
double round_to_double(const BigInt& value, bool remains, int exponent, bool negative);

// numerator * 2^exponent / denominator and its square root, rounded once. REQUIRES denominator != 0
double round_quotient(const BigInt& numerator, int exponent, const BigInt& denominator, bool negative);
double round_root_of_quotient(const BigInt& numerator, int exponent, const BigInt& denominator);

}  // namespace covey::agg
