// The mergeable states of groups, as arrays over the groups of a selection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpu/group_key.h"
#include "gpu/int128.h"
#include "gpu/plan.h"
#include "gpu/result.h"

namespace covey::agg {

// An exact sum for each of many groups: two's complement integers of `limbs` 64-bit limbs, in units of 2^(64
// * base). All groups have one window of limbs, which widens as needed.
class WideSums {
 public:
  void resize(size_t groups) {
    data_.resize(groups * limbs_);
    groups_ = groups;
  }
  size_t groups() const { return groups_; }
  int base() const { return base_; }
  uint32_t limbs() const { return limbs_; }
  const uint64_t* at(size_t group) const { return data_.data() + group * limbs_; }
  uint64_t* at(size_t group) { return data_.data() + group * limbs_; }
  // Makes the window cover limbs [base, base + limbs).
  void widen(int base, uint32_t limbs);
  // Adds value * 2^exponent. The window widens where it has to, so that no sum of 2^63 such values overflows.
  void add(size_t group, Int128 value, int exponent);
  void add(size_t group, const WideSums& other, size_t other_group);
  // Puts the groups of another behind these.
  void append(const WideSums& other);
  // The least window that holds all groups: a function of the sums alone.
  void trim();
  uint64_t bytes() const { return data_.capacity() * 8; }
  bool operator==(const WideSums&) const = default;

 private:
  friend class StateCodec;
  int base_ = 0;
  uint32_t limbs_ = 0;
  size_t groups_ = 0;
  std::vector<uint64_t> data_;
};

// Log-linear buckets (gpu/sketch.h) with their counts, sorted by bucket; none is zero.
struct SketchBin {
  uint32_t bucket = 0;
  uint64_t count = 0;
  bool operator==(const SketchBin&) const = default;
};
using SketchState = std::vector<SketchBin>;
void merge_sketch(SketchState& into, const SketchState& from);

// Hashes of the different values, exact up to kDistinctExactMax of them, beyond that HyperLogLog registers (p
// = 14). Which of the two it is depends on the set of values alone.
inline constexpr size_t kDistinctExactMax = 4096;
inline constexpr int kHllPrecision = 14;
class DistinctState {
 public:
  void add(uint64_t hash);
  void merge(DistinctState&& other);
  bool exact() const { return registers_.empty(); }
  uint64_t estimate() const;
  std::vector<uint64_t> sorted() const;  // REQUIRES exact()
  const std::vector<uint8_t>& registers() const { return registers_; }
  void set_registers(std::vector<uint8_t> registers) { registers_ = std::move(registers); }
  uint64_t bytes() const { return table_.capacity() * 8 + registers_.capacity(); }

 private:
  void grow();
  void to_registers();
  std::vector<uint64_t> table_;  // open addressing; 0: free
  size_t count_ = 0;             // in the table
  bool zero_ = false;            // the hash 0 was seen
  std::vector<uint8_t> registers_;
};

// For first and last: a value's order-mapped bits at a time; absent until one was seen.
struct TimedValue {
  int64_t time = 0;
  uint64_t value = 0;
  bool present = false;
  bool operator==(const TimedValue&) const = default;
};

// Arrays over the groups; those that the measure does not need are empty.
struct MeasureState {
  std::optional<Error> failed;  // its column is not ready; then the rest is empty
  std::vector<uint64_t> valid;  // rows not null, specials included
  std::vector<uint64_t> nan, positive_infinities, negative_infinities;  // float64 only
  WideSums sum;
  WideSums squares;
  std::vector<uint64_t> min, max;  // order-mapped; min > max: no finite value
  std::vector<SketchState> sketches;
  std::vector<DistinctState> distinct;
  std::vector<std::vector<uint64_t>> histograms;  // each: groups * (edges + 1): below, bins, above
  std::vector<TimedValue> first, last;
};

// Which group of one state goes to which of another; none goes twice.
struct GroupMoves {
  struct Move {
    uint32_t from = 0;
    uint32_t to = 0;
  };
  std::vector<Move> list;
};
// Adds those groups; arrays that `from` lacks, or their ends, are zeros. Only the groups that are moved are
// touched.
void add_measure(MeasureState& into, MeasureState&& from, const GroupMoves& moves);
// Puts all groups of `from` behind those of `into`; both have the same arrays.
void append_measure(MeasureState& into, MeasureState&& from);

struct SelectionState {
  std::optional<Error> failed;  // then the rest is empty
  GroupKeys keys;               // encoded, rising bytewise, which is the answer's order
  std::vector<uint64_t> rows;
  std::vector<MeasureState> measures;  // as Selection::measures
};

// Where the coordinator stands with the exact quantiles.
struct QuantileProgress {
  struct Item {
    uint32_t measure = 0;
    std::string group;
    uint64_t wanted = 0;  // rank among the group's finite values
    uint64_t rank = 0;    // rank in [lo, hi]
    uint64_t lo = 0, hi = 0, count = 0;
    bool done = false;  // lo is the value
    bool changed = false;
  };
  bool started = false;
  uint32_t round = 0;
  std::vector<Item> items;  // sorted by measure, group, wanted
  // Null: not asked for.
  const Item* find(uint32_t measure, std::string_view group, uint64_t wanted) const;
};

// Adds the groups of `from`, sorted by key as those of `into` are; failures win. Windows of sums are trimmed.
void merge_selection(const Plan& plan, uint32_t selection, SelectionState& into, SelectionState&& from);
Error too_many_groups(uint64_t limit);
uint64_t state_bytes(const SelectionState& state);  // of memory, about

// What holds for a fresh state of so many groups, but for the keys.
void resize_states(const Plan& plan, uint32_t selection, SelectionState& state, size_t groups);
// Likewise, of one measure.
void resize_measure(const Measure& measure, MeasureState& state, size_t groups);

}  // namespace covey::agg
