#include "gpu/cpu_ranges.h"

#include <algorithm>
#include <tuple>

namespace covey::agg {

namespace {
constexpr size_t kCompanyMin = 3;  // fewer are faster one by one
}

void RangeSums::scan_unit(const BoundScan& scan, const Kernels& kernels, const BoundScan::Unit& unit,
                          const std::vector<std::unique_ptr<ThreadSelection>>& selections,
                          std::vector<uint8_t>& done) {
  done.assign(selections.size(), 0);
  if (selections.size() < kCompanyMin) return;
  members_.clear();
  for (size_t i = 0; i < selections.size(); ++i) {
    if (const auto range = selections[i]->range_sum(unit)) members_.push_back({i, *range});
  }
  const auto columns = [](const Member& member) { return std::tie(member.range.keys, member.range.values); };
  std::stable_sort(members_.begin(), members_.end(),
                   [&](const auto& a, const auto& b) { return columns(a) < columns(b); });
  for (size_t begin = 0, end = 0; begin < members_.size(); begin = end) {
    while (end < members_.size() && columns(members_[end]) == columns(members_[begin])) ++end;
    if (end - begin < kCompanyMin) continue;
    scan_group(scan, kernels, unit, members_.data() + begin, end - begin, selections);
    for (size_t i = begin; i < end; ++i) done[members_[i].selection] = 1;
  }
}

void RangeSums::scan_group(const BoundScan& scan, const Kernels& kernels, const BoundScan::Unit& unit,
                           const Member* members, size_t count,
                           const std::vector<std::unique_ptr<ThreadSelection>>& selections) {
  const size_t room = (count + kRangesAtOnce - 1) / kRangesAtOnce * kRangesAtOnce;
  lo_.assign(room, __builtin_inf());
  hi_.assign(room, __builtin_inf());  // no key is infinite: those that fill up hold nothing
  counts_.assign(room, 0);
  sums_.assign(room * kFastFolds, 0);
  for (size_t i = 0; i < count; ++i) {
    lo_[i] = members[i].range.lo;
    hi_[i] = members[i].range.hi;
  }
  const ColumnStore& store = *scan.inputs[unit.input].store;
  const double* keys = store.tile(members[0].range.keys, unit.tile)->floats();
  const double* values = store.tile(members[0].range.values, unit.tile)->floats();
  kernels.range_sums(keys, values, store.capacity(unit.tile), selections[members[0].selection]->folds(), room,
                     lo_.data(), hi_.data(), counts_.data(), sums_.data());
  // Rows that are not live hold zeros: they add nothing, but were counted where zero is in the range.
  const uint64_t dead = store.capacity(unit.tile) - store.live_rows(unit.tile);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t counted = lo_[i] <= 0 && hi_[i] >= 0 ? dead : 0;
    selections[members[i].selection]->add_range_sum(counts_[i] - counted, sums_.data() + i * kFastFolds);
  }
}

}  // namespace covey::agg
