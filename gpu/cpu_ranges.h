// Sums of one column for many ranges of another (or of itself): dashboards ask for them, and row by row the
// selections would each compare, count and fold. Here a value is folded once for all of them.
#pragma once

#include <vector>

#include "gpu/cpu_scan.h"

namespace covey::agg {

class RangeSums {
 public:
  // Scans the row group for those selections that have company; `done[i]` is set for each of them.
  void scan_unit(const BoundScan& scan, const Kernels& kernels, const BoundScan::Unit& unit,
                 const std::vector<std::unique_ptr<ThreadSelection>>& selections, std::vector<uint8_t>& done);

 private:
  struct Member {
    size_t selection;
    RangeSum range;
  };
  void scan_group(const BoundScan& scan, const Kernels& kernels, const BoundScan::Unit& unit,
                  const Member* members, size_t count,
                  const std::vector<std::unique_ptr<ThreadSelection>>& selections);
  std::vector<Member> members_;
  std::vector<double> lo_, hi_;
  std::vector<uint64_t> counts_;
  std::vector<int64_t> sums_;
};

}  // namespace covey::agg
