// Included by each kernels_*.cpp, which defines the vector type `V` of its instruction set before, in an
// unnamed namespace: nothing here may be merged with another instruction set's copy.
//
// V has: lanes; F (doubles), I (64-bit integers), M (a mask of lanes); and the few operations used below.

template <int kCount>
inline void carry_out(const V::F (&sums)[kCount], const V::F (&anchors)[kCount], int64_t* into) {
  for (int f = 0; f < kCount; ++f) into[f] += V::total(V::subi(V::bits(sums[f]), V::bits(anchors[f])));
}

// One value into one set of folds from fold kFrom on; what the last fold leaves is zero.
template <int kFrom, int kCount>
inline void deposit(V::F value, V::F (&sums)[kCount]) {
  for (int f = kFrom; f < kCount; ++f) {
    const V::F total = V::add(sums[f], value);
    if (f + 1 < kCount) value = V::sub(value, V::sub(total, sums[f]));
    sums[f] = total;
  }
}

// Of the lower halves' sum, below 2^64 as an unsigned number, what is above 52 bits belongs to the upper
// ones.
inline void carry_product(uint64_t low, int64_t high, int64_t* into) {
  into[0] += static_cast<int64_t>(low & ((uint64_t{1} << 52) - 1));
  into[1] += static_cast<int64_t>(low >> 52) + high;
}

// The products of the units of |x|, in the order of square_part(); the anchors are 2^52 units, so that
// mantissas are units.
template <class W, int kFolds>
inline void deposit_products(typename W::F x, const typename W::F (&anchors)[2 * kFolds],
                             typename W::I (&parts)[kFolds * (kFolds + 1)]) {
  if constexpr (W::integer_squares) {
    typename W::F units[kFolds];
    x = W::magnitude(x);
    for (int f = 0; f < kFolds; ++f) {
      units[f] = W::add_down(anchors[f], x);
      if (f + 1 < kFolds) x = W::sub(x, W::sub(units[f], anchors[f]));
    }
    int part = 0;
    for (int second = 0; second < kFolds; ++second) {
      for (int first = 0; first <= second; ++first, part += 2) {
        parts[part] = W::add_low(parts[part], units[first], units[second]);
        parts[part + 1] = W::add_high(parts[part + 1], units[first], units[second]);
      }
    }
  }
}

template <int kFolds, bool kSum, bool kSquares, bool kMinMax, bool kMasked>
void floats_loop(const double* values, size_t rows, const uint64_t* mask, const Folds& sum_folds,
                 const Folds& square_folds, FloatSums& into) {
  constexpr int kChains = kSquares ? 2 : 4;  // independent ones, to hide the latency of additions
  V::F anchors[kFolds];
  V::F square_anchors[2 * kFolds];
  for (int f = 0; f < kFolds; ++f) anchors[f] = V::set(sum_folds.anchors[f]);
  constexpr bool kProducts = kSquares && V::integer_squares;
  for (int f = 0; f < 2 * kFolds; ++f) {
    square_anchors[f] = V::set(!kSquares   ? 0
                               : kProducts ? sum_folds.anchors[f % kFolds] / 1.5
                                           : square_folds.anchors[f]);
  }
  V::F sums[kChains][kFolds];
  V::F squares[kChains][2 * kFolds];
  V::I products[kChains][kFolds * (kFolds + 1)];
  V::F least[kChains];
  V::F most[kChains];
  for (int c = 0; c < kChains; ++c) {
    for (int f = 0; f < kFolds; ++f) sums[c][f] = anchors[f];
    for (int f = 0; f < 2 * kFolds; ++f) squares[c][f] = square_anchors[f];
    for (auto& product : products[c]) product = V::seti(0);
    least[c] = V::set(into.min);
    most[c] = V::set(into.max);
  }
  for (size_t word = 0; word < rows / 64; ++word) {
    if (kMasked && mask[word] == 0) continue;
    for (size_t at = 0; at < 64; at += V::lanes * kChains) {
      for (int c = 0; c < kChains; ++c) {
        const size_t row = word * 64 + at + static_cast<size_t>(c) * V::lanes;
        V::F x;
        if constexpr (kMasked) {
          const V::M m = V::mask(mask, row);
          x = V::load(m, values + row);
          if constexpr (kMinMax) {
            least[c] = V::min(m, least[c], x);
            most[c] = V::max(m, most[c], x);
          }
        } else {
          x = V::load(values + row);
          if constexpr (kMinMax) {
            least[c] = V::min(least[c], x);
            most[c] = V::max(most[c], x);
          }
        }
        if constexpr (kSum) deposit<0>(x, sums[c]);
        if constexpr (kProducts) {
          deposit_products<V, kFolds>(x, square_anchors, products[c]);
        } else if constexpr (kSquares) {
          const V::F product = V::mul(x, x);
          const V::F rest = V::fms(x, x, product);  // exact: x * x = product + rest
          deposit<0>(product, squares[c]);
          deposit<1>(rest, squares[c]);
        }
      }
    }
  }
  for (int c = 0; c < kChains; ++c) {
    if constexpr (kSum) carry_out(sums[c], anchors, into.sum);
    if constexpr (kProducts) {
      for (int p = 0; p < kFolds * (kFolds + 1); p += 2) {
        carry_product(static_cast<uint64_t>(V::total(products[c][p])), V::total(products[c][p + 1]),
                      into.squares + p);
      }
    } else if constexpr (kSquares) {
      carry_out(squares[c], square_anchors, into.squares);
    }
    if constexpr (kMinMax) {
      into.min = V::least(least[c]) < into.min ? V::least(least[c]) : into.min;
      into.max = V::most(most[c]) > into.max ? V::most(most[c]) : into.max;
    }
  }
}

