// Non-negative integers of any size, for the last step of an aggregate: exact combination and one rounding.
// Schoolbook algorithms (Knuth, volume 2, 4.3.1): numbers have at most a few hundred limbs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "gpu/int128.h"

namespace covey::agg {

// What BigInt needs of a std::vector<uint32_t>; numbers of usual size need no memory of their own.
class Limbs {
 public:
  Limbs() = default;
  Limbs(const Limbs& other) { assign(other.data_, other.size_); }
  Limbs(Limbs&& other) noexcept { take(other); }
  Limbs& operator=(const Limbs& other) {
    if (this != &other) assign(other.data_, other.size_);
    return *this;
  }
  Limbs& operator=(Limbs&& other) noexcept {
    if (this != &other) take(other);
    return *this;
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  uint32_t& operator[](size_t i) { return data_[i]; }
  uint32_t operator[](size_t i) const { return data_[i]; }
  uint32_t back() const { return data_[size_ - 1]; }
  void push_back(uint32_t limb) {
    if (size_ == room_) grow(2 * room_);
    data_[size_++] = limb;
  }
  void pop_back() { --size_; }
  void resize(size_t size) {  // new ones are 0
    if (size > room_) grow(size);
    std::fill(data_ + std::min(size_, size), data_ + size, 0);
    size_ = size;
  }
  bool operator==(const Limbs& other) const {
    return std::equal(data_, data_ + size_, other.data_, other.data_ + other.size_);
  }

 private:
  static constexpr size_t kInline = 24;
  void assign(const uint32_t* limbs, size_t size);
  void take(Limbs& other);
  void grow(size_t room);
  size_t size_ = 0;
  size_t room_ = kInline;
  uint32_t* data_ = inline_;
  std::unique_ptr<uint32_t[]> more_;
  uint32_t inline_[kInline];
};

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
  Limbs limbs_;  // least first, no leading zero
};

// (-1)^negative * (value + sticky) * 2^exponent, rounded once to the nearest double, ties to even; 0 < sticky
// < 1 if something remains, which REQUIRES value.bit_length() >= 55 then. Overflow gives an infinity,
// underflow is gradual.
double round_to_double(const BigInt& value, bool remains, int exponent, bool negative);

// numerator * 2^exponent / denominator and its square root, rounded once. REQUIRES denominator != 0
double round_quotient(const BigInt& numerator, int exponent, const BigInt& denominator, bool negative);
double round_root_of_quotient(const BigInt& numerator, int exponent, const BigInt& denominator);

}  // namespace covey::agg
