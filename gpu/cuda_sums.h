// How one thread adds a value to the words of its group: exact sums, squares, extremes.
#pragma once

#include "gpu/cuda_rows.h"
#include "gpu/int128.h"
#include "gpu/needs.h"

namespace covey::agg::cuda {

inline constexpr int kWorkFolds = 3;  // wider ranges go row by row

// Where a thread finds the words of groups.
template <Tier kTier, class B>
struct Sink {
  B& block;
  uint64_t* words;
  uint32_t width;
  uint32_t thread;

  COVEY_AGG_KERNEL uint64_t* at(uint32_t group, uint32_t word) const {
    if constexpr (kTier == Tier::kAlone) {
      return words + uint64_t{word} * kThreads + thread;
    } else if constexpr (kTier == Tier::kPrivate) {
      return words + (uint64_t{group} * width + word) * kThreads + thread;
    } else {
      return words + uint64_t{group} * width + word;
    }
  }
  COVEY_AGG_KERNEL void add(uint32_t group, uint32_t word, int64_t value) const {
    uint64_t* const place = at(group, word);
    const auto bits = static_cast<uint64_t>(value);
    if constexpr (kTier == Tier::kAlone || kTier == Tier::kPrivate) {
      *place += bits;
    } else if (bits == 0) {
      return;
    } else if constexpr (kTier == Tier::kShared) {
      // As two additions of 32 bits with the carry: shared memory has no other that is fast.
      auto* const halves = reinterpret_cast<uint32_t*>(place);
      const auto low = static_cast<uint32_t>(bits);
      const uint32_t before = low == 0 ? 0 : block.add32(halves, low);
      const uint32_t high = static_cast<uint32_t>(bits >> 32) + (before + low < before ? 1 : 0);
      if (high != 0) block.add32(halves + 1, high);
    } else {
      block.add(place, bits);
    }
  }
  COVEY_AGG_KERNEL void most(uint32_t group, uint32_t word, uint64_t value) const {
    uint64_t* const place = at(group, word);
    if (*place >= value) return;
    if constexpr (kTier == Tier::kAlone || kTier == Tier::kPrivate) {
      *place = value;
    } else {
      block.most(place, value);
    }
  }
};

// The 32-bit parts of a magnitude at 2^shift, shift < 32, from a word on.
template <class S>
COVEY_AGG_KERNEL void add_parts(const S& sink, uint32_t group, uint32_t word, Uint128 magnitude,
                                uint32_t shift, bool negative) {
  const auto low = static_cast<uint64_t>(magnitude);
  const auto high = static_cast<uint64_t>(magnitude >> 64);
  const uint32_t whole[4] = {static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32),
                             static_cast<uint32_t>(high), static_cast<uint32_t>(high >> 32)};
  COVEY_AGG_UNROLL
  for (uint32_t i = 0; i < 5; ++i) {
    const uint64_t upper = i < 4 ? uint64_t{whole[i < 4 ? i : 0]} << shift : 0;
    const uint64_t lower = i > 0 ? uint64_t{whole[i > 0 ? i - 1 : 0]} << shift >> 32 : 0;
    const auto part = static_cast<int64_t>(static_cast<uint32_t>(upper) | lower);
    if (part != 0) sink.add(group, word + i, negative ? -part : part);
  }
}

// A double of any range into words of 32 bits.
template <class S>
COVEY_AGG_KERNEL void add_limbs(const S& sink, uint32_t group, const SumWords& sum, double value,
                                bool square) {
  if (value == 0) return;
  const Scaled parts = scaled(value);
  const bool negative = parts.mantissa < 0;
  Uint128 magnitude = static_cast<uint64_t>(negative ? -parts.mantissa : parts.mantissa);
  int at = parts.exponent;
  if (square) {
    magnitude *= magnitude;
    at *= 2;
  }
  at -= sum.base;
  if (at < 0) {  // the bits below the base are zero
    magnitude >>= -at;
    at = 0;
  }
  add_parts(sink, group, sum.word + static_cast<uint32_t>(at / 32), magnitude, static_cast<uint32_t>(at % 32),
            negative && !square);
}

template <class S>
COVEY_AGG_KERNEL void add_folds(const S& sink, uint32_t group, const SumWords& sum, double value, int from) {
  COVEY_AGG_UNROLL
  for (int f = 0; f < kFoldsMax; ++f) {
    if (f < from) continue;
    if (f >= sum.folds.count) break;
    const double total = sum.folds.anchors[f] + value;
    sink.add(group, sum.word + static_cast<uint32_t>(f),
             static_cast<int64_t>(bits_of(total) - bits_of(sum.folds.anchors[f])));
    value -= total - sum.folds.anchors[f];
  }
}

