// What one thread keeps of one measure while it scans.
#pragma once

#include <memory>
#include <vector>

#include "gpu/cpu_bind.h"
#include "gpu/cpu_groups.h"
#include "gpu/cpu_records.h"
#include "gpu/cpu_shares.h"
#include "gpu/kernels.h"
#include "gpu/states.h"

namespace covey::agg {

// Counts by bucket of one group: open addressing.
class SketchTable {
 public:
  void add(uint32_t bucket, uint64_t count) {
    if (slots_.size() < 2 * (used_ + 1)) grow();
    size_t at = place(bucket);
    while (slots_[at].count != 0 && slots_[at].bucket != bucket) at = (at + 1) & (slots_.size() - 1);
    used_ += slots_[at].count == 0;
    slots_[at].bucket = bucket;
    slots_[at].count += count;
  }
  SketchState sorted() const;
  uint64_t bytes() const { return slots_.capacity() * sizeof(SketchBin); }

 private:
  size_t place(uint32_t bucket) const { return (bucket * 0x9e3779b1u >> 7) & (slots_.size() - 1); }
  void grow();
  std::vector<SketchBin> slots_;
  size_t used_ = 0;
};

// The rows of one block that one selection has chosen.
struct BlockRows {
  BoundScan::Unit unit;
  uint32_t first = 0;
  RowList list;
  const uint64_t* mask = nullptr;     // null: all
  const uint32_t* numbers = nullptr;  // group of each selected row; null: one group
  bool count = false;                 // the measure counts the groups' rows, too
};

class ThreadMeasure {
 public:
  // records: null where there is one group.
  ThreadMeasure(const BoundScan& scan, const Kernels& kernels, uint32_t measure, GroupRecords* records);

  // What it may do together with measures of other selections, block by block.
  void share(BlockShares& shares);
  bool shares() const { return counter_ != nullptr || (moments_ != nullptr && moments_->members > 1); }

  void begin_unit(const BoundScan::Unit& unit);
  void add(const BlockRows& rows);
  void end_unit();
  // For sums of ranges, which are made for many selections at once: whether this row group's sums are in
  // units of folds(), and nothing else is wanted of it.
  bool sums_units(const BoundScan::Unit& unit) const;
  const Folds& folds() const { return sum_folds_; }
  void take_units(const int64_t* units);
  // So many groups are known now.
  void resize(size_t groups);

  // Everything as a mergeable state, where there is one group, of so many rows.
  MeasureState finish(uint64_t rows);
  // Adds groups to a state. Each is added once, one thread at a time for each state.
  void add_groups(MeasureState& into, const GroupMoves& moves);
  uint64_t bytes() const;

 private:
  bool need(uint32_t what) const { return (measure_.needs & what) != 0; }
  // The valid, finite ones of the chosen rows as a mask; counts nulls and specials.
  const uint64_t* usable(const BlockRows& rows, const Tile& tile, bool& all);
  void count_nulls(const BlockRows& rows, uint32_t word, uint64_t bits);
  void count_special(const BlockRows& rows, const Tile& tile, uint32_t word, uint64_t bits);
  void add_sums(const BlockRows& rows, const Tile& tile, const uint64_t* mask);
  void add_float_sums(const double* values, uint32_t rows, const uint64_t* mask);
  void add_int_sums(const int64_t* values, uint32_t rows, const uint64_t* mask);
  void add_grouped(const BlockRows& rows, const Tile& tile, const RowList& list, bool count);
  void reserve_words();
  void add_grouped_units(const BlockRows& rows, const double* values, const RowList& list, bool count_too);
  void add_grouped_ints(const BlockRows& rows, const int64_t* values, const RowList& list);
  void add_extremes(const BlockRows& rows, const Tile& tile, const RowList& list);
  void add_sketch(const BlockRows& rows, const Tile& tile, const RowList& list);
  void add_others(const BlockRows& rows, const Tile& tile, const RowList& list);
  void add_distinct(const BlockRows& rows, const Tile& tile, const RowList& list);
  void add_timed(const BlockRows& rows, const Tile& tile, const RowList& list);
  void carry_large_words();
  int word_exponent(uint32_t word) const;
  void resize_sketches(size_t groups);
  SketchState sketch_of(size_t group) const;
  uint64_t key_of(const Tile& tile, uint32_t row) const;

  const BoundScan& scan_;
  const Kernels& kernels_;
  const Measure& measure_;
  const bool grouped_;
  size_t groups_ = 0;
  std::vector<uint64_t> nulls_;
  MeasureState state_;

  // One group: a row group's sums in the units of its own zone map.
  Folds sum_folds_, square_folds_;
  FloatSums unit_sums_;
  IntSums int_unit_sums_;
  bool fast_ = false;  // the row group's range suits the kernels
  // Many groups: words of sums in the records, signed. Doubles: the units of folds of the whole scan.
  // Integers: themselves, or their lower and upper 32 bits.
  GroupRecords* const records_;
  Folds group_folds_;
  uint32_t sum_words_ = 0;
  uint32_t sum_at_ = 0;
  uint32_t extremes_at_ = 0;  // ~min, max, so that 0 is none
  uint64_t word_rows_ = 0;    // since large words were carried
  // Sketches: dense by bucket where all groups' buckets are few, else a table for each.
  uint32_t first_bucket_ = 0;
  uint32_t buckets_ = 0;  // dense: of one group
  std::vector<uint64_t> bucket_counts_;
  std::vector<SketchTable> sketch_tables_;
  BlockShares::Moments* moments_ = nullptr;  // null: not shared
  bool positive_ = false;                    // the row group suits Kernels::moments
  SketchCounter* counter_ = nullptr;         // null: not shared
  uint32_t member_ = 0;                      // of the counter's
  // Scratch of a block.
  uint64_t mask_[kBlockRows / 64];
  uint16_t listed_[kBlockRows];
  std::vector<int64_t> units_;
};

// To one group's sum, squares, or both; null: not wanted.
void add_exactly(WideSums* sum, WideSums* squares, size_t group, double value);

// The rows of a mask as a list.
uint32_t list_rows(const uint64_t* mask, uint32_t rows, uint16_t* into);

}  // namespace covey::agg
