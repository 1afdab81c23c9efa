#include "gpu/cpu_refine.h"

#include <algorithm>
#include <bit>

#include "gpu/order.h"

namespace covey::agg {

namespace {
// Rows that changed since the last round may bring more values than were announced: no more than this are
// kept.
constexpr size_t kCollectedMax = 4 * kCollectMax;
}  // namespace

ThreadRefine::ThreadRefine(const BoundScan& scan, const Kernels& kernels, uint32_t selection,
                           const Refinement& ask, Refined& found)
    : scan_(scan),
      kernels_(kernels),
      index_(selection),
      selection_(scan.plan->selections()[selection]),
      ask_(ask),
      found_(found),
      groups_(scan.selections[selection].layout) {
  wanted_.resize(selection_.measures.size());
  by_number_.resize(selection_.measures.size());
  for (uint32_t i = 0; i < ask.targets.size(); ++i) {
    const QuantileTarget& target = ask.targets[i];
    const auto place = std::find(selection_.measures.begin(), selection_.measures.end(), target.measure);
    if (place == selection_.measures.end()) continue;
    auto& wanted = wanted_[static_cast<size_t>(place - selection_.measures.begin())];
    Targets& range = wanted.try_emplace(target.group, Targets{i, i}).first->second;
    range.end = i + 1;
  }
}

void ThreadRefine::scan_unit(const BoundScan::Unit& unit) {
  const bool any =
      std::any_of(wanted_.begin(), wanted_.end(), [](const auto& wanted) { return !wanted.empty(); });
  if (!any || scan_.selections[index_].failed) return;
  const UnitFilter filter = filter_unit(scan_, index_, unit);
  if (filter.skipped) return;
  const uint32_t capacity = scan_.inputs[unit.input].store->capacity(unit.tile);
  for (uint32_t first = 0; first < capacity; first += kBlockRows) {
    scan_block(unit, filter, first, std::min<uint32_t>(kBlockRows, capacity - first));
  }
}

void ThreadRefine::take(const Targets& targets, uint64_t key) {
  for (uint32_t i = targets.begin; i < targets.end; ++i) {
    const QuantileTarget& target = ask_.targets[i];
    if (key < target.lo) return;
    if (key > target.hi) continue;
    std::vector<uint64_t>& found = found_.found[i];
    if (!target.collect) {
      ++found[target_bin(target, key)];
    } else if (found.size() < kCollectedMax) {
      found.push_back(key);
    }
    return;
  }
}

const ThreadRefine::Targets& ThreadRefine::targets_of(size_t measure, uint32_t number) {
  if (known_.size() <= number) {
    const size_t room = std::max<size_t>(groups_.size(), number + size_t{1}) * 2;
    known_.resize(room);
    for (auto& targets : by_number_) targets.resize(room);
  }
  if (!known_[number]) {
    known_[number] = 1;
    std::string key;
    groups_.append_key(number, key);
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (const auto found = wanted_[i].find(key); found != wanted_[i].end())
        by_number_[i][number] = found->second;
    }
  }
  return by_number_[measure][number];
}

void ThreadRefine::one_group(const Targets& targets, const Tile& tile, ColumnType type, uint32_t first,
                             uint32_t rows, const uint64_t* chosen) {
  for (uint32_t i = targets.begin; i < targets.end; ++i) {
    const QuantileTarget& target = ask_.targets[i];
    if (target.lo > tile.zone.max || target.hi < tile.zone.min) continue;
    uint64_t within[kBlockWords];
    std::copy(chosen, chosen + rows / 64, within);
    if (type == ColumnType::kInt64) {
      kernels_.int_range(tile.ints() + first, rows, int_from_order(target.lo), int_from_order(target.hi),
                         true, within);
    } else {
      kernels_.float_range(tile.floats() + first, rows, float_from_order(target.lo),
                           float_from_order(target.hi), true, within);
    }
    const Targets one{i, i + 1};
    for (uint32_t word = 0; word < rows / 64; ++word) {
      for (uint64_t left = within[word]; left != 0; left &= left - 1) {
        const uint32_t row = first + word * 64 + static_cast<uint32_t>(std::countr_zero(left));
        take(one, type == ColumnType::kInt64 ? order_int(tile.ints()[row]) : order_float(tile.floats()[row]));
      }
    }
  }
}

void ThreadRefine::scan_block(const BoundScan::Unit& unit, const UnitFilter& filter, uint32_t first,
                              uint32_t rows) {
  bool all = false;
  RowList list;
  list.rows = rows;
  list.count = select_rows(scan_, kernels_, index_, filter, unit, first, rows, mask_, all);
  if (list.count == 0) return;
  if (all) std::fill(mask_, mask_ + rows / 64, ~uint64_t{0});
  const bool grouped = !selection_.group_by.empty();
  if (grouped) {
    list_rows(mask_, rows, listed_);
    list.listed = listed_;
    // Groups that have appeared since the first pass have no targets; their number is not limited by anything
    // but rows.
    if (!groups_.assign(scan_, unit, first, list, kGroupsMax, numbers_)) return;
  }
  const ColumnStore& store = *scan_.inputs[unit.input].store;
  for (size_t i = 0; i < selection_.measures.size(); ++i) {
    const Measure& measure = scan_.plan->measures()[selection_.measures[i]];
    const Tile* tile = store.tile(measure.column, unit.tile);
    if (wanted_[i].empty() || tile == nullptr) continue;
    uint64_t chosen[kBlockWords];
    for (uint32_t word = 0; word < rows / 64; ++word)
      chosen[word] = mask_[word] & tile->valid()[first / 64 + word];
    if (!grouped) {
      one_group(wanted_[i].begin()->second, *tile, measure.type, first, rows, chosen);
      continue;
    }
    if (measure.type == ColumnType::kFloat64) kernels_.finite(tile->floats() + first, rows, chosen);
    for (uint32_t word = 0; word < rows / 64; ++word) {
      for (uint64_t left = chosen[word]; left != 0; left &= left - 1) {
        const uint32_t row = word * 64 + static_cast<uint32_t>(std::countr_zero(left));
        const Targets& targets = targets_of(i, numbers_[row]);
        if (targets.begin == targets.end) continue;
        take(targets, measure.type == ColumnType::kInt64 ? order_int(tile->ints()[first + row])
                                                         : order_float(tile->floats()[first + row]));
      }
    }
  }
}

}  // namespace covey::agg
