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

namespace covey::agg {

inline constexpr size_t kBlockRows = 2048;
inline constexpr int kFastFolds = 3;  // sums of wider ranges go another way
inline constexpr int kSquareFolds = 2 * kFastFolds;

// What a block adds to one group; integers, in the units of the folds.
struct FloatSums {
  int64_t sum[kFastFolds] = {};
  int64_t squares[kSquareFolds] = {};
  double min = __builtin_inf();
  double max = -__builtin_inf();
};

struct IntSums {
  int64_t sum = 0;
  int64_t squares = 0;
  int64_t min = INT64_MAX;
  int64_t max = INT64_MIN;
};

struct Kernels {
  const char* name;

  // REQUIRES finite values under the mask, within the folds' ranges; 1 to kFastFolds folds for the sum and
  // twice as many for the squares. `needs` of kNeedSum, kNeedSquares, kNeedMinMax. Rows outside the mask may
  // hold anything.
  void (*floats)(const double* values, size_t rows, const uint64_t* mask, uint32_t needs, const Folds& sum,
                 const Folds& squares, FloatSums& into);
  // The units of each value, fold by fold: into[fold * kBlockRows + row].
  void (*float_units)(const double* values, size_t rows, const Folds& folds, int64_t* into);
  // REQUIRES |value| < 2^50; for squares below 2^25.
  void (*ints)(const int64_t* values, size_t rows, const uint64_t* mask, uint32_t needs, IntSums& into);

  // mask &= (lo <= value <= hi) == inside, by IEEE comparison.
  void (*float_range)(const double* values, size_t rows, double lo, double hi, bool inside, uint64_t* mask);
  void (*int_range)(const int64_t* values, size_t rows, int64_t lo, int64_t hi, bool inside, uint64_t* mask);
  // mask &= value is finite
  void (*finite)(const double* values, size_t rows, uint64_t* mask);
  // mask &= code is that one
  void (*code_equal)(const uint32_t* codes, size_t rows, uint32_t code, bool equal, uint64_t* mask);
};

// The fastest that this machine can run, up to a limit: 1 scalar, 2 AVX2, 3 AVX-512.
const Kernels& kernels(int limit);

const Kernels& scalar_kernels();
const Kernels* avx2_kernels();  // null: not built for this processor family
const Kernels* avx512_kernels();

}  // namespace covey::agg