COVEY_AGG_KERNEL uint64_t magnitude_of(int64_t value) {
  return value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
}

// One value of a row, any form. REQUIRES it is finite
template <class S>
COVEY_AGG_KERNEL void add_value(const S& sink, const Measure& measure, uint32_t group, uint64_t bits) {
  const double real = float_of(bits);
  const auto integer = static_cast<int64_t>(bits);
  const SumWords& sum = measure.sum;
  const SumWords& squares = measure.squares;
  if (sum.form == SumForm::kFolds) {
    add_folds(sink, group, sum, real, 0);
  } else if (sum.form == SumForm::kLimbs) {
    add_limbs(sink, group, sum, real, false);
  } else if (sum.form == SumForm::kInts && sum.count == 1) {
    sink.add(group, sum.word, integer);
  } else if (sum.form == SumForm::kInts) {
    sink.add(group, sum.word, static_cast<int64_t>(bits & UINT32_MAX));
    sink.add(group, sum.word + 1, integer >> 32);
  }
  if (squares.form == SumForm::kFolds) {
    const double product = real * real;
    add_folds(sink, group, squares, product, 0);
    add_folds(sink, group, squares, __builtin_fma(real, real, -product), 1);  // exact: the rest of the square
  } else if (squares.form == SumForm::kLimbs) {
    add_limbs(sink, group, squares, real, true);
  } else if (squares.form == SumForm::kInts && squares.count == 1) {
    sink.add(group, squares.word, integer * integer);
  } else if (squares.form == SumForm::kInts) {
    const Uint128 magnitude = magnitude_of(integer);
    add_parts(sink, group, squares.word, magnitude * magnitude, 0, false);
  }
  const uint64_t key = key_of_bits(bits, measure.flip);
  if (measure.least != kNothing) sink.most(group, measure.least, ~key);
  if (measure.most != kNothing) sink.most(group, measure.most, key);
}

// Arrays have one element at least.
constexpr int room_for(int count) { return count < 1 ? 1 : count; }

// The usual forms, one group: what a thread keeps in registers. take() is given each row; `use` says whether
// it counts.
template <int kFolds, bool kSquares, bool kExtremes>
struct FloatWork {
  int64_t sum[room_for(kFolds)] = {};
  int64_t squares[room_for(kSquares ? 2 * kFolds : 0)] = {};
  uint64_t least = 0, most = 0;

  COVEY_AGG_KERNEL void take(const Measure& measure, bool use, uint64_t bits) {
    double x = float_of(use ? bits : 0);
    if constexpr (kExtremes) {
      const uint64_t key = key_of_bits(bits, kFlipFloat);
      least = use && ~key > least ? ~key : least;
      most = use && key > most ? key : most;
    }
    if constexpr (kSquares) {
      const double product = x * x;
      deposit<0>(measure.squares.folds, product);
      deposit<1>(measure.squares.folds, __builtin_fma(x, x, -product));
    }
    COVEY_AGG_UNROLL
    for (int f = 0; f < kFolds; ++f) {
      const double anchor = measure.sum.folds.anchors[f];
      const double total = anchor + x;
      sum[f] += static_cast<int64_t>(bits_of(total) - bits_of(anchor));
      x -= total - anchor;
    }
  }
  template <class S>
  COVEY_AGG_KERNEL void store(const S& sink, const Measure& measure) const {
    COVEY_AGG_UNROLL
    for (int f = 0; f < kFolds; ++f) sink.add(0, measure.sum.word + static_cast<uint32_t>(f), sum[f]);
    if constexpr (kSquares) {
      COVEY_AGG_UNROLL
      for (int f = 0; f < 2 * kFolds; ++f)
        sink.add(0, measure.squares.word + static_cast<uint32_t>(f), squares[f]);
    }
    if (kExtremes && measure.least != kNothing) {
      sink.most(0, measure.least, least);
      sink.most(0, measure.most, most);
    }
  }

 private:
  template <int kFrom>
  COVEY_AGG_KERNEL void deposit(const Folds& folds, double x) {
    COVEY_AGG_UNROLL
    for (int f = kFrom; f < 2 * kFolds; ++f) {
      const double anchor = folds.anchors[f];
      const double total = anchor + x;
      squares[f] += static_cast<int64_t>(bits_of(total) - bits_of(anchor));
      x -= total - anchor;
    }
  }
};

