// The innermost loops of the CPU back end, compiled once for each instruction set. All give the same
// integers.
// No header of the standard library with inline functions is included: an instruction set's copy of one could
// become everybody's.
//
// Blocks are runs of at most kBlockRows rows, a multiple of 64; masks have a bit for each row, null means all
// rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/fold.h"
#include "gpu/needs.h"
#include "gpu/sketch.h"

namespace covey::agg {

inline constexpr size_t kBlockRows = 2048;
inline constexpr size_t kUnitRows = 512;  // at a time into units: they stay in the first cache
inline constexpr size_t kRangesAtOnce = 4;
inline constexpr uint32_t kUnwanted =
    8;  // places for what is not wanted: in one the additions would wait for each other
inline constexpr int kFastFolds = 3;  // sums of wider ranges go another way
inline constexpr int kSquareFolds = 2 * kFastFolds;
inline constexpr int kSquareParts = 12;  // of 6 products of 3 folds, two halves each

// What a block adds to one group; integers, in the units of the folds.
struct FloatSums {
  int64_t sum[kFastFolds] = {};
  // In the units of the folds of squares, or with Kernels::integer_squares as square_part() tells.
  int64_t squares[kSquareParts] = {};
  double min = __builtin_inf();
  double max = -__builtin_inf();
};

struct IntSums {
  int64_t sum = 0;
  int64_t squares = 0;
  int64_t min = INT64_MAX;
  int64_t max = INT64_MIN;
};

// With integer multiplication the squares are sums of products c[i] * c[j] of the units of |x| in the folds
// of the sum, in parts of 52 bits: part 2p is the lower, 2p + 1 the upper half of the product number p, (0,0)
// (0,1) (1,1) (0,2) (1,2) (2,2).
inline int square_parts(const Folds& sum) { return sum.count * (sum.count + 1); }
inline int square_part(const Folds& sum, int part) {
  const int firsts[6] = {0, 0, 1, 0, 1, 2};
  const int seconds[6] = {0, 1, 1, 2, 2, 2};
  const int i = firsts[part / 2];
  const int j = seconds[part / 2];
  return sum.unit(i) + sum.unit(j) + (i == j ? 0 : 1) + (part % 2) * 52;
}

// Rows of a block, and where their sums go.
struct RowSums {
  const uint64_t* mask = nullptr;  // null: all
  FloatSums* into = nullptr;
};

// Who wants a block's rows in their sketch.
inline constexpr size_t kSketchesTogether = 4;
struct BucketMasks {
  size_t count = 0;
  const uint64_t* masks[kSketchesTogether] = {};
  uint32_t steps[kSketchesTogether] = {};
  uint32_t always = 0;
  const uint64_t* any = nullptr;  // null: all rows
};

struct Kernels {
  const char* name;
  bool integer_squares;  // floats() needs no folds of squares

  // REQUIRES finite values under the mask, within the folds' ranges; 1 to kFastFolds folds for the sum and
  // twice as many for the squares. `needs` of kNeedSum, kNeedSquares, kNeedMinMax. Rows outside the mask may
  // hold anything.
  void (*floats)(const double* values, size_t rows, const uint64_t* mask, uint32_t needs, const Folds& sum,
                 const Folds& squares, FloatSums& into);
  // As `floats` with all needs, of several sets of rows. REQUIRES values under the masks that are not
  // negative, one or two folds. Null where the processor lacks integer multiplication: it would gain nothing.
  void (*moments)(const double* values, size_t rows, const Folds& folds, const RowSums* sets, size_t count);
  // The units of each value, fold by fold: into[fold * kUnitRows + row]. REQUIRES rows <= kUnitRows
  void (*float_units)(const double* values, size_t rows, const Folds& folds, int64_t* into);
  // Adds one to counts[place] for each row, where place is the sketch bucket (gpu/sketch.h) + `always` + the
  // steps of the masks that have the row, modulo 2^32; rows that `any` lacks count in one of the first
  // kUnwanted places. REQUIRES finite values under `any`.
  void (*count_buckets)(const double* values, size_t rows, const BucketMasks& wanted, uint32_t* counts);
  // REQUIRES |value| < 2^50; for squares below 2^25.
  void (*ints)(const int64_t* values, size_t rows, const uint64_t* mask, uint32_t needs, IntSums& into);

  // mask &= (lo <= value <= hi) == inside, by IEEE comparison.
  void (*float_range)(const double* values, size_t rows, double lo, double hi, bool inside, uint64_t* mask);
  void (*int_range)(const int64_t* values, size_t rows, int64_t lo, int64_t hi, bool inside, uint64_t* mask);
  // For each query: how many keys are within [lo, hi], and the units of those rows' values. REQUIRES no NaN;
  // `queries` a multiple of kRangesAtOnce (fill with lo = infinity); adds to counts[query] and sums[query *
  // kFastFolds + fold].
  void (*range_sums)(const double* keys, const double* values, size_t rows, const Folds& folds,
                     size_t queries, const double* lo, const double* hi, uint64_t* counts, int64_t* sums);
  // mask &= value is finite
  void (*finite)(const double* values, size_t rows, uint64_t* mask);
  // Bits that are set in so many words.
  uint32_t (*count)(const uint64_t* words, size_t words_count);
  // mask &= code is that one
  void (*code_equal)(const uint32_t* codes, size_t rows, uint32_t code, bool equal, uint64_t* mask);
};

// The fastest that this machine can run, up to a limit: 1 scalar, 2 AVX2, 3 AVX-512, 4 with its integer
// multiplication.
const Kernels& kernels(int limit);

const Kernels& scalar_kernels();
const Kernels* avx2_kernels();  // null: not built for this processor family
const Kernels* avx512_kernels();
const Kernels* avx512_ifma_kernels();

}  // namespace covey::agg