template <int kFolds, bool kMasked>
void floats_folds(const double* values, size_t rows, const uint64_t* mask, uint32_t needs,
                  const Folds& sum_folds, const Folds& square_folds, FloatSums& into) {
  if (needs & kNeedSquares) {
    floats_loop<kFolds, true, true, true, kMasked>(values, rows, mask, sum_folds, square_folds, into);
  } else if (!(needs & kNeedMinMax)) {
    floats_loop<kFolds, true, false, false, kMasked>(values, rows, mask, sum_folds, square_folds, into);
  } else if (needs & kNeedSum) {
    floats_loop<kFolds, true, false, true, kMasked>(values, rows, mask, sum_folds, square_folds, into);
  } else {
    floats_loop<kFolds, false, false, true, kMasked>(values, rows, mask, sum_folds, square_folds, into);
  }
}

void floats(const double* values, size_t rows, const uint64_t* mask, uint32_t needs, const Folds& sum_folds,
            const Folds& square_folds, FloatSums& into) {
  const auto loop = [&]<int kFolds>() {
    mask == nullptr ? floats_folds<kFolds, false>(values, rows, mask, needs, sum_folds, square_folds, into)
                    : floats_folds<kFolds, true>(values, rows, mask, needs, sum_folds, square_folds, into);
  };
  switch (sum_folds.count) {
    case 1:
      return loop.template operator()<1>();
    case 2:
      return loop.template operator()<2>();
    default:
      return loop.template operator()<3>();
  }
}

template <int kFolds>
void units_loop(const double* values, size_t rows, const Folds& folds, int64_t* into) {
  V::F anchors[kFolds];
  for (int f = 0; f < kFolds; ++f) anchors[f] = V::set(folds.anchors[f]);
  for (size_t row = 0; row < rows; row += V::lanes) {
    // Columns are read in turns, block by block, which the processor does not foresee.
    if (row % 8 == 0) __builtin_prefetch(values + row + kBlockRows);
    V::F x = V::load(values + row);
    for (int f = 0; f < kFolds; ++f) {
      const V::F total = V::add(anchors[f], x);
      V::store(into + static_cast<size_t>(f) * kUnitRows + row, V::subi(V::bits(total), V::bits(anchors[f])));
      if (f + 1 < kFolds) x = V::sub(x, V::sub(total, anchors[f]));
    }
  }
}

void float_units(const double* values, size_t rows, const Folds& folds, int64_t* into) {
  switch (folds.count) {
    case 1:
      return units_loop<1>(values, rows, folds, into);
    case 2:
      return units_loop<2>(values, rows, folds, into);
    default:
      return units_loop<3>(values, rows, folds, into);
  }
}

#include "gpu/kernels_moments.h"
#include "gpu/kernels_sketch.h"

