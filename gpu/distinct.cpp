// HyperLogLog (Flajolet, Fusy, Gandouet and Meunier, 2007) with the estimator of Ertl, "New cardinality
// estimation algorithms for HyperLogLog sketches" (2017), which needs no tables and no logarithm: additions,
// multiplications and square roots only, which IEEE 754 fixes to the last bit.
#include <algorithm>
#include <bit>
#include <cmath>

#include "gpu/states.h"

namespace covey::agg {

namespace {

constexpr size_t kRegisters = size_t{1} << kHllPrecision;
constexpr int kRanks = 64 - kHllPrecision;  // registers hold 0 to kRanks + 1

void observe(std::vector<uint8_t>& registers, uint64_t hash) {
  uint8_t& at = registers[hash >> kRanks];
  const uint64_t rest = hash << kHllPrecision | uint64_t{1} << (kHllPrecision - 1);
  at = std::max(at, static_cast<uint8_t>(std::countl_zero(rest) + 1));
}

double sigma(double x) {
  if (x == 1) return HUGE_VAL;
  double y = 1;
  double z = x;
  double before;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (z != before);
  return z;
}

double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  double before;
  do {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  } while (z != before);
  return z / 3;
}

}  // namespace

void DistinctState::add(uint64_t hash) {
  if (!registers_.empty()) {
    observe(registers_, hash);
    return;
  }
  if (hash == 0) {
    if (zero_) return;
    zero_ = true;
  } else {
    if (table_.size() < 2 * (count_ + 1)) grow();
    size_t at = hash & (table_.size() - 1);
    while (table_[at] != 0) {
      if (table_[at] == hash) return;
      at = (at + 1) & (table_.size() - 1);
    }
    table_[at] = hash;
    ++count_;
  }
  if (count_ + (zero_ ? 1 : 0) > kDistinctExactMax) to_registers();
}

void DistinctState::grow() {
  std::vector<uint64_t> old(std::max<size_t>(4, table_.size() * 2));
  old.swap(table_);
  for (const uint64_t hash : old) {
    if (hash == 0) continue;
    size_t at = hash & (table_.size() - 1);
    while (table_[at] != 0) at = (at + 1) & (table_.size() - 1);
    table_[at] = hash;
  }
}

void DistinctState::to_registers() {
  registers_.assign(kRegisters, 0);
  for (const uint64_t hash : table_) {
    if (hash != 0) observe(registers_, hash);
  }
  if (zero_) observe(registers_, 0);
  table_ = {};
  count_ = 0;
  zero_ = false;
}

void DistinctState::merge(DistinctState&& other) {
  if (count_ == 0 && !zero_ && exact()) {
    *this = std::move(other);
    return;
  }
  if (other.exact()) {
    for (const uint64_t hash : other.table_) {
      if (hash != 0) add(hash);
    }
    if (other.zero_) add(0);
    return;
  }
  if (exact()) to_registers();
  for (size_t i = 0; i < kRegisters; ++i) registers_[i] = std::max(registers_[i], other.registers_[i]);
}

uint64_t DistinctState::estimate() const {
  if (exact()) return count_ + (zero_ ? 1 : 0);
  uint32_t ranks[kRanks + 2] = {};
  for (const uint8_t rank : registers_) ++ranks[rank];
  const double m = static_cast<double>(kRegisters);
  double z = m * tau(1 - ranks[kRanks + 1] / m);
  for (int k = kRanks; k >= 1; --k) z = 0.5 * (z + ranks[k]);
  z += m * sigma(ranks[0] / m);
  constexpr double kAlpha = 0.72134752044448170368;  // 1 / (2 ln 2)
  return static_cast<uint64_t>(kAlpha * m * m / z + 0.5);
}

std::vector<uint64_t> DistinctState::sorted() const {
  std::vector<uint64_t> hashes;
  if (zero_) hashes.push_back(0);
  for (const uint64_t hash : table_) {
    if (hash != 0) hashes.push_back(hash);
  }
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

}  // namespace covey::agg
