// The kernels themselves, over a block B of kThreads threads:
//
//   each(f)          f(thread) by every thread, then a barrier
//   block(), blocks(), shared()
//   add, most, exchange_if (64 bits), add32, most32, or32: atomic; exchange_if and add32 answer what was
//   there
//
// The device runs them through gpu/cuda_block.cuh; the tests run the same text thread by thread.
#pragma once

#include "gpu/cuda_measures.h"

namespace covey::agg::cuda {

// ---- A block's words

COVEY_AGG_KERNEL bool has_own_words(const Selection& selection) {
  return selection.tier == Tier::kAlone || selection.tier == Tier::kPrivate;
}

template <class B>
COVEY_AGG_KERNEL uint64_t* words_of(B& block, const Selection& selection) {
  if (selection.shared_at != kNothing)
    return reinterpret_cast<uint64_t*>(block.shared() + selection.shared_at);
  if (selection.tier == Tier::kGlobal) return selection.words;
  return selection.words + uint64_t{block.block()} * selection.groups * selection.width * kThreads;
}

template <class B>
COVEY_AGG_KERNEL void clear_words(B& block, const ScanJob& job) {
  block.each([&](uint32_t thread) {
    auto* const shared = reinterpret_cast<uint64_t*>(block.shared());
    for (uint32_t i = thread; i < job.shared_bytes / 8; i += kThreads) shared[i] = 0;
    for (uint32_t s = 0; s < job.selections_count; ++s) {
      const Selection& selection = job.selections[s];
      if (!has_own_words(selection) || selection.shared_at != kNothing) continue;
      uint64_t* const words = words_of(block, selection);
      for (uint64_t i = thread; i < selection.groups * selection.width * kThreads; i += kThreads)
        words[i] = 0;
    }
  });
}

// Sums are split, so that no number of blocks overflows them.
template <class B>
COVEY_AGG_KERNEL void deliver(B& block, uint64_t* result, bool greatest, uint64_t word) {
  if (word == 0) return;
  if (greatest) {
    block.most(result, word);
    return;
  }
  block.add(result, word & UINT32_MAX);
  block.add(result + 1, static_cast<uint64_t>(static_cast<int64_t>(word) >> 32));
}

// Threads' words become one set, halving their number in each step.
template <class B>
COVEY_AGG_KERNEL void join_threads(B& block, const ScanJob& job) {
  for (uint32_t half = kThreads / 2; half > 0; half /= 2) {
    block.each([&](uint32_t thread) {
      for (uint32_t s = 0; s < job.selections_count; ++s) {
        const Selection& selection = job.selections[s];
        if (!has_own_words(selection)) continue;
        uint64_t* const words = words_of(block, selection);
        const auto count = static_cast<uint32_t>(selection.groups * selection.width);
        for (uint32_t i = thread; i < count * half; i += kThreads) {
          const uint32_t word = i / half;
          uint64_t* const at = words + uint64_t{word} * kThreads + i % half;
          const uint64_t other = at[half];
          if (selection.greatest[word % selection.width] == 0) {
            *at += other;
          } else if (other > *at) {
            *at = other;
          }
        }
      }
    });
  }
}

template <class B>
COVEY_AGG_KERNEL void deliver_words(B& block, const ScanJob& job) {
  block.each([&](uint32_t thread) {
    for (uint32_t s = 0; s < job.selections_count; ++s) {
      const Selection& selection = job.selections[s];
      if (selection.tier == Tier::kGlobal) continue;
      const uint32_t stride = has_own_words(selection) ? kThreads : 1;
      const uint64_t* const words = words_of(block, selection);
      const auto count = static_cast<uint32_t>(selection.groups * selection.width);
      for (uint32_t i = thread; i < count; i += kThreads) {
        deliver(block, selection.result + uint64_t{i} * 2, selection.greatest[i % selection.width] != 0,
                words[uint64_t{i} * stride]);
      }
    }
    for (uint32_t i = 0; i < job.bins_count; ++i) {
      const Bins& bins = job.bins[i];
      if (bins.shared_at == kNothing) continue;
      const auto* const counts = reinterpret_cast<const uint32_t*>(block.shared() + bins.shared_at);
      for (uint64_t bin = thread; bin < bins.size; bin += kThreads) {
        if (counts[bin] != 0) block.add(bins.counts + bin, counts[bin]);
      }
    }
  });
}

// ---- Kernels

template <class Action>
COVEY_AGG_KERNEL void each_chunk(const ScanJob& job, uint32_t block, uint32_t blocks, uint32_t thread,
                                 Action&& action) {
  for (uint32_t chunk = job.chunks_begin + block; chunk < job.chunks_end; chunk += blocks) {
    const uint32_t number = chunk / job.chunks_a_unit;
    const uint32_t first = chunk % job.chunks_a_unit * kChunkRows;
    const Unit& unit = job.units[number];
    if (first + thread * 2 < unit.capacity)
      action(number, unit, job.columns + uint64_t{number} * job.columns_count, first);
  }
}

// Any batch.
template <class B>
COVEY_AGG_KERNEL void scan_kernel(B& block, const ScanJob& job) {
  if (job.round == Round::kMain || job.round == Round::kTimes) clear_words(block, job);
  block.each([&](uint32_t thread) {
    each_chunk(job, block.block(), block.blocks(), thread,
               [&](uint32_t number, const Unit& unit, const Column* columns, uint32_t first) {
                 for (uint32_t s = 0; s < job.selections_count; ++s) {
                   const Selection& selection = job.selections[s];
                   const uint32_t pass = job.passes[number * job.selections_count + s];
                   if (pass == kPassSkip) continue;
                   const uint32_t mask = select_rows(job, selection, unit, columns, pass, first, thread);
                   if (mask == 0) continue;
                   uint64_t* const words = words_of(block, selection);
                   const auto take = [&](auto sink) {
                     take_rows(sink, job, selection, unit, columns, first, mask);
                   };
                   if (job.round == Round::kGroups) {
                     if (selection.table == nullptr) continue;
                     for (uint32_t left = mask; left != 0; left &= left - 1)
                       enter_group(block, job, selection, unit, columns,
                                   row_of_bit(first, lowest_bit(left), thread));
                   } else if (selection.tier == Tier::kAlone) {
                     take(Sink<Tier::kAlone, B>{block, words, selection.width, thread});
                   } else if (selection.tier == Tier::kPrivate) {
                     take(Sink<Tier::kPrivate, B>{block, words, selection.width, thread});
                   } else if (selection.tier == Tier::kShared) {
                     take(Sink<Tier::kShared, B>{block, words, selection.width, thread});
                   } else {
                     take(Sink<Tier::kGlobal, B>{block, words, selection.width, thread});
                   }
                 }
               });
  });
  if (job.round == Round::kGroups) return;
  join_threads(block, job);
  deliver_words(block, job);
}

// The common shape: one selection without groups, at most one range of numbers to test, one measure that a
// thread keeps in registers from its first row to its last. REQUIRES what is_one_shape() of
// gpu/cuda_program.cpp says
template <class B>
COVEY_AGG_KERNEL void one_kernel(B& block, const ScanJob& job) {
  const Selection& selection = job.selections[0];
  const Measure& measure = job.measures[selection.measures_begin];
  clear_words(block, job);
  with_work(measure, [&](auto fresh) {
    block.each([&](uint32_t thread) {
      auto work = fresh;
      const Sink<Tier::kAlone, B> sink{block, words_of(block, selection), selection.width, thread};
      uint32_t rows = 0;
      each_chunk(job, block.block(), block.blocks(), thread,
                 [&](uint32_t number, const Unit& unit, const Column* columns, uint32_t first) {
                   const uint32_t pass = job.passes[number];
                   if (pass == kPassSkip) return;
                   const Column& column = columns[measure.column];
                   uint32_t mask = live_rows(unit, first, thread);
                   Pair pairs[kPairs];
                   load_pairs(column, first, thread, column.values == nullptr ? 0 : mask, pairs);
                   if (pass == kPassTest && mask != 0) {
                     const Test& test = job.tests[selection.tests_begin];
                     const Column& tested = columns[test.column];
                     if (test.column == measure.column && (tested.flags & kColumnFull) != 0) {
                       mask &= within(pairs, test.flip, test.lo, test.hi);
                     } else {
                       mask = apply_test(test, tested, unit, first, thread, mask);
                     }
                   }
                   rows += count_bits(mask);
                   mask = usable(sink, job, selection, measure, unit, columns, first, mask);
                   COVEY_AGG_UNROLL
                   for (uint32_t bit = 0; bit < kRowsAThread; ++bit)
                     work.take(measure, (mask >> bit & 1u) != 0, pairs[bit / 2].at[bit % 2]);
                 });
      sink.add(0, 0, rows);
      work.store(sink, measure);
    });
  });
  join_threads(block, job);
  deliver_words(block, job);
}

template <class B>
COVEY_AGG_KERNEL void carry_kernel(B& block, const CarryJob& job) {
  block.each([&](uint32_t thread) {
    const uint64_t words = job.groups * job.width;
    for (uint64_t i = uint64_t{block.block()} * kThreads + thread; i < words;
         i += uint64_t{block.blocks()} * kThreads) {
      deliver(block, job.result + i * 2, job.greatest[i % job.width] != 0, job.words[i]);
      job.words[i] = 0;
    }
  });
}

// A key among the sorted, disjoint ranges of its group's targets.
template <class B>
COVEY_AGG_KERNEL void refine_row(B& block, const RefineJob& job, const RefineMeasure& measure, uint32_t group,
                                 uint64_t key) {
  uint32_t begin = measure.ranges[uint64_t{group} * 2];
  uint32_t end = measure.ranges[uint64_t{group} * 2 + 1];
  while (begin < end) {  // the first that begins above the key
    const uint32_t middle = begin + (end - begin) / 2;
    if (job.targets[middle].lo <= key) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  if (begin == measure.ranges[uint64_t{group} * 2]) return;
  const Target& target = job.targets[begin - 1];
  if (key > target.hi) return;
  if (target.used == nullptr) {
    block.add(target.found + ((key - target.lo) >> target.shift), 1);
    return;
  }
  const uint32_t place = block.add32(target.used, 1);
  if (place < target.capacity) target.found[place] = key;
}

template <class B>
COVEY_AGG_KERNEL void refine_kernel(B& block, const RefineJob& job) {
  block.each([&](uint32_t thread) {
    each_chunk(job.scan, block.block(), block.blocks(), thread,
               [&](uint32_t number, const Unit& unit, const Column* columns, uint32_t first) {
                 for (uint32_t i = 0; i < job.measures_count; ++i) {
                   const RefineMeasure& measure = job.measures[i];
                   const Selection& selection = job.scan.selections[measure.selection];
                   const uint32_t pass =
                       job.scan.passes[number * job.scan.selections_count + measure.selection];
                   const Column& column = columns[measure.column];
                   if (pass == kPassSkip || column.values == nullptr) continue;
                   uint32_t mask = select_rows(job.scan, selection, unit, columns, pass, first, thread);
                   if (mask != 0) mask &= gather(column.valid, unit.capacity, first, thread);
                   for (; mask != 0; mask &= mask - 1) {
                     const uint32_t row = row_of_bit(first, lowest_bit(mask), thread);
                     const uint64_t bits = column.values[row];
                     if (measure.flip == kFlipFloat && is_special_bits(bits)) continue;
                     const uint64_t key = key_of_bits(bits, measure.flip);
                     const uint32_t group = group_of(job.scan, selection, unit, columns, row);
                     if (group != kNothing) refine_row(block, job, measure, group, key);
                   }
                 }
               });
  });
}

// Reads and adds up: what no scan can be faster than.
template <class B>
COVEY_AGG_KERNEL void read_kernel(B& block, const ReadJob& job) {
  block.each([&](uint32_t thread) {
    uint64_t sum = 0;
    const uint64_t pairs = job.words / 2;
    const uint64_t step = uint64_t{block.blocks()} * kThreads;
    uint64_t i = uint64_t{block.block()} * kThreads + thread;
    for (; i + 7 * step < pairs; i += 8 * step) {
      Pair read[8];
      COVEY_AGG_UNROLL
      for (uint32_t j = 0; j < 8; ++j) read[j] = reinterpret_cast<const Pair*>(job.from)[i + j * step];
      COVEY_AGG_UNROLL
      for (uint32_t j = 0; j < 8; ++j) sum += read[j].at[0] + read[j].at[1];
    }
    for (; i < pairs; i += step) {
      const Pair read = reinterpret_cast<const Pair*>(job.from)[i];
      sum += read.at[0] + read.at[1];
    }
    block.add(job.sum, sum);
  });
}

}  // namespace covey::agg::cuda