template <int kLimbs, bool kLower, bool kUpper>
void range_sums_loop(const double* keys, const int64_t* units, size_t rows, const double* lo,
                     const double* hi, uint64_t* counts, int64_t* sums) {
  V::F low[kRangesAtOnce];
  V::F high[kRangesAtOnce];
  V::I total[kRangesAtOnce][kLimbs];
  uint64_t found[kRangesAtOnce] = {};
  for (size_t q = 0; q < kRangesAtOnce; ++q) {
    low[q] = V::set(lo[q]);
    high[q] = V::set(hi[q]);
    for (int f = 0; f < kLimbs; ++f) total[q][f] = V::seti(0);
  }
  for (size_t row = 0; row < rows; row += V::lanes) {
    const V::F key = V::load(keys + row);
    V::I unit[kLimbs];
    for (int f = 0; f < kLimbs; ++f) unit[f] = V::loadi(units + static_cast<size_t>(f) * kUnitRows + row);
    for (size_t q = 0; q < kRangesAtOnce; ++q) {
      const V::M m = V::template within<kLower, kUpper>(key, low[q], high[q]);
      found[q] += V::count(m);
      for (int f = 0; f < kLimbs; ++f) total[q][f] = V::addi(m, total[q][f], unit[f]);
    }
  }
  for (size_t q = 0; q < kRangesAtOnce; ++q) {
    counts[q] += found[q];
    for (int f = 0; f < kLimbs; ++f) sums[q * kLimbs + static_cast<size_t>(f)] += V::total(total[q][f]);
  }
}

// For joined units, to each of which kCountUnit was added: what is added up tells how many there were, too.
constexpr int kCountShift = 59;
constexpr int64_t kCountUnit = int64_t{1} << kCountShift;
constexpr size_t kCounted = 16;  // their units' sum stays within 2^58

template <bool kLower, bool kUpper>
void counted_sums_loop(const double* keys, const int64_t* units, size_t rows, const double* lo,
                       const double* hi, uint64_t* counts, int64_t* sums) {
  V::F low[kRangesAtOnce];
  V::F high[kRangesAtOnce];
  V::I found[kRangesAtOnce];
  V::I total[kRangesAtOnce];
  for (size_t q = 0; q < kRangesAtOnce; ++q) {
    low[q] = V::set(lo[q]);
    high[q] = V::set(hi[q]);
    found[q] = total[q] = V::seti(0);
  }
  const V::I half = V::seti(kCountUnit / 2);
  for (size_t first = 0; first < rows; first += V::lanes * kCounted) {
    V::I some[kRangesAtOnce];
    for (auto& one : some) one = V::seti(0);
    const size_t end = first + V::lanes * kCounted < rows ? first + V::lanes * kCounted : rows;
    for (size_t row = first; row < end; row += V::lanes) {
      const V::F key = V::load(keys + row);
      const V::I unit = V::loadi(units + row);
      for (size_t q = 0; q < kRangesAtOnce; ++q)
        some[q] = V::addi(V::template within<kLower, kUpper>(key, low[q], high[q]), some[q], unit);
    }
    for (size_t q = 0; q < kRangesAtOnce; ++q) {
      const V::I count = V::shift_right(V::addi(some[q], half), kCountShift);
      found[q] = V::addi(found[q], count);
      total[q] = V::addi(total[q], V::subi(some[q], V::shift_left(count, kCountShift)));
    }
  }
  for (size_t q = 0; q < kRangesAtOnce; ++q) {
    counts[q] += static_cast<uint64_t>(V::total(found[q]));
    sums[q] += V::total(total[q]);
  }
}

// Four ranges over some rows; adds to sums[q * kLimbs + limb]. counted: the units have kCountUnit.
template <int kLimbs>
void four_ranges(const double* keys, const int64_t* units, size_t rows, const double* lo, const double* hi,
                 bool counted, uint64_t* counts, int64_t* sums) {
  bool lower = false;
  bool upper = false;
  for (size_t i = 0; i < kRangesAtOnce; ++i) {
    lower = lower || lo[i] > -__builtin_inf();
    upper = upper || hi[i] < __builtin_inf();
  }
  const auto loop = [&]<bool kLower, bool kUpper>() {
    if constexpr (kLimbs == 1) {
      if (counted) return counted_sums_loop<kLower, kUpper>(keys, units, rows, lo, hi, counts, sums);
    }
    range_sums_loop<kLimbs, kLower, kUpper>(keys, units, rows, lo, hi, counts, sums);
  };
  if (lower && upper) {
    loop.template operator()<true, true>();
  } else if (lower) {
    loop.template operator()<true, false>();
  } else {
    loop.template operator()<false, true>();
  }
}

