// Which rows of a block fulfil a selection.
#pragma once

#include <vector>

#include "gpu/cpu_bind.h"
#include "gpu/kernels.h"

namespace covey::agg {

inline constexpr size_t kBlockWords = kBlockRows / 64;

// A selection on one row group: what its zone maps leave to be looked at.
struct UnitFilter {
  bool skipped = false;              // no row can fulfil it
  bool unrestricted = false;         // nothing but conditions restricts the live rows
  bool all_live = false;             // besides, every slot of the row group is live
  std::vector<uint32_t> conditions;  // that are not fulfilled by all live rows anyway
};

UnitFilter filter_unit(const BoundScan& scan, uint32_t selection, const BoundScan::Unit& unit);

// Fills `words` for the rows [first, first + rows); answers how many rows are selected. `all` is set when the
// mask is all ones and need not be looked at.
uint32_t select_rows(const BoundScan& scan, const Kernels& kernels, uint32_t selection,
                     const UnitFilter& filter, const BoundScan::Unit& unit, uint32_t first, uint32_t rows,
                     uint64_t* words, bool& all);

}  // namespace covey::agg
