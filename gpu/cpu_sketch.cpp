#include "gpu/cpu_sketch.h"

#include <algorithm>

namespace covey::agg {

namespace {

constexpr uint64_t kPlacesMax = uint64_t{1} << 16;  // of a set: a quarter of a megabyte

}  // namespace

SketchCounter::SketchCounter(const Kernels& kernels, uint32_t column, uint32_t first, uint32_t buckets,
                             uint64_t rows_max)
    : kernels_(kernels),
      column_(column),
      first_(first),
      buckets_(buckets),
      rows_max_(rows_max),
      together_(kSketchesTogether) {
  while (together_ > 1 && uint64_t{buckets_} << together_ > kPlacesMax) --together_;
}

uint32_t SketchCounter::enlist() {
  if (sets_.empty() || sets_.back().members == together_) sets_.emplace_back();
  return static_cast<uint32_t>(sets_.size() - 1) * together_ + sets_.back().members++;
}

void SketchCounter::want(uint32_t member, const uint64_t* mask) {
  Set& set = sets_[member / together_];
  const uint32_t step = buckets_ << (member % together_);
  if (mask == nullptr) {
    set.all = true;
    set.wanted.always += step;
  } else {
    set.wanted.masks[set.wanted.count] = mask;
    set.wanted.steps[set.wanted.count++] = step;
  }
}

void SketchCounter::count(const double* values, uint32_t rows) {
  for (Set& set : sets_) {
    if (set.all || set.wanted.count > 0) count(set, values, rows);
  }
}

void SketchCounter::count(Set& set, const double* values, uint32_t rows) {
  // The table of those whom nobody wants is missing: they go to the places before the first.
  if (set.counts.empty()) set.counts.resize(kUnwanted + (size_t{buckets_} << set.members) - buckets_);
  if (set.rows + rows > rows_max_) carry(set);
  set.rows += rows;
  uint64_t any[kBlockRows / 64];
  if (!set.all) {
    std::copy(set.wanted.masks[0], set.wanted.masks[0] + rows / 64, any);
    for (size_t i = 1; i < set.wanted.count; ++i) {
      for (uint32_t word = 0; word < rows / 64; ++word) any[word] |= set.wanted.masks[i][word];
    }
  }
  set.wanted.any = set.all ? nullptr : any;
  set.wanted.always += kUnwanted - buckets_ - first_;  // modulo 2^32, as all of it
  kernels_.count_buckets(values, rows, set.wanted, set.counts.data());
  set.wanted = {};
  set.all = false;
}

void SketchCounter::carry(Set& set) {
  set.carried.resize(set.counts.size());
  for (size_t i = 0; i < set.counts.size(); ++i) set.carried[i] += set.counts[i];
  std::fill(set.counts.begin(), set.counts.end(), 0);
  set.rows = 0;
}

void SketchCounter::add_to(uint32_t member, uint64_t* counts) const {
  const Set& set = sets_[member / together_];
  if (set.counts.empty()) return;
  for (uint32_t table = 1; table < uint32_t{1} << set.members; ++table) {
    if ((table >> (member % together_) & 1) == 0) continue;
    const size_t at = kUnwanted + size_t{table - 1} * buckets_;
    for (uint32_t i = 0; i < buckets_; ++i) {
      counts[i] += set.counts[at + i] + (set.carried.empty() ? 0 : set.carried[at + i]);
    }
  }
}

}  // namespace covey::agg
