// What kernels take of rows: one selection's measures, for one thread.
#pragma once

#include "gpu/cuda_sums.h"
#include "gpu/sketch.h"

namespace covey::agg::cuda {

COVEY_AGG_KERNEL uint32_t leading_zeros(uint64_t bits) {  // REQUIRES bits != 0
#ifdef __CUDA_ARCH__
  return static_cast<uint32_t>(__clzll(static_cast<long long>(bits)));
#else
  return static_cast<uint32_t>(__builtin_clzll(bits));
#endif
}

// ---- What is wanted of rows besides sums

template <class B>
COVEY_AGG_KERNEL void count_bin(B& block, const Bins& bins, uint64_t bin) {
  if (bins.shared_at != kNothing) {
    block.add32(reinterpret_cast<uint32_t*>(block.shared() + bins.shared_at) + bin, 1);
  } else {
    block.add(bins.counts + bin, 1);
  }
}

// As gpu/distinct.cpp does it.
template <class B>
COVEY_AGG_KERNEL void add_hash(B& block, const Distinct& distinct, uint64_t group, uint64_t hash) {
  constexpr int kPrecision = 14;
  constexpr uint32_t kExactMax = 4096;
  uint32_t* const rank_at = distinct.registers + group * kRegisters + (hash >> (64 - kPrecision));
  const uint32_t rank = leading_zeros(hash << kPrecision | uint64_t{1} << (kPrecision - 1)) + 1;
  if (*rank_at < rank) block.most32(rank_at, rank);
  uint32_t* const state = distinct.state + group * 4;
  if (state[2] != 0) return;
  if (hash == 0) {
    block.or32(&state[1], 1);
    return;
  }
  uint64_t* const table = distinct.table + group * kDistinctSlots;
  uint32_t place = static_cast<uint32_t>(hash) % kDistinctSlots;
  for (uint32_t probes = 0; probes < kDistinctSlots; ++probes) {
    uint64_t there = table[place];
    if (there == 0) there = block.exchange_if(&table[place], 0, hash);
    if (there == 0) {
      if (block.add32(&state[0], 1) >= kExactMax) block.or32(&state[2], 1);
      return;
    }
    if (there == hash) return;
    place = (place + 1) % kDistinctSlots;
  }
  block.or32(&state[2], 1);
}

template <class B>
COVEY_AGG_KERNEL void add_code(B& block, const Distinct& distinct, uint64_t group, uint32_t input,
                               uint32_t code) {
  if (distinct.translations != nullptr) code = distinct.translations[input][code];
  uint32_t* const word = distinct.seen + group * distinct.words + code / 32;
  if ((*word >> (code % 32) & 1u) == 0) block.or32(word, 1u << (code % 32));
}

// One value of a row. REQUIRES it is finite
template <Tier kTier, class B>
COVEY_AGG_KERNEL void add_row(const Sink<kTier, B>& sink, const ScanJob& job, const Measure& measure,
                              const Column* columns, uint32_t group, uint32_t row, uint64_t bits) {
  B& block = sink.block;
  const uint64_t key = key_of_bits(bits, measure.flip);
  if (measure.sketch != kNothing) {
    const uint32_t bucket = measure.is_float != 0 ? static_cast<uint32_t>(key >> kSketchShift)
                                                  : bucket_of_int(static_cast<int64_t>(bits));
    const Bins& bins = job.bins[measure.sketch];
    count_bin(block, bins, uint64_t{group} * bins.width + (bucket - measure.first_bucket));
  }
  for (uint32_t h = measure.histograms_begin; h < measure.histograms_end; ++h) {
    const Histogram& histogram = job.histograms[h];
    const Bins& bins = job.bins[histogram.bins];
    const uint32_t bin = count_up_to(histogram.edges, histogram.edges_count, key);
    count_bin(block, bins, uint64_t{group} * bins.width + bin);
  }
  if (measure.distinct != kNothing) add_hash(block, job.distincts[measure.distinct], group, mix64(key));
  if (measure.first == kNothing && measure.last == kNothing) return;
  const uint64_t time = key_of_bits(columns[job.time_column].values[row], kFlipInt);
  if (measure.first != kNothing) sink.most(group, measure.first, ~time);
  if (measure.last != kNothing) sink.most(group, measure.last, time);
}

// ---- Measures

// Leaves NaN and infinities out of the mask and counts them.
template <Tier kTier, class B>
COVEY_AGG_KERNEL uint32_t take_specials(const Sink<kTier, B>& sink, const ScanJob& job,
                                        const Selection& selection, const Measure& measure, const Unit& unit,
                                        const Column* columns, uint32_t first, uint32_t mask) {
  const Column& column = columns[measure.column];
  for (uint32_t left = mask; left != 0; left &= left - 1) {
    const uint32_t bit = lowest_bit(left);
    const uint32_t row = row_of_bit(first, bit, sink.thread);
    const uint64_t bits = column.values[row];
    if (!is_special_bits(bits)) continue;
    mask &= ~(1u << bit);
    if (job.round != Round::kMain) continue;
    const uint32_t group = kTier == Tier::kAlone ? 0 : group_of(job, selection, unit, columns, row);
    if (group == kNothing) continue;
    const bool infinite = (bits & ~kSignBit) == kInfinityBits;
    sink.add(group, measure.special + (!infinite ? 0 : (bits & kSignBit) == 0 ? 1 : 2), 1);
  }
  return mask;
}

// The rows of the mask that have a usable value; those without are counted.
template <Tier kTier, class B>
COVEY_AGG_KERNEL uint32_t usable(const Sink<kTier, B>& sink, const ScanJob& job, const Selection& selection,
                                 const Measure& measure, const Unit& unit, const Column* columns,
                                 uint32_t first, uint32_t mask) {
  const Column& column = columns[measure.column];
  uint32_t valid = mask;
  if (column.values == nullptr) {
    valid = 0;
  } else if ((column.flags & kColumnFull) == 0) {
    valid &= gather(column.valid, unit.capacity, first, sink.thread);
  }
  uint32_t nulls = job.round == Round::kMain ? mask & ~valid : 0;
  if constexpr (kTier == Tier::kAlone) {
    if (nulls != 0) sink.add(0, measure.nulls, count_bits(nulls));
  } else {
    for (; nulls != 0; nulls &= nulls - 1) {
      const uint32_t row = row_of_bit(first, lowest_bit(nulls), sink.thread);
      const uint32_t group = group_of(job, selection, unit, columns, row);
      if (group != kNothing) sink.add(group, measure.nulls, 1);
    }
  }
  if ((column.flags & kColumnSpecial) == 0 || measure.is_float == 0 || valid == 0) return valid;
  return take_specials(sink, job, selection, measure, unit, columns, first, valid);
}

template <Tier kTier, class B>
COVEY_AGG_KERNEL void take_times(const Sink<kTier, B>& sink, const ScanJob& job, const Selection& selection,
                                 const Measure& measure, const Unit& unit, const Column* columns,
                                 uint32_t first, uint32_t mask) {
  for (; mask != 0; mask &= mask - 1) {
    const uint32_t row = row_of_bit(first, lowest_bit(mask), sink.thread);
    const uint32_t group = kTier == Tier::kAlone ? 0 : group_of(job, selection, unit, columns, row);
    if (group == kNothing) continue;
    const uint64_t time = key_of_bits(columns[job.time_column].values[row], kFlipInt);
    const uint64_t key = key_of_bits(columns[measure.column].values[row], measure.flip);
    const uint64_t* const known = selection.result + uint64_t{group} * selection.width * 2;
    if (measure.first != kNothing && ~time == known[measure.first * 2])
      sink.most(group, measure.first + 1, ~key);
    if (measure.last != kNothing && time == known[measure.last * 2]) sink.most(group, measure.last + 1, key);
  }
}

template <class B>
COVEY_AGG_KERNEL void take_codes(B& block, const ScanJob& job, const Selection& selection,
                                 const Measure& measure, const Unit& unit, const Column* columns,
                                 uint32_t first, uint32_t thread, uint32_t mask) {
  if (measure.distinct == kNothing) return;
  for (; mask != 0; mask &= mask - 1) {
    const uint32_t row = row_of_bit(first, lowest_bit(mask), thread);
    const uint32_t group =
        selection.groups_begin == selection.groups_end ? 0 : group_of(job, selection, unit, columns, row);
    if (group != kNothing)
      add_code(block, job.distincts[measure.distinct], group, unit.input,
               code_at(columns[measure.column], row));
  }
}

template <Tier kTier, class B>
COVEY_AGG_CALLED void take_measure(const Sink<kTier, B>& sink, const ScanJob& job, const Selection& selection,
                                   const Measure& measure, const Unit& unit, const Column* columns,
                                   uint32_t first, uint32_t mask) {
  mask = usable(sink, job, selection, measure, unit, columns, first, mask);
  if (mask == 0) return;
  const Column& column = columns[measure.column];
  if (job.round == Round::kTimes) {
    if (measure.first != kNothing || measure.last != kNothing)
      take_times(sink, job, selection, measure, unit, columns, first, mask);
    return;
  }
  if (measure.distinct != kNothing && job.distincts[measure.distinct].seen != nullptr) {
    take_codes(sink.block, job, selection, measure, unit, columns, first, sink.thread, mask);
    return;
  }
  const bool sums = measure.sum.form != SumForm::kNone || measure.squares.form != SumForm::kNone ||
                    measure.least != kNothing;
  bool by_rows = measure.by_rows != 0;
  bool summed = !sums;
  if constexpr (kTier == Tier::kAlone) {
    summed = !sums || with_work(measure, [&](auto work) {
      Pair pairs[kPairs];
      load_pairs(column, first, sink.thread, mask, pairs);
      COVEY_AGG_UNROLL
      for (uint32_t bit = 0; bit < kRowsAThread; ++bit)
        work.take(measure, (mask >> bit & 1u) != 0, pairs[bit / 2].at[bit % 2]);
      work.store(sink, measure);
    });
  }
  by_rows = by_rows || !summed;
  if (!by_rows) return;
  for (; mask != 0; mask &= mask - 1) {
    const uint32_t row = row_of_bit(first, lowest_bit(mask), sink.thread);
    const uint32_t group = kTier == Tier::kAlone ? 0 : group_of(job, selection, unit, columns, row);
    if (group == kNothing) continue;
    const uint64_t bits = column.values[row];
    if (!summed) add_value(sink, measure, group, bits);
    if (measure.by_rows != 0) add_row(sink, job, measure, columns, group, row, bits);
  }
}

template <Tier kTier, class B>
COVEY_AGG_KERNEL void take_rows(const Sink<kTier, B>& sink, const ScanJob& job, const Selection& selection,
                                const Unit& unit, const Column* columns, uint32_t first, uint32_t mask) {
  if (job.round == Round::kMain) {
    if constexpr (kTier == Tier::kAlone) {
      sink.add(0, 0, count_bits(mask));
    } else {
      for (uint32_t left = mask; left != 0; left &= left - 1) {
        const uint32_t row = row_of_bit(first, lowest_bit(left), sink.thread);
        const uint32_t group = group_of(job, selection, unit, columns, row);
        if (group != kNothing) sink.add(group, 0, 1);
      }
    }
  }
  for (uint32_t i = selection.measures_begin; i < selection.measures_end; ++i)
    take_measure(sink, job, selection, job.measures[i], unit, columns, first, mask);
}

}  // namespace covey::agg::cuda