// Values of at most 54 bits in two folds: both units as one integer, in units of 2^(high - 54), with
// kCountUnit; the sum of kUnitRows of them without it stays below 2^63. The second unit is a multiple of
// 2^26.
inline void join_units(int64_t* units, size_t rows) {
  const V::I offset = V::seti(int64_t{1} << 62);  // makes it positive for the shift
  const V::I shifted_offset = V::seti(int64_t{1} << 36);
  for (size_t row = 0; row < rows; row += V::lanes) {
    const V::I first = V::shift_left(V::loadi(units + row), 14);
    const V::I second =
        V::subi(V::shift_right(V::addi(V::loadi(units + kUnitRows + row), offset), 26), shifted_offset);
    V::store(units + row, V::addi(V::addi(first, second), V::seti(kCountUnit)));
  }
}

// The same at once, where the processor can: the product with a power of two is exact, and whole.
template <class W>
inline void whole_units(const double* values, size_t rows, double scale, int64_t* units) {
  if constexpr (W::converts) {
    const typename W::F factor = W::set(scale);
    for (size_t row = 0; row < rows; row += W::lanes) {
      W::store(units + row,
               W::addi(W::to_integer(W::mul(W::load(values + row), factor)), W::seti(kCountUnit)));
    }
  }
}

constexpr size_t kAheadRows = 2 * kUnitRows;

template <int kFolds>
void range_sums_folds(const double* keys, const double* values, size_t rows, const Folds& folds,
                      size_t queries, const double* lo, const double* hi, uint64_t* counts, int64_t* sums) {
  alignas(64) int64_t units[kFolds * kUnitRows];
  const bool joined = kFolds == 2 && folds.high - folds.low <= 54;
  for (size_t first = 0; first < rows; first += kUnitRows) {
    const size_t count = rows - first < kUnitRows ? rows - first : kUnitRows;
    if (joined && V::converts && folds.high > -900) {
      whole_units<V>(values + first, count, power_of_two(54 - folds.high), units);
    } else {
      units_loop<kFolds>(values + first, count, folds, units);
      if (joined) join_units(units, count);
    }
    for (size_t q = 0; q < queries; q += kRangesAtOnce) {
      int64_t limbs[kRangesAtOnce * kFolds] = {};
      if (joined) {
        four_ranges<1>(keys + first, units, count, lo + q, hi + q, true, counts + q, limbs);
      } else {
        four_ranges<kFolds>(keys + first, units, count, lo + q, hi + q, false, counts + q, limbs);
      }
      // A part of what comes next, so that memory is read while there is much to be computed.
      for (size_t row = count * q / queries; row < count * (q + kRangesAtOnce) / queries; row += 8) {
        __builtin_prefetch(keys + first + row + kAheadRows);
        if (keys != values) __builtin_prefetch(values + first + row + kAheadRows);
      }
      for (size_t i = 0; i < kRangesAtOnce; ++i) {
        int64_t* into = sums + (q + i) * kFastFolds;
        if (joined) {
          into[0] += limbs[i] >> 14;
          into[1] += (limbs[i] & 0x3fff) << 26;
        } else {
          for (int f = 0; f < kFolds; ++f) into[f] += limbs[i * kFolds + static_cast<size_t>(f)];
        }
      }
    }
  }
}

void range_sums(const double* keys, const double* values, size_t rows, const Folds& folds, size_t queries,
                const double* lo, const double* hi, uint64_t* counts, int64_t* sums) {
  switch (folds.count) {
    case 1:
      return range_sums_folds<1>(keys, values, rows, folds, queries, lo, hi, counts, sums);
    case 2:
      return range_sums_folds<2>(keys, values, rows, folds, queries, lo, hi, counts, sums);
    default:
      return range_sums_folds<3>(keys, values, rows, folds, queries, lo, hi, counts, sums);
  }
}

