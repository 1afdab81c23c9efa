// One thread's part of a scan, and how the parts become one.
#pragma once

#include <memory>
#include <vector>

#include "gpu/cpu_bind.h"
#include "gpu/cpu_groups.h"
#include "gpu/cpu_mask.h"
#include "gpu/cpu_measure.h"
#include "gpu/kernels.h"
#include "gpu/partials.h"

namespace covey::agg {

struct RangeSum {
  uint32_t keys = 0;    // column that has to be in the range
  uint32_t values = 0;  // column that is summed
  double lo = 0;
  double hi = 0;
};

// One selection of one thread.
class ThreadSelection {
 public:
  ThreadSelection(const BoundScan& scan, const Kernels& kernels, uint32_t selection);
  void share(BlockShares& shares) {
    each_measure([&](ThreadMeasure& measure) { measure.share(shares); });
  }
  void begin_unit(const BoundScan::Unit& unit, uint32_t threads);
  bool active() const { return !filter_.skipped && !failed_; }
  void scan_block(const BoundScan::Unit& unit, uint32_t first, uint32_t rows);
  // All of it at once, where all rows are wanted for several columns: each is read from end to end, which the
  // processor foresees. false: it goes block by block.
  bool scan_whole(const BoundScan::Unit& unit, uint32_t rows);
  void end_unit();
  // What the selection is on this row group, if it is but the sum of one column where another one is in a
  // range.
  std::optional<RangeSum> range_sum(const BoundScan::Unit& unit) const;
  const Folds& folds() const { return measures_[0]->folds(); }
  void add_range_sum(uint64_t rows, const int64_t* units) {
    rows_ += rows;
    measures_[0]->take_units(units);
  }
  bool grouped() const { return grouped_; }
  // One group: its state.
  SelectionState finish();
  // Many groups: those that have rows, sorted by key, are listed first, then added where they belong.
  struct Listed {
    std::vector<uint32_t> numbers;
    GroupKeys keys;
  };
  void list_groups();
  const Listed& listed() const { return listed_groups_; }
  // Different groups on any threads at the same time.
  void add_groups(SelectionState& into, const GroupMoves& moves);
  const std::optional<Error>& failed() const { return failed_; }

 private:
  template <class Action>
  void each_measure(Action action) {
    for (const auto& measure : measures_) {
      if (measure) action(*measure);
    }
  }
  void check_bytes(uint32_t threads);

  const BoundScan& scan_;
  const Kernels& kernels_;
  const uint32_t index_;
  const Selection& selection_;
  const bool grouped_;
  UnitFilter filter_;
  GroupIndexer groups_;
  uint64_t rows_ = 0;                                     // of the one group
  GroupRecords records_;                                  // of many
  std::vector<std::unique_ptr<ThreadMeasure>> measures_;  // null: the column is not ready
  Listed listed_groups_;
  std::optional<Error> failed_;
  uint64_t next_check_ = 0;
  uint64_t units_ = 0;
  uint64_t mask_[kBlockWords];
  uint16_t listed_[kBlockRows];
  uint32_t numbers_[kBlockRows];
};

// Bytes of the plan's columns in a row group.
uint64_t unit_bytes(const BoundScan& scan, const BoundScan::Unit& unit);

}  // namespace covey::agg
