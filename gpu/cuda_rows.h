// From rows to groups and masks, for one thread of a kernel. Included by the kernels and by the tests'
// emulation.
//
// A thread of a chunk has kPairs pairs of rows; bits 2j and 2j + 1 of its masks are pair j. Neighbouring
// threads have neighbouring pairs, so a warp reads 512 bytes at once, 16 a thread.
//
// B is the block (gpu/cuda_block.cuh; gpu/tests/emulated_block.h): its threads' atomic operations.
#pragma once

#include "gpu/cuda_program.h"
#include "gpu/mix.h"
#include "gpu/plan.h"

#ifdef __CUDACC__
#define COVEY_AGG_KERNEL __device__ __forceinline__
#define COVEY_AGG_CALLED __device__ __noinline__  // large, and called once for many rows
#define COVEY_AGG_UNROLL _Pragma("unroll")
#else
#define COVEY_AGG_KERNEL inline
#define COVEY_AGG_CALLED inline
#define COVEY_AGG_UNROLL
#endif

namespace covey::agg::cuda {

struct alignas(16) Pair {
  uint64_t at[2];
};
struct alignas(8) CodePair {
  uint32_t at[2];
};

COVEY_AGG_KERNEL uint32_t count_bits(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return static_cast<uint32_t>(__popc(bits));
#else
  return static_cast<uint32_t>(__builtin_popcount(bits));
#endif
}
COVEY_AGG_KERNEL uint32_t lowest_bit(uint32_t bits) {  // REQUIRES bits != 0
#ifdef __CUDA_ARCH__
  return static_cast<uint32_t>(__ffs(static_cast<int>(bits)) - 1);
#else
  return static_cast<uint32_t>(__builtin_ctz(bits));
#endif
}

COVEY_AGG_KERNEL uint32_t row_of_pair(uint32_t first, uint32_t pair, uint32_t thread) {
  return first + (pair * kThreads + thread) * 2;
}
COVEY_AGG_KERNEL uint32_t row_of_bit(uint32_t first, uint32_t bit, uint32_t thread) {
  return row_of_pair(first, bit / 2, thread) + bit % 2;
}

// The thread's bits of a bitmap of `capacity` rows; zero beyond it.
COVEY_AGG_KERNEL uint32_t gather(const uint32_t* bits, uint32_t capacity, uint32_t first, uint32_t thread) {
  uint32_t mask = 0;
  COVEY_AGG_UNROLL
  for (uint32_t pair = 0; pair < kPairs; ++pair) {
    const uint32_t row = row_of_pair(first, pair, thread);
    if (row < capacity) mask |= (bits[row / 32] >> (row % 32) & 3u) << (2 * pair);
  }
  return mask;
}

COVEY_AGG_KERNEL uint32_t live_rows(const Unit& unit, uint32_t first, uint32_t thread) {
  if ((unit.flags & kUnitFull) != 0 && first + kChunkRows <= unit.capacity) return (1u << kRowsAThread) - 1;
  return gather(unit.live, unit.capacity, first, thread);
}

COVEY_AGG_KERNEL Pair load_pair(const uint64_t* values, uint32_t row) {
  return *reinterpret_cast<const Pair*>(values + row);
}
COVEY_AGG_KERNEL uint32_t code_at(const Column& column, uint32_t row) {
  return reinterpret_cast<const uint32_t*>(column.values)[row];
}

// All pairs that have a row in the mask; zero elsewhere. The loads do not wait for each other.
COVEY_AGG_KERNEL void load_pairs(const Column& column, uint32_t first, uint32_t thread, uint32_t mask,
                                 Pair (&pairs)[kPairs]) {
  COVEY_AGG_UNROLL
  for (uint32_t pair = 0; pair < kPairs; ++pair) {
    pairs[pair] = Pair{{0, 0}};
    if ((mask >> (2 * pair) & 3u) != 0)
      pairs[pair] = load_pair(column.values, row_of_pair(first, pair, thread));
  }
}

COVEY_AGG_KERNEL uint32_t within(const Pair (&pairs)[kPairs], uint64_t flip, uint64_t lo, uint64_t hi) {
  uint32_t inside = 0;
  COVEY_AGG_UNROLL
  for (uint32_t bit = 0; bit < kRowsAThread; ++bit) {
    const uint64_t key = key_of_bits(pairs[bit / 2].at[bit % 2], flip);
    inside |= static_cast<uint32_t>(key >= lo && key <= hi) << bit;
  }
  return inside;
}

// How many of the sorted numbers are at or below the key.
COVEY_AGG_KERNEL uint32_t count_up_to(const uint64_t* numbers, uint32_t count, uint64_t key) {
  uint32_t begin = 0;
  for (uint32_t end = count; begin < end;) {
    const uint32_t middle = begin + (end - begin) / 2;
    if (numbers[middle] <= key) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

COVEY_AGG_KERNEL uint32_t apply_test(const Test& test, const Column& column, const Unit& unit, uint32_t first,
                                     uint32_t thread, uint32_t mask) {
  using Kind = Condition::Kind;
  const Kind kind = static_cast<Kind>(test.kind);
  if (kind == Kind::kNull) {
    return column.values == nullptr ? mask : mask & ~gather(column.valid, unit.capacity, first, thread);
  }
  if (column.values == nullptr || kind == Kind::kNone) return 0;
  if ((column.flags & kColumnFull) == 0) mask &= gather(column.valid, unit.capacity, first, thread);
  if (mask == 0 || kind == Kind::kNotNull) return mask;
  if (kind == Kind::kRange || kind == Kind::kNotRange) {
    Pair pairs[kPairs];
    load_pairs(column, first, thread, mask, pairs);
    const uint32_t inside = within(pairs, test.flip, test.lo, test.hi);
    return mask & (kind == Kind::kRange ? inside : ~inside);
  }
  for (uint32_t left = mask; left != 0; left &= left - 1) {
    const uint32_t bit = lowest_bit(left);
    const uint32_t row = row_of_bit(first, bit, thread);
    bool passes = false;
    if (kind == Kind::kKeys) {
      const uint64_t key = key_of_bits(column.values[row], test.flip);
      const uint32_t place = count_up_to(test.keys, test.keys_count, key);
      passes = place > 0 && test.keys[place - 1] == key;
    } else {
      passes = test.allowed[unit.input][code_at(column, row)] != 0;
    }
    if (!passes) mask &= ~(1u << bit);
  }
  return mask;
}

// The thread's rows that a selection wants.
COVEY_AGG_CALLED uint32_t select_rows(const ScanJob& job, const Selection& selection, const Unit& unit,
                                      const Column* columns, uint32_t pass, uint32_t first, uint32_t thread) {
  uint32_t mask = live_rows(unit, first, thread);
  if (selection.row_set != kNothing) {
    const uint32_t* set = job.row_sets[unit.input * job.row_sets_count + selection.row_set];
    mask &= gather(set + unit.first_word, unit.capacity, first, thread);
  }
  if (unit.excluded != nullptr) mask &= ~gather(unit.excluded, unit.capacity, first, thread);
  if (pass == kPassAll) return mask;
  for (uint32_t i = selection.tests_begin; i < selection.tests_end && mask != 0; ++i) {
    mask = apply_test(job.tests[i], columns[job.tests[i].column], unit, first, thread, mask);
  }
  return mask;
}

COVEY_AGG_KERNEL bool is_valid(const Column& column, uint32_t row) {
  return column.values != nullptr &&
         ((column.flags & kColumnFull) != 0 || (column.valid[row / 32] >> (row % 32) & 1u) != 0);
}

// The value of a group_by column as a word; what a host makes of it is in gpu/cuda_answer.cpp.
COVEY_AGG_KERNEL uint64_t group_word(const GroupBy& by, const Column& column, uint32_t input, uint32_t row) {
  if (by.is_string != 0) {
    const uint32_t code = code_at(column, row);
    return by.translations == nullptr ? code : by.translations[input][code];
  }
  return key_of_bits(column.values[row], by.flip);
}

COVEY_AGG_KERNEL uint32_t dense_group(const ScanJob& job, const Selection& selection, const Unit& unit,
                                      const Column* columns, uint32_t row) {
  uint64_t number = 0;
  for (uint32_t i = selection.groups_begin; i < selection.groups_end; ++i) {
    const GroupBy& by = job.group_bys[i];
    const Column& column = columns[by.column];
    const uint64_t digit = is_valid(column, row) ? group_word(by, column, unit.input, row) - by.base + 1 : 0;
    number = number * by.dim + digit;
  }
  return static_cast<uint32_t>(number);
}

inline constexpr uint32_t kGroupWords = kGroupColumnsMax + 1;

// A row's group_by values as words, the last one the bits of nulls; answers their hash, which is not 0.
COVEY_AGG_KERNEL uint64_t group_words(const ScanJob& job, const Selection& selection, const Unit& unit,
                                      const Column* columns, uint32_t row, uint64_t (&words)[kGroupWords]) {
  const uint32_t count = selection.groups_end - selection.groups_begin;
  uint64_t nulls = 0;
  uint64_t hash = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const GroupBy& by = job.group_bys[selection.groups_begin + i];
    const Column& column = columns[by.column];
    const bool valid = is_valid(column, row);
    words[i] = valid ? group_word(by, column, unit.input, row) : 0;
    nulls |= static_cast<uint64_t>(!valid) << i;
    hash = mix64(hash ^ words[i]);
  }
  words[count] = nulls;
  hash = mix64(hash ^ nulls);
  return hash == 0 ? 1 : hash;
}

// Enters a row's group. Whoever takes a place writes its words; who comes later compares them in the next
// round.
template <class B>
COVEY_AGG_KERNEL void enter_group(B& block, const ScanJob& job, const Selection& selection, const Unit& unit,
                                  const Column* columns, uint32_t row) {
  if (selection.table_state[1] != 0) return;
  uint64_t words[kGroupWords];
  const uint32_t width = selection.groups_end - selection.groups_begin + 1;
  const uint64_t hash = group_words(job, selection, unit, columns, row, words);
  uint64_t place = hash & selection.table_mask;
  for (uint64_t probes = 0; probes <= selection.table_mask; ++probes) {
    uint64_t there = selection.table[place];
    if (there == 0) there = block.exchange_if(&selection.table[place], 0, hash);
    if (there == 0) {
      for (uint32_t i = 0; i < width; ++i) selection.group_words[place * width + i] = words[i];
      if (block.add32(&selection.table_state[0], 1) >= selection.limit) selection.table_state[1] = 1;
      return;
    }
    if (there == hash) return;
    place = (place + 1) & selection.table_mask;
  }
  selection.table_state[1] = 1;
}

// The number of a row's group, entered before. kNothing: two keys have one hash.
COVEY_AGG_KERNEL uint32_t hashed_group(const ScanJob& job, const Selection& selection, const Unit& unit,
                                       const Column* columns, uint32_t row) {
  uint64_t words[kGroupWords];
  const uint32_t width = selection.groups_end - selection.groups_begin + 1;
  const uint64_t hash = group_words(job, selection, unit, columns, row, words);
  uint64_t place = hash & selection.table_mask;
  for (uint64_t probes = 0; probes <= selection.table_mask; ++probes) {
    const uint64_t there = selection.table[place];
    if (there == 0) return kNothing;
    if (there == hash) {
      bool same = true;
      for (uint32_t i = 0; i < width; ++i)
        same = same && selection.group_words[place * width + i] == words[i];
      if (same) return selection.numbers[place];
      selection.table_state[2] = 1;
      return kNothing;
    }
    place = (place + 1) & selection.table_mask;
  }
  return kNothing;
}

COVEY_AGG_KERNEL uint32_t group_of(const ScanJob& job, const Selection& selection, const Unit& unit,
                                   const Column* columns, uint32_t row) {
  return selection.table == nullptr ? dense_group(job, selection, unit, columns, row)
                                    : hashed_group(job, selection, unit, columns, row);
}

}  // namespace covey::agg::cuda
