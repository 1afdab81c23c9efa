#include "gpu/kernels.h"

namespace covey::agg {

const Kernels& kernels(int limit) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (limit >= 4 && avx512 && __builtin_cpu_supports("avx512ifma") && avx512_ifma_kernels() != nullptr) {
    return *avx512_ifma_kernels();
  }
  if (limit >= 3 && avx512 && avx512_kernels() != nullptr) return *avx512_kernels();
  if (limit >= 2 && avx2 && avx2_kernels() != nullptr) return *avx2_kernels();
#else
  static_cast<void>(limit);
#endif
  return scalar_kernels();
}

}  // namespace covey::agg
