#include "gpu/kernels.h"

namespace covey::agg {
namespace {

// One lane; the compiler may make more of it. fms is written out: without an FMA unit it is the library's,
// which is exact.
struct V {
  static constexpr bool integer_squares = false;
  static constexpr bool converts = false;
  static constexpr size_t lanes = 1;
  using F = double;
  using I = int64_t;
  using M = bool;
  static M all() { return true; }
  static M mask(const uint64_t* words, size_t row) { return ((words[row / 64] >> (row % 64)) & 1) != 0; }
  static F set(double x) { return x; }
  static F load(const double* at) { return *at; }
  static F load(M m, const double* at) { return m ? *at : 0; }
  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F fms(F a, F b, F c) { return __builtin_fma(a, b, -c); }
  static F min(F a, F x) { return x < a ? x : a; }
  static F max(F a, F x) { return x > a ? x : a; }
  static F min(M m, F a, F x) { return m && x < a ? x : a; }
  static F max(M m, F a, F x) { return m && x > a ? x : a; }
  static I bits(F x) { return static_cast<int64_t>(bits_of(x)); }
  static I order(I x) { return static_cast<I>(order_float(float_of(static_cast<uint64_t>(x)))); }
  static I seti(int64_t x) { return x; }
  static I iota() { return 0; }
  static I loadi(const int64_t* at) { return *at; }
  static I loadi(M m, const int64_t* at) { return m ? *at : 0; }
  // As the vectors' they wrap.
  static I addi(I a, I b) { return static_cast<I>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
  static I addi(M m, I a, I b) { return m ? addi(a, b) : a; }
  static uint64_t count(M m) { return m ? 1 : 0; }
  static I shift_left(I x, int bits) { return static_cast<I>(static_cast<uint64_t>(x) << bits); }
  static I shift_right(I x, int bits) { return static_cast<I>(static_cast<uint64_t>(x) >> bits); }
  template <bool kLower, bool kUpper>
  static M within(F x, F lo, F hi) {
    return (!kLower || x >= lo) && (!kUpper || x <= hi);
  }
  static I subi(I a, I b) { return static_cast<I>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b)); }
  static I square(I x) { return x * x; }
  static I mini(M m, I a, I x) { return m && x < a ? x : a; }
  static I maxi(M m, I a, I x) { return m && x > a ? x : a; }
  static void store(int64_t* at, I x) { *at = x; }
  static void store_low(uint32_t* at, I x) { *at = static_cast<uint32_t>(x); }
  static int64_t total(I x) { return x; }
  static double least(F x) { return x; }
  static double most(F x) { return x; }
  static int64_t leasti(I x) { return x; }
  static int64_t mosti(I x) { return x; }
  static uint64_t between(F x, F lo, F hi) { return (x >= lo) & (x <= hi); }
  static uint64_t betweeni(I x, I lo, I hi) { return (x >= lo) & (x <= hi); }
  static uint64_t equal_codes(const uint32_t* codes, uint32_t code) {
    uint64_t bits = 0;
    for (int i = 0; i < 64; ++i) bits |= uint64_t{codes[i] == code} << i;
    return bits;
  }
};

#include "gpu/kernels_body.h"

}  // namespace

const Kernels& scalar_kernels() {
  static const Kernels table{"scalar",    false,     floats,     nullptr, float_units, count_buckets, ints,
                             float_range, int_range, range_sums, finite,  count,       code_equal};
  return table;
}

}  // namespace covey::agg
