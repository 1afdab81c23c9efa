// What several selections want of one column's block and is done for all of them at once, when each of them
// has chosen its rows.
#pragma once

#include <memory>
#include <vector>

#include "gpu/cpu_bind.h"
#include "gpu/cpu_sketch.h"

namespace covey::agg {

// One thread's.
class BlockShares {
 public:
  explicit BlockShares(const Kernels& kernels) : kernels_(kernels) {}

  // Sums, squares and extremes of doubles that are not negative; for Kernels::moments.
  struct Moments {
    uint32_t column = 0;
    uint32_t members = 0;  // measures that may want them
    Folds folds;
    std::vector<RowSums> wanted;  // of this block
  };
  // Both live as long as this.
  SketchCounter& sketches(uint32_t column, uint32_t first_bucket, uint32_t buckets);
  Moments& moments(uint32_t column);

  // Does what is wanted of the rows [first, first + rows) of a row group.
  void finish_block(const ColumnStore& store, uint32_t tile, uint32_t first, uint32_t rows);

 private:
  const Kernels& kernels_;
  std::vector<std::unique_ptr<SketchCounter>> sketches_;
  std::vector<std::unique_ptr<Moments>> moments_;
};

}  // namespace covey::agg
