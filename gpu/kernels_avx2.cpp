// Compiled with -mavx2 -mfma; called only where the processor has both.
#include "gpu/kernels.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace covey::agg {

#ifdef __AVX2__
namespace {

struct V {
  static constexpr bool integer_squares = false;
  static constexpr bool converts = false;
  static constexpr size_t lanes = 4;
  using F = __m256d;
  using I = __m256i;
  using M = __m256i;  // all ones or zeros in each lane
  static M all() { return _mm256_set1_epi64x(-1); }
  static M mask(const uint64_t* words, size_t row) {
    const __m256i lane_bits = _mm256_setr_epi64x(1, 2, 4, 8);
    const auto bits = static_cast<int64_t>((words[row / 64] >> (row % 64)) & 15);
    return _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(bits), lane_bits), lane_bits);
  }
  static F as_f(I x) { return _mm256_castsi256_pd(x); }
  static I bits(F x) { return _mm256_castpd_si256(x); }
  static F set(double x) { return _mm256_set1_pd(x); }
  static F load(const double* at) { return _mm256_loadu_pd(at); }
  static F load(M m, const double* at) { return _mm256_and_pd(_mm256_loadu_pd(at), as_f(m)); }
  static F add(F a, F b) { return _mm256_add_pd(a, b); }
  static F sub(F a, F b) { return _mm256_sub_pd(a, b); }
  static F mul(F a, F b) { return _mm256_mul_pd(a, b); }
  static F fms(F a, F b, F c) { return _mm256_fmsub_pd(a, b, c); }
  static F min(F a, F x) { return _mm256_min_pd(a, x); }
  static F max(F a, F x) { return _mm256_max_pd(a, x); }
  static F min(M m, F a, F x) { return _mm256_blendv_pd(a, _mm256_min_pd(a, x), as_f(m)); }
  static F max(M m, F a, F x) { return _mm256_blendv_pd(a, _mm256_max_pd(a, x), as_f(m)); }
  static I order(I x) {
    const I flip = _mm256_or_si256(_mm256_cmpgt_epi64(_mm256_setzero_si256(), x), seti(INT64_MIN));
    return _mm256_xor_si256(x, flip);
  }
  static I iota() { return _mm256_setr_epi64x(0, 1, 2, 3); }
  static I seti(int64_t x) { return _mm256_set1_epi64x(x); }
  static I loadi(const int64_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }
  static I loadi(M m, const int64_t* at) { return _mm256_and_si256(loadi(at), m); }
  static I addi(I a, I b) { return _mm256_add_epi64(a, b); }
  static I addi(M m, I a, I b) { return _mm256_add_epi64(a, _mm256_and_si256(m, b)); }
  static uint64_t count(M m) {
    return static_cast<uint64_t>(__builtin_popcount(static_cast<unsigned>(_mm256_movemask_pd(as_f(m)))));
  }
  static I shift_left(I x, int bits) { return _mm256_slli_epi64(x, bits); }
  static I shift_right(I x, int bits) { return _mm256_srli_epi64(x, bits); }
  template <bool kLower, bool kUpper>
  static M within(F x, F lo, F hi) {
    if constexpr (!kUpper) return bits(_mm256_cmp_pd(x, lo, _CMP_GE_OQ));
    if constexpr (!kLower) return bits(_mm256_cmp_pd(x, hi, _CMP_LE_OQ));
    return bits(_mm256_and_pd(_mm256_cmp_pd(x, lo, _CMP_GE_OQ), _mm256_cmp_pd(x, hi, _CMP_LE_OQ)));
  }
  static I subi(I a, I b) { return _mm256_sub_epi64(a, b); }
  static I square(I x) { return _mm256_mul_epi32(x, x); }
  static I pick(M m, I a, I x) { return _mm256_blendv_epi8(a, x, m); }
  static I mini(M m, I a, I x) { return pick(_mm256_and_si256(m, _mm256_cmpgt_epi64(a, x)), a, x); }
  static I maxi(M m, I a, I x) { return pick(_mm256_and_si256(m, _mm256_cmpgt_epi64(x, a)), a, x); }
  static void store(int64_t* at, I x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), x); }
  static void store_low(uint32_t* at, I x) {
    const I low = _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm256_castsi256_si128(low));
  }
  static int64_t total(I x) {
    alignas(32) int64_t lane[4];
    store(lane, x);
    return lane[0] + lane[1] + lane[2] + lane[3];
  }
  static double least(F x) {
    alignas(32) double lane[4];
    _mm256_store_pd(lane, x);
    for (int i = 1; i < 4; ++i) lane[0] = lane[i] < lane[0] ? lane[i] : lane[0];
    return lane[0];
  }
  static double most(F x) { return -least(_mm256_sub_pd(_mm256_setzero_pd(), x)); }
  static int64_t leasti(I x) {
    alignas(32) int64_t lane[4];
    store(lane, x);
    for (int i = 1; i < 4; ++i) lane[0] = lane[i] < lane[0] ? lane[i] : lane[0];
    return lane[0];
  }
  static int64_t mosti(I x) { return ~leasti(_mm256_xor_si256(x, _mm256_set1_epi64x(-1))); }
  static uint64_t between(F x, F lo, F hi) {
    const F in = _mm256_and_pd(_mm256_cmp_pd(x, lo, _CMP_GE_OQ), _mm256_cmp_pd(x, hi, _CMP_LE_OQ));
    return static_cast<uint64_t>(_mm256_movemask_pd(in));
  }
  static uint64_t betweeni(I x, I lo, I hi) {
    const I out = _mm256_or_si256(_mm256_cmpgt_epi64(lo, x), _mm256_cmpgt_epi64(x, hi));
    return static_cast<uint64_t>(_mm256_movemask_pd(as_f(out))) ^ 15;
  }
  static uint64_t equal_codes(const uint32_t* codes, uint32_t code) {
    const I wanted = _mm256_set1_epi32(static_cast<int>(code));
    uint64_t bits = 0;
    for (int i = 0; i < 64; i += 8) {
      const I same =
          _mm256_cmpeq_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + i)), wanted);
      bits |= static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(same))))
              << i;
    }
    return bits;
  }
};

#include "gpu/kernels_body.h"

}  // namespace

const Kernels* avx2_kernels() {
  static const Kernels table{"avx2",      false,     floats,     nullptr, float_units, count_buckets, ints,
                             float_range, int_range, range_sums, finite,  count,       code_equal};
  return &table;
}
#else
const Kernels* avx2_kernels() { return nullptr; }
#endif

}  // namespace covey::agg
