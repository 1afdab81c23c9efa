#include "gpu/cpu_scan.h"

#include <algorithm>

#include "gpu/order.h"

namespace covey::agg {

ThreadSelection::ThreadSelection(const BoundScan& scan, const Kernels& kernels, uint32_t selection)
    : scan_(scan),
      kernels_(kernels),
      index_(selection),
      selection_(scan.plan->selections()[selection]),
      grouped_(!selection_.group_by.empty()),
      groups_(scan.selections[selection].layout) {
  failed_ = scan.selections[selection].failed;
  if (failed_) return;
  for (const uint32_t measure : selection_.measures) {
    const bool ready = !scan.not_ready[scan.plan->measures()[measure].column];
    measures_.push_back(ready ? std::make_unique<ThreadMeasure>(scan, kernels, measure, grouped_) : nullptr);
  }
  if (!grouped_) rows_.resize(1);
}

void ThreadSelection::begin_unit(const BoundScan::Unit& unit, uint32_t threads) {
  if (failed_) return;
  filter_ = filter_unit(scan_, index_, unit);
  if (filter_.skipped) return;
  if (grouped_) check_bytes(threads);
  if (failed_) return;
  each_measure([&](ThreadMeasure& measure) { measure.begin_unit(unit); });
}

void ThreadSelection::check_bytes(uint32_t threads) {
  ++units_;
  // Adding up all groups' states takes time in proportion to them: less often when there are many.
  if (rows_.size() > 4096 && units_ < next_check_) return;
  next_check_ = units_ + 8;
  uint64_t bytes = groups_.bytes() + rows_.capacity() * 8;
  each_measure([&](ThreadMeasure& measure) { bytes += measure.bytes(); });
  if (bytes <= scan_.plan->options().state_bytes_max / threads) return;
  failed_ =
      Error{ErrorCode::kTooLarge,
            "the groups' states would take too much memory: filter the rows or ask for fewer groups", ""};
}

void ThreadSelection::scan_block(const BoundScan::Unit& unit, uint32_t first, uint32_t rows) {
  BlockRows block;
  block.unit = unit;
  block.first = first;
  bool all = false;
  block.list.rows = rows;
  block.list.count = select_rows(scan_, kernels_, index_, filter_, unit, first, rows, mask_, all);
  if (block.list.count == 0) return;
  block.mask = all ? nullptr : mask_;
  if (!grouped_) {
    rows_[0] += block.list.count;
    each_measure([&](ThreadMeasure& measure) { measure.add(block); });
    return;
  }
  if (!all) {
    list_rows(mask_, rows, listed_);
    block.list.listed = listed_;
  }
  if (!groups_.assign(scan_, unit, first, block.list, selection_.limit_groups, numbers_)) {
    failed_ = too_many_groups(selection_.limit_groups);
    return;
  }
  if (groups_.size() > rows_.size()) {
    // Room for twice as many, so that states are not moved with each new group.
    const size_t room = scan_.selections[index_].layout.dense ? groups_.size() : groups_.size() * 2;
    rows_.resize(room);
    each_measure([&](ThreadMeasure& measure) { measure.resize(room); });
  }
  count_rows(block.list);
  block.numbers = numbers_;
  each_measure([&](ThreadMeasure& measure) { measure.add(block); });
}

bool ThreadSelection::scan_whole(const BoundScan::Unit& unit, uint32_t rows) {
  if (grouped_ || measures_.size() < 2 || !filter_.all_live || !filter_.conditions.empty()) return false;
  rows_[0] += rows;
  each_measure([&](ThreadMeasure& measure) {
    BlockRows block;
    block.unit = unit;
    for (block.first = 0; block.first < rows; block.first += kBlockRows) {
      block.list.rows = block.list.count = std::min<uint32_t>(kBlockRows, rows - block.first);
      measure.add(block);
    }
  });
  return true;
}

void ThreadSelection::count_rows(const RowList& list) {
  uint64_t* rows = rows_.data();
  if (list.listed == nullptr) {
    for (uint32_t row = 0; row < list.rows; ++row) ++rows[numbers_[row]];
  } else {
    for (uint32_t i = 0; i < list.count; ++i) ++rows[numbers_[list.listed[i]]];
  }
}

std::optional<RangeSum> ThreadSelection::range_sum(const BoundScan::Unit& unit) const {
  if (!active() || grouped_ || measures_.size() != 1 || !measures_[0] || !measures_[0]->sums_units(unit))
    return std::nullopt;
  if (!filter_.unrestricted || filter_.conditions.size() != 1) return std::nullopt;
  const Condition& condition = selection_.conditions[filter_.conditions[0]];
  const ColumnStore& store = *scan_.inputs[unit.input].store;
  const Tile* keys = store.tile(condition.column, unit.tile);
  if (condition.kind != Condition::Kind::kRange ||
      store.schema().columns[condition.column].type != ColumnType::kFloat64 ||
      keys->zone.count != store.live_rows(unit.tile) || keys->zone.has_special) {
    return std::nullopt;
  }
  return RangeSum{condition.column, scan_.plan->measures()[selection_.measures[0]].column,
                  float_from_order(condition.lo), float_from_order(condition.hi)};
}

void ThreadSelection::end_unit() {
  if (!active()) return;
  each_measure([](ThreadMeasure& measure) { measure.end_unit(); });
}

namespace {

template <class T>
void keep(std::vector<T>& values, const std::vector<uint32_t>& order, size_t width = 1) {
  if (values.empty()) return;
  std::vector<T> kept;
  kept.reserve(order.size() * width);
  for (const uint32_t from : order) {
    for (size_t i = 0; i < width; ++i) kept.push_back(std::move(values[from * width + i]));
  }
  values = std::move(kept);
}

void keep(WideSums& sums, const std::vector<uint32_t>& order) {
  if (sums.groups() == 0) return;
  WideSums kept;
  kept.resize(order.size());
  if (sums.limbs() > 0) {
    kept.widen(sums.base(), sums.limbs());
    for (size_t i = 0; i < order.size(); ++i)
      std::copy(sums.at(order[i]), sums.at(order[i]) + sums.limbs(), kept.at(i));
  }
  sums = std::move(kept);
}

// The groups in this order, and no others.
void keep(MeasureState& state, const std::vector<uint32_t>& order, const Measure& measure) {
  for (auto* counts : {&state.valid, &state.nan, &state.positive_infinities, &state.negative_infinities,
                       &state.min, &state.max}) {
    keep(*counts, order);
  }
  keep(state.sum, order);
  keep(state.squares, order);
  keep(state.sketches, order);
  keep(state.distinct, order);
  keep(state.first, order);
  keep(state.last, order);
  for (size_t h = 0; h < state.histograms.size(); ++h)
    keep(state.histograms[h], order, measure.edges[h].size() + 1);
}

}  // namespace

SelectionState ThreadSelection::finish() {
  SelectionState state;
  if (failed_) {
    state.failed = failed_;
    return state;
  }
  for (size_t i = 0; i < measures_.size(); ++i) {
    if (measures_[i]) {
      state.measures.push_back(measures_[i]->finish(rows_));
    } else {
      state.measures.emplace_back().failed =
          scan_.not_ready[scan_.plan->measures()[selection_.measures[i]].column];
    }
  }
  std::vector<uint32_t> order;
  if (!grouped_) {
    order.push_back(0);
    state.keys.emplace_back();
  } else {
    std::vector<std::pair<std::string, uint32_t>> keys;
    keys.reserve(std::min<uint64_t>(rows_.size(), selection_.limit_groups));
    for (uint32_t number = 0; number < rows_.size(); ++number) {
      if (rows_[number] == 0) continue;
      std::string key;
      groups_.append_key(number, key);
      keys.emplace_back(std::move(key), number);
    }
    if (keys.size() > selection_.limit_groups) {
      SelectionState failed;
      failed.failed = too_many_groups(selection_.limit_groups);
      return failed;
    }
    // Numbers of small integers have their order.
    if (!std::is_sorted(keys.begin(), keys.end())) std::sort(keys.begin(), keys.end());
    order.reserve(keys.size());
    state.keys.reserve(keys.size());
    for (auto& [key, number] : keys) {
      order.push_back(number);
      state.keys.push_back(std::move(key));
    }
  }
  state.rows = std::move(rows_);
  keep(state.rows, order);
  for (size_t i = 0; i < state.measures.size(); ++i) {
    MeasureState& measure = state.measures[i];
    if (grouped_) keep(measure, order, scan_.plan->measures()[selection_.measures[i]]);
    measure.sum.trim();
    measure.squares.trim();
  }
  return state;
}

uint64_t unit_bytes(const BoundScan& scan, const BoundScan::Unit& unit) {
  const ColumnStore& store = *scan.inputs[unit.input].store;
  const uint64_t rows = store.capacity(unit.tile);
  uint64_t bytes = 0;
  for (const uint32_t column : scan.plan->columns()) {
    if (store.tile(column, unit.tile) == nullptr) continue;
    bytes += rows *
             (column < store.schema().columns.size() ? value_bytes(store.schema().columns[column].type) : 8);
  }
  return bytes + rows / 8;
}

}  // namespace covey::agg