// kParts: words of the sum; kSquares: of the squares (1: below 2^40, 2: below 2^64, 4).
template <int kParts, int kSquares, bool kExtremes>
struct IntWork {
  int64_t sum[room_for(kParts)] = {};
  int64_t squares[room_for(kSquares)] = {};
  uint64_t least = 0, most = 0;

  COVEY_AGG_KERNEL void take(const Measure&, bool use, uint64_t bits) {
    if constexpr (kExtremes) {
      const uint64_t key = key_of_bits(bits, kFlipInt);
      least = use && ~key > least ? ~key : least;
      most = use && key > most ? key : most;
    }
    bits = use ? bits : 0;
    const auto value = static_cast<int64_t>(bits);
    if constexpr (kParts == 1) {
      sum[0] += value;
    } else if constexpr (kParts == 2) {
      sum[0] += static_cast<int64_t>(bits & UINT32_MAX);
      sum[1] += value >> 32;
    }
    if constexpr (kSquares == 1) {
      squares[0] += value * value;
    } else if constexpr (kSquares == 2) {
      const uint64_t square = bits * bits;
      squares[0] += static_cast<int64_t>(square & UINT32_MAX);
      squares[1] += static_cast<int64_t>(square >> 32);
    } else if constexpr (kSquares == 4) {
      const Uint128 square = static_cast<Uint128>(magnitude_of(value)) * magnitude_of(value);
      COVEY_AGG_UNROLL
      for (int i = 0; i < 4; ++i)
        squares[i] += static_cast<int64_t>(static_cast<uint32_t>(square >> (32 * i)));
    }
  }
  template <class S>
  COVEY_AGG_KERNEL void store(const S& sink, const Measure& measure) const {
    COVEY_AGG_UNROLL
    for (int i = 0; i < kParts; ++i) sink.add(0, measure.sum.word + static_cast<uint32_t>(i), sum[i]);
    COVEY_AGG_UNROLL
    for (int i = 0; i < kSquares; ++i)
      sink.add(0, measure.squares.word + static_cast<uint32_t>(i), squares[i]);
    if (kExtremes && measure.least != kNothing) {
      sink.most(0, measure.least, least);
      sink.most(0, measure.most, most);
    }
  }
};

// Calls action with the work that suits the measure; false: none does, it goes row by row.
template <class Action>
COVEY_AGG_KERNEL bool with_work(const Measure& measure, Action&& action) {
  const SumWords& sum = measure.sum;
  const SumWords& squares = measure.squares;
  const bool extremes = measure.least != kNothing;
  if (measure.is_float != 0) {
    if (sum.form == SumForm::kNone && squares.form == SumForm::kNone) {
      if (!extremes) return false;
      action(FloatWork<0, false, true>{});
      return true;
    }
    if (sum.form != SumForm::kFolds || sum.folds.count > kWorkFolds) return false;
    const bool squared = squares.form == SumForm::kFolds;
    if (!squared && squares.form != SumForm::kNone) return false;
    switch (sum.folds.count * 3 + (squared ? 2 : extremes ? 1 : 0)) {
      case 3:
        action(FloatWork<1, false, false>{});
        return true;
      case 4:
        action(FloatWork<1, false, true>{});
        return true;
      case 5:
        action(FloatWork<1, true, true>{});
        return true;
      case 6:
        action(FloatWork<2, false, false>{});
        return true;
      case 7:
        action(FloatWork<2, false, true>{});
        return true;
      case 8:
        action(FloatWork<2, true, true>{});
        return true;
      case 9:
        action(FloatWork<3, false, false>{});
        return true;
      case 10:
        action(FloatWork<3, false, true>{});
        return true;
      default:
        action(FloatWork<3, true, true>{});
        return true;
    }
  }
  switch (squares.count * 8 + sum.count * 2 + (extremes ? 1 : 0)) {
    case 1:
      action(IntWork<0, 0, true>{});
      return true;
    case 2:
      action(IntWork<1, 0, false>{});
      return true;
    case 3:
      action(IntWork<1, 0, true>{});
      return true;
    case 4:
      action(IntWork<2, 0, false>{});
      return true;
    case 5:
      action(IntWork<2, 0, true>{});
      return true;
    case 8 + 2:
    case 8 + 3:
      action(IntWork<1, 1, true>{});
      return true;
    case 16 + 2:
    case 16 + 3:
      action(IntWork<1, 2, true>{});
      return true;
    case 32 + 4:
    case 32 + 5:
      action(IntWork<2, 4, true>{});
      return true;
    default:
      return false;
  }
}

}  // namespace covey::agg::cuda
