// Compiled with -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma; called only where the processor has them.
#include "gpu/kernels.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace covey::agg {

#ifdef __AVX512F__
namespace {

#include "gpu/avx512_vector.h"
#include "gpu/kernels_body.h"

}  // namespace

const Kernels* avx512_kernels() {
  static const Kernels table{"avx512",  V::integer_squares, floats,    nullptr,    float_units, count_buckets,
                             ints,      float_range,        int_range, range_sums, finite,      count,
                             code_equal};
  return &table;
}
#else
const Kernels* avx512_kernels() { return nullptr; }
#endif

}  // namespace covey::agg
