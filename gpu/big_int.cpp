#include "gpu/big_int.h"

#include <algorithm>
#include <bit>

#include "gpu/order.h"
#include "gpu/result.h"

namespace covey::agg {

void Limbs::assign(const uint32_t* limbs, size_t size) {
  size_ = 0;
  if (size > room_) grow(size);
  std::copy(limbs, limbs + size, data_);
  size_ = size;
}

void Limbs::take(Limbs& other) {
  if (!other.more_) {
    assign(other.data_, other.size_);
  } else {
    more_ = std::move(other.more_);
    data_ = more_.get();
    size_ = other.size_;
    room_ = other.room_;
    other.data_ = other.inline_;
    other.room_ = kInline;
  }
  other.size_ = 0;
}

void Limbs::grow(size_t room) {
  auto larger = std::make_unique_for_overwrite<uint32_t[]>(room);
  std::copy(data_, data_ + size_, larger.get());
  more_ = std::move(larger);
  data_ = more_.get();
  room_ = room;
}

BigInt::BigInt(uint64_t value) {
  limbs_.push_back(static_cast<uint32_t>(value));
  limbs_.push_back(static_cast<uint32_t>(value >> 32));
  trim();
}

BigInt BigInt::magnitude(const uint64_t* limbs, size_t count, bool& negative) {
  BigInt result;
  negative = count > 0 && (limbs[count - 1] >> 63) != 0;
  uint64_t carry = negative ? 1 : 0;
  for (size_t i = 0; i < count; ++i) {
    uint64_t limb = negative ? ~limbs[i] : limbs[i];
    limb += carry;
    carry = carry != 0 && limb == 0 ? 1 : 0;
    result.limbs_.push_back(static_cast<uint32_t>(limb));
    result.limbs_.push_back(static_cast<uint32_t>(limb >> 32));
  }
  result.trim();
  return result;
}

void BigInt::trim() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
}

int BigInt::bit_length() const {
  return limbs_.empty() ? 0 : static_cast<int>(limbs_.size() * 32) - std::countl_zero(limbs_.back());
}

bool BigInt::bit(int index) const {
  const size_t limb = static_cast<size_t>(index) / 32;
  return limb < limbs_.size() && ((limbs_[limb] >> (index % 32)) & 1) != 0;
}

bool BigInt::any_below(int bits) const {
  for (size_t i = 0; i < limbs_.size() && static_cast<int>(i * 32) < bits; ++i) {
    const int here = bits - static_cast<int>(i * 32);
    const uint32_t mask = here >= 32 ? UINT32_MAX : (uint32_t{1} << here) - 1;
    if ((limbs_[i] & mask) != 0) return true;
  }
  return false;
}

BigInt BigInt::operator+(const BigInt& other) const {
  BigInt result;
  uint64_t carry = 0;
  for (size_t i = 0; i < std::max(limbs_.size(), other.limbs_.size()); ++i) {
    carry += (i < limbs_.size() ? limbs_[i] : 0ull) + (i < other.limbs_.size() ? other.limbs_[i] : 0ull);
    result.limbs_.push_back(static_cast<uint32_t>(carry));
    carry >>= 32;
  }
  result.limbs_.push_back(static_cast<uint32_t>(carry));
  result.trim();
  return result;
}

BigInt BigInt::operator-(const BigInt& other) const {
  BigInt result = *this;
  int64_t borrow = 0;
  for (size_t i = 0; i < result.limbs_.size(); ++i) {
    borrow += static_cast<int64_t>(result.limbs_[i]) - (i < other.limbs_.size() ? other.limbs_[i] : 0);
    result.limbs_[i] = static_cast<uint32_t>(borrow);
    borrow >>= 32;
  }
  COVEY_AGG_ASSERT(borrow == 0 && other.limbs_.size() <= limbs_.size());
  result.trim();
  return result;
}

