// A further pass for exact quantiles: what lies in the targets' ranges.
#pragma once

#include <unordered_map>
#include <vector>

#include "gpu/cpu_bind.h"
#include "gpu/cpu_groups.h"
#include "gpu/cpu_mask.h"
#include "gpu/cpu_measure.h"
#include "gpu/kernels.h"
#include "gpu/partials.h"

namespace covey::agg {

// One selection of one thread.
class ThreadRefine {
 public:
  ThreadRefine(const BoundScan& scan, const Kernels& kernels, uint32_t selection, const Refinement& ask,
               Refined& found);
  void scan_unit(const BoundScan::Unit& unit);

 private:
  struct Targets {
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  void scan_block(const BoundScan::Unit& unit, const UnitFilter& filter, uint32_t first, uint32_t rows);
  void take(const Targets& targets, uint64_t key);
  void one_group(const Targets& targets, const Tile& tile, ColumnType type, uint32_t first, uint32_t rows,
                 const uint64_t* chosen);
  // Of each group of a measure; found when a group is first met.
  const Targets& targets_of(size_t measure, uint32_t number);

  const BoundScan& scan_;
  const Kernels& kernels_;
  const uint32_t index_;
  const Selection& selection_;
  const Refinement& ask_;
  Refined& found_;
  GroupIndexer groups_;
  std::vector<std::unordered_map<std::string, Targets>> wanted_;  // by measure of the selection, by key
  std::vector<std::vector<Targets>> by_number_;
  std::vector<uint8_t> known_;
  uint64_t mask_[kBlockWords];
  uint16_t listed_[kBlockRows];
  uint32_t numbers_[kBlockRows];
};

}  // namespace covey::agg
