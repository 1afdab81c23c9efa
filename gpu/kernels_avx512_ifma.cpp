// Compiled with -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx512ifma -mfma; called only where the
// processor has them. Squares of doubles are made of integer products, which takes half as many instructions.
#include "gpu/kernels.h"

#ifdef __AVX512IFMA__
#include <immintrin.h>
#endif

namespace covey::agg {

#ifdef __AVX512IFMA__
namespace {

#define COVEY_AGG_INTEGER_SQUARES
#include "gpu/avx512_vector.h"
#include "gpu/kernels_body.h"

}  // namespace

const Kernels* avx512_ifma_kernels() {
  static const Kernels table{"avx512 with integer multiplication",
                             V::integer_squares,
                             floats,
                             moments_together<V>,
                             float_units,
                             count_buckets,
                             ints,
                             float_range,
                             int_range,
                             range_sums,
                             finite,
                             count,
                             code_equal};
  return &table;
}
#else
const Kernels* avx512_ifma_kernels() { return nullptr; }
#endif

}  // namespace covey::agg