BigInt BigInt::operator*(const BigInt& other) const {
  BigInt result;
  result.limbs_.resize(limbs_.size() + other.limbs_.size());
  for (size_t i = 0; i < limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < other.limbs_.size(); ++j) {
      carry += uint64_t{limbs_[i]} * other.limbs_[j] + result.limbs_[i + j];
      result.limbs_[i + j] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    result.limbs_[i + other.limbs_.size()] = static_cast<uint32_t>(carry);
  }
  result.trim();
  return result;
}

BigInt BigInt::operator<<(int bits) const {
  BigInt result;
  const int shift = bits % 32;
  result.limbs_.resize(static_cast<size_t>(bits / 32));
  uint64_t carry = 0;
  for (size_t i = 0; i < limbs_.size(); ++i) {
    carry |= uint64_t{limbs_[i]} << shift;
    result.limbs_.push_back(static_cast<uint32_t>(carry));
    carry >>= 32;
  }
  result.limbs_.push_back(static_cast<uint32_t>(carry));
  result.trim();
  return result;
}

BigInt BigInt::operator>>(int bits) const {
  BigInt result;
  const size_t skipped = static_cast<size_t>(bits / 32);
  const int shift = bits % 32;
  for (size_t i = skipped; i < limbs_.size(); ++i) {
    const uint64_t next = i + 1 < limbs_.size() ? limbs_[i + 1] : 0;
    result.limbs_.push_back(static_cast<uint32_t>((limbs_[i] | next << 32) >> shift));
  }
  result.trim();
  return result;
}

bool BigInt::operator<(const BigInt& other) const {
  if (limbs_.size() != other.limbs_.size()) return limbs_.size() < other.limbs_.size();
  for (size_t i = limbs_.size(); i-- > 0;) {
    if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i];
  }
  return false;
}

// Knuth's algorithm D with 32-bit digits.
BigInt BigInt::divided_by(const BigInt& divisor, bool& remains) const {
  COVEY_AGG_ASSERT(!divisor.is_zero());
  if (*this < divisor) {
    remains = !is_zero();
    return {};
  }
  BigInt quotient;
  const size_t n = divisor.limbs_.size();
  if (n == 1) {
    uint64_t rest = 0;
    quotient.limbs_.resize(limbs_.size());
    for (size_t i = limbs_.size(); i-- > 0;) {
      rest = rest << 32 | limbs_[i];
      quotient.limbs_[i] = static_cast<uint32_t>(rest / divisor.limbs_[0]);
      rest %= divisor.limbs_[0];
    }
    remains = rest != 0;
    quotient.trim();
    return quotient;
  }
  const int shift = std::countl_zero(divisor.limbs_.back());
  const Limbs v = (divisor << shift).limbs_;
  Limbs u = (*this << shift).limbs_;
  u.resize(limbs_.size() + 1);
  const size_t m = limbs_.size() - n;
  quotient.limbs_.resize(m + 1);
  for (size_t j = m + 1; j-- > 0;) {
    const uint64_t top = uint64_t{u[j + n]} << 32 | u[j + n - 1];
    uint64_t guess = top / v[n - 1];
    uint64_t rest = top % v[n - 1];
    while (guess > UINT32_MAX || guess * v[n - 2] > (rest << 32 | u[j + n - 2])) {
      --guess;
      rest += v[n - 1];
      if (rest > UINT32_MAX) break;
    }
    int64_t borrow = 0;
    uint64_t carry = 0;
    for (size_t i = 0; i < n; ++i) {
      carry += guess * v[i];
      borrow += static_cast<int64_t>(u[i + j]) - static_cast<int64_t>(carry & UINT32_MAX);
      u[i + j] = static_cast<uint32_t>(borrow);
      borrow >>= 32;
      carry >>= 32;
    }
    borrow += static_cast<int64_t>(u[j + n]) - static_cast<int64_t>(carry);
    u[j + n] = static_cast<uint32_t>(borrow);
    if (borrow < 0) {  // one too many: add the divisor back
      --guess;
      uint64_t sum = 0;
      for (size_t i = 0; i < n; ++i) {
        sum += uint64_t{u[i + j]} + v[i];
        u[i + j] = static_cast<uint32_t>(sum);
        sum >>= 32;
      }
      u[j + n] += static_cast<uint32_t>(sum);
    }
    quotient.limbs_[j] = static_cast<uint32_t>(guess);
  }
  remains = false;
  for (size_t i = 0; i < u.size(); ++i) remains = remains || u[i] != 0;
  quotient.trim();
  return quotient;
}

