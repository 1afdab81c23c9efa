// Sketches of one column for several selections at once. Counting is the dear part of a sketch, an addition
// in memory for each row; here a row is counted once, by its bucket and by which of the selections want it.
#pragma once

#include <vector>

#include "gpu/kernels.h"

namespace covey::agg {

// One thread's, for the doubles of one column without groups.
class SketchCounter {
 public:
  // Buckets are [first, first + buckets), as the zone maps tell. So many rows are counted in 32 bits at most;
  // then the counts are carried.
  SketchCounter(const Kernels& kernels, uint32_t column, uint32_t first, uint32_t buckets,
                uint64_t rows_max = UINT32_MAX);

  uint32_t column() const { return column_; }
  // One more selection; answers its number.
  uint32_t enlist();
  // This one wants these rows of the block that is counted next; null: all. They hold finite values, and the
  // mask stays as it is until then.
  void want(uint32_t member, const uint64_t* mask);
  // The block's values, `rows` of them: at most kBlockRows, a multiple of 64. Nobody wants anything
  // afterwards.
  void count(const double* values, uint32_t rows);
  // What was counted for this one, by bucket from the first, is added there.
  void add_to(uint32_t member, uint64_t* counts) const;

 private:
  // As many as can be counted together. A row's place is that of its bucket in the table of those who want
  // it.
  struct Set {
    uint32_t members = 0;
    uint64_t rows = 0;  // counted since the small counts were carried
    BucketMasks wanted;
    bool all = false;  // wanted by one of them
    std::vector<uint32_t> counts;
    std::vector<uint64_t> carried;
  };
  void count(Set& set, const double* values, uint32_t rows);
  void carry(Set& set);

  const Kernels& kernels_;
  const uint32_t column_;
  const uint32_t first_;
  const uint32_t buckets_;
  const uint64_t rows_max_;
  uint32_t together_;
  std::vector<Set> sets_;
};

}  // namespace covey::agg