template <bool kSquares, bool kMinMax, bool kMasked>
void ints_loop(const int64_t* values, size_t rows, const uint64_t* mask, IntSums& into) {
  constexpr int kChains = 4;
  V::I sums[kChains];
  V::I squares[kChains];
  V::I least[kChains];
  V::I most[kChains];
  for (int c = 0; c < kChains; ++c) {
    sums[c] = squares[c] = V::seti(0);
    least[c] = V::seti(into.min);
    most[c] = V::seti(into.max);
  }
  for (size_t word = 0; word < rows / 64; ++word) {
    if (kMasked && mask[word] == 0) continue;
    for (size_t at = 0; at < 64; at += V::lanes * kChains) {
      for (int c = 0; c < kChains; ++c) {
        const size_t row = word * 64 + at + static_cast<size_t>(c) * V::lanes;
        V::I x;
        if constexpr (kMasked) {
          const V::M m = V::mask(mask, row);
          x = V::loadi(m, values + row);
          if constexpr (kMinMax) {
            least[c] = V::mini(m, least[c], x);
            most[c] = V::maxi(m, most[c], x);
          }
        } else {
          x = V::loadi(values + row);
          if constexpr (kMinMax) {
            least[c] = V::mini(V::all(), least[c], x);
            most[c] = V::maxi(V::all(), most[c], x);
          }
        }
        sums[c] = V::addi(sums[c], x);
        if constexpr (kSquares) squares[c] = V::addi(squares[c], V::square(x));
      }
    }
  }
  for (int c = 0; c < kChains; ++c) {
    into.sum += V::total(sums[c]);
    if constexpr (kSquares) into.squares += V::total(squares[c]);
    if constexpr (kMinMax) {
      into.min = V::leasti(least[c]) < into.min ? V::leasti(least[c]) : into.min;
      into.max = V::mosti(most[c]) > into.max ? V::mosti(most[c]) : into.max;
    }
  }
}

void ints(const int64_t* values, size_t rows, const uint64_t* mask, uint32_t needs, IntSums& into) {
  const bool masked = mask != nullptr;
  if (needs & kNeedSquares) {
    masked ? ints_loop<true, true, true>(values, rows, mask, into)
           : ints_loop<true, true, false>(values, rows, mask, into);
  } else if (needs & kNeedMinMax) {
    masked ? ints_loop<false, true, true>(values, rows, mask, into)
           : ints_loop<false, true, false>(values, rows, mask, into);
  } else {
    masked ? ints_loop<false, false, true>(values, rows, mask, into)
           : ints_loop<false, false, false>(values, rows, mask, into);
  }
}

void float_range(const double* values, size_t rows, double lo, double hi, bool inside, uint64_t* mask) {
  const V::F low = V::set(lo);
  const V::F high = V::set(hi);
  const uint64_t flip = inside ? 0 : ~uint64_t{0};
  for (size_t word = 0; word < rows / 64; ++word) {
    if (mask[word] == 0) continue;
    uint64_t bits = 0;
    for (size_t at = 0; at < 64; at += V::lanes) {
      bits |= V::between(V::load(values + word * 64 + at), low, high) << at;
    }
    mask[word] &= bits ^ flip;
  }
}

void int_range(const int64_t* values, size_t rows, int64_t lo, int64_t hi, bool inside, uint64_t* mask) {
  const V::I low = V::seti(lo);
  const V::I high = V::seti(hi);
  const uint64_t flip = inside ? 0 : ~uint64_t{0};
  for (size_t word = 0; word < rows / 64; ++word) {
    if (mask[word] == 0) continue;
    uint64_t bits = 0;
    for (size_t at = 0; at < 64; at += V::lanes) {
      bits |= V::betweeni(V::loadi(values + word * 64 + at), low, high) << at;
    }
    mask[word] &= bits ^ flip;
  }
}

void finite(const double* values, size_t rows, uint64_t* mask) {
  float_range(values, rows, -__DBL_MAX__, __DBL_MAX__, true, mask);
}

uint32_t count(const uint64_t* words, size_t words_count) {
  uint64_t bits = 0;
  for (size_t i = 0; i < words_count; ++i) bits += static_cast<uint64_t>(__builtin_popcountll(words[i]));
  return static_cast<uint32_t>(bits);
}

void code_equal(const uint32_t* codes, size_t rows, uint32_t code, bool equal, uint64_t* mask) {
  const uint64_t flip = equal ? 0 : ~uint64_t{0};
  for (size_t word = 0; word < rows / 64; ++word) {
    if (mask[word] == 0) continue;
    mask[word] &= V::equal_codes(codes + word * 64, code) ^ flip;
  }
}