// Newton's iteration from above: it falls until it has the floor.
BigInt BigInt::square_root(bool& remains) const {
  remains = false;
  if (is_zero()) return {};
  BigInt root = BigInt(1) << ((bit_length() + 1) / 2);
  while (true) {
    bool ignored = false;
    const BigInt next = (root + divided_by(root, ignored)) >> 1;
    if (!(next < root)) break;
    root = next;
  }
  remains = !(root * root == *this);
  return root;
}

std::string BigInt::decimal() const {
  if (is_zero()) return "0";
  std::string digits;
  BigInt rest = *this;
  while (!rest.is_zero()) {
    uint64_t group = 0;
    for (size_t i = rest.limbs_.size(); i-- > 0;) {
      group = group << 32 | rest.limbs_[i];
      rest.limbs_[i] = static_cast<uint32_t>(group / 1000000000);
      group %= 1000000000;
    }
    rest.trim();
    for (int i = 0; i < 9 && (group > 0 || !rest.is_zero()); ++i, group /= 10) {
      digits.push_back(static_cast<char>('0' + group % 10));
    }
  }
  std::reverse(digits.begin(), digits.end());
  return digits;
}

Uint128 BigInt::low128() const {
  Uint128 result = 0;
  for (size_t i = std::min<size_t>(4, limbs_.size()); i-- > 0;) result = result << 32 | limbs_[i];
  return result;
}

double round_to_double(const BigInt& value, bool remains, int exponent, bool negative) {
  const uint64_t sign = negative ? kSignBit : 0;
  const int length = value.bit_length();
  if (length == 0) return float_of(sign);
  // The weight of the last bit that a double of this size has.
  const int last = std::max(length + exponent - 53, -1074);
  const int dropped = last - exponent;
  uint64_t mantissa = 0;
  if (dropped <= 0) {
    mantissa = static_cast<uint64_t>((value << -dropped).low128());
  } else {
    mantissa = static_cast<uint64_t>((value >> dropped).low128());
    const bool half = value.bit(dropped - 1);
    const bool more = remains || value.any_below(dropped - 1);
    if (half && (more || (mantissa & 1) != 0)) ++mantissa;
  }
  if (mantissa == uint64_t{1} << 53) return round_to_double(BigInt(mantissa), false, last, negative);
  if (mantissa == 0) return float_of(sign);
  const int field = mantissa >> 52 != 0 ? last + 1075 : 0;
  if (field >= 0x7ff) return float_of(sign | kInfinityBits);
  return float_of(sign | static_cast<uint64_t>(field) << 52 | (mantissa & ((uint64_t{1} << 52) - 1)));
}

double round_quotient(const BigInt& numerator, int exponent, const BigInt& denominator, bool negative) {
  // 64 bits and more of quotient: what remains cannot reach the rounding bit.
  const int shift = std::max(0, denominator.bit_length() - numerator.bit_length() + 66);
  bool remains = false;
  const BigInt quotient = (numerator << shift).divided_by(denominator, remains);
  return round_to_double(quotient, remains, exponent - shift, negative);
}

double round_root_of_quotient(const BigInt& numerator, int exponent, const BigInt& denominator) {
  int shift = std::max(0, denominator.bit_length() - numerator.bit_length() + 134);
  if ((exponent - shift) % 2 != 0) ++shift;
  bool divided = false;
  bool rooted = false;
  const BigInt root = (numerator << shift).divided_by(denominator, divided).square_root(rooted);
  return round_to_double(root, divided || rooted, (exponent - shift) / 2, false);
}

}  // namespace covey::agg
