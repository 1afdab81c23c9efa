// The vector type of AVX-512, included inside an unnamed namespace by kernels_avx512*.cpp.

struct V {
  static constexpr size_t lanes = 8;
  static constexpr bool converts = true;
  using F = __m512d;
  using I = __m512i;
  using M = __mmask8;
  static M all() { return 0xff; }
  static M mask(const uint64_t* words, size_t row) {
    return reinterpret_cast<const uint8_t*>(words)[row / 8];
  }
  static I to_integer(F x) { return _mm512_cvtpd_epi64(x); }  // of whole numbers
  static I bits(F x) { return _mm512_castpd_si512(x); }
  static F set(double x) { return _mm512_set1_pd(x); }
  static F load(const double* at) { return _mm512_loadu_pd(at); }
  static F load(M m, const double* at) { return _mm512_maskz_mov_pd(m, _mm512_loadu_pd(at)); }
  static F add(F a, F b) { return _mm512_add_pd(a, b); }
  static F sub(F a, F b) { return _mm512_sub_pd(a, b); }
  static F mul(F a, F b) { return _mm512_mul_pd(a, b); }
  static F fms(F a, F b, F c) { return _mm512_fmsub_pd(a, b, c); }
  static F min(F a, F x) { return _mm512_min_pd(a, x); }
  static F max(F a, F x) { return _mm512_max_pd(a, x); }
  static F min(M m, F a, F x) { return _mm512_mask_min_pd(a, m, a, x); }
  static F max(M m, F a, F x) { return _mm512_mask_max_pd(a, m, a, x); }
  static I order(I x) {
    return _mm512_xor_si512(x, _mm512_or_si512(_mm512_srai_epi64(x, 63), seti(INT64_MIN)));
  }
  static I iota() { return _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7); }
  static I seti(int64_t x) { return _mm512_set1_epi64(x); }
  static I loadi(const int64_t* at) { return _mm512_loadu_si512(at); }
  static I loadi(M m, const int64_t* at) { return _mm512_maskz_loadu_epi64(m, at); }
  static I addi(I a, I b) { return _mm512_add_epi64(a, b); }
  static I addi(M m, I a, I b) { return _mm512_mask_add_epi64(a, m, a, b); }
  static uint64_t count(M m) { return static_cast<uint64_t>(__builtin_popcount(m)); }
  static I shift_left(I x, int bits) { return _mm512_slli_epi64(x, static_cast<unsigned>(bits)); }
  static I shift_right(I x, int bits) { return _mm512_srli_epi64(x, static_cast<unsigned>(bits)); }
  template <bool kLower, bool kUpper>
  static M within(F x, F lo, F hi) {
    if constexpr (!kUpper) return _mm512_cmp_pd_mask(x, lo, _CMP_GE_OQ);
    if constexpr (!kLower) return _mm512_cmp_pd_mask(x, hi, _CMP_LE_OQ);
    return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(x, lo, _CMP_GE_OQ), x, hi, _CMP_LE_OQ);
  }
  static I subi(I a, I b) { return _mm512_sub_epi64(a, b); }
  static I square(I x) { return _mm512_mul_epi32(x, x); }
  static I mini(M m, I a, I x) { return _mm512_mask_min_epi64(a, m, a, x); }
  static I maxi(M m, I a, I x) { return _mm512_mask_max_epi64(a, m, a, x); }
  static void store(int64_t* at, I x) { _mm512_storeu_si512(at, x); }
  static void store_low(uint32_t* at, I x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), _mm512_cvtepi64_epi32(x));
  }
  static int64_t total(I x) { return _mm512_reduce_add_epi64(x); }
  static double least(F x) { return _mm512_reduce_min_pd(x); }
  static double most(F x) { return _mm512_reduce_max_pd(x); }
  static int64_t leasti(I x) { return _mm512_reduce_min_epi64(x); }
  static int64_t mosti(I x) { return _mm512_reduce_max_epi64(x); }
  static uint64_t between(F x, F lo, F hi) {
    return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(x, lo, _CMP_GE_OQ), x, hi, _CMP_LE_OQ);
  }
  static uint64_t betweeni(I x, I lo, I hi) {
    return _mm512_mask_cmple_epi64_mask(_mm512_cmpge_epi64_mask(x, lo), x, hi);
  }
  static uint64_t equal_codes(const uint32_t* codes, uint32_t code) {
    const I wanted = _mm512_set1_epi32(static_cast<int>(code));
    uint64_t bits = 0;
    for (int i = 0; i < 64; i += 16) {
      bits |= static_cast<uint64_t>(_mm512_cmpeq_epi32_mask(_mm512_loadu_si512(codes + i), wanted)) << i;
    }
    return bits;
  }

#ifdef COVEY_AGG_INTEGER_SQUARES
  static constexpr bool integer_squares = true;
  // Toward zero: what is left of a positive number is positive.
  static F add_down(F a, F b) { return _mm512_add_round_pd(a, b, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
  static F magnitude(F x) { return _mm512_abs_pd(x); }
  // Plus the lower and upper 52 bits of the product of the 52-bit mantissas of a and b.
  static I add_low(I sum, F a, F b) { return _mm512_madd52lo_epu64(sum, bits(a), bits(b)); }
  static I add_high(I sum, F a, F b) { return _mm512_madd52hi_epu64(sum, bits(a), bits(b)); }
  static I add_low(M m, I sum, F a, F b) { return _mm512_mask_madd52lo_epu64(sum, m, bits(a), bits(b)); }
  static I add_high(M m, I sum, F a, F b) { return _mm512_mask_madd52hi_epu64(sum, m, bits(a), bits(b)); }
#else
  static constexpr bool integer_squares = false;
#endif
};
