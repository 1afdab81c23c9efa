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
    GroupRecords* const records = grouped_ ? &records_ : nullptr;
    measures_.push_back(ready ? std::make_unique<ThreadMeasure>(scan, kernels, measure, records) : nullptr);
  }
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
  if (records_.groups() > 4096 && units_ < next_check_) return;
  next_check_ = units_ + 8;
  uint64_t bytes = groups_.bytes() + records_.bytes();
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
    rows_ += block.list.count;
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
  if (groups_.size() > records_.groups()) {
    // Room for twice as many, so that states are not moved with each new group.
    const size_t room = scan_.selections[index_].layout.dense ? groups_.size() : groups_.size() * 2;
    records_.resize(room);
    each_measure([&](ThreadMeasure& measure) { measure.resize(room); });
  }
  block.numbers = numbers_;
  block.count = true;
  each_measure([&](ThreadMeasure& measure) {
    measure.add(block);
    block.count = false;
  });
  if (block.count) records_.count(block.list, numbers_);
}

bool ThreadSelection::scan_whole(const BoundScan::Unit& unit, uint32_t rows) {
  if (grouped_ || measures_.size() < 2 || !filter_.all_live || !filter_.conditions.empty()) return false;
  bool shares = false;
  each_measure([&](ThreadMeasure& measure) { shares = shares || measure.shares(); });
  if (shares) return false;
  rows_ += rows;
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

SelectionState ThreadSelection::finish() {
  SelectionState state;
  state.failed = failed_;
  if (failed_) return state;
  for (size_t i = 0; i < measures_.size(); ++i) {
    if (measures_[i]) {
      state.measures.push_back(measures_[i]->finish(rows_));
    } else {
      state.measures.emplace_back().failed =
          scan_.not_ready[scan_.plan->measures()[selection_.measures[i]].column];
    }
  }
  state.keys.push_back("");
  state.rows = {rows_};
  return state;
}

void ThreadSelection::list_groups() {
  if (failed_) return;
  std::vector<uint32_t> numbers(records_.groups());
  size_t count = 0;
  for (uint32_t number = 0; number < records_.groups(); ++number) {
    numbers[count] = number;
    count += records_.rows(number) > 0 ? 1 : 0;
  }
  numbers.resize(count);
  if (numbers.size() > selection_.limit_groups) {
    failed_ = too_many_groups(selection_.limit_groups);
    return;
  }
  GroupKeys keys;
  keys.reserve(count, count * 9);  // of a number; for others it grows
  for (const uint32_t number : numbers) keys.add([&](std::string& key) { groups_.append_key(number, key); });
  std::vector<uint32_t> order = sorted_order(keys);
  if (order.empty()) {  // numbers of small integers have their order
    listed_groups_ = {std::move(numbers), std::move(keys)};
    return;
  }
  listed_groups_.keys.reserve(keys.size(), keys.bytes());
  for (uint32_t& at : order) {
    listed_groups_.keys.push_back(keys[at]);
    at = numbers[at];
  }
  listed_groups_.numbers = std::move(order);
}

void ThreadSelection::add_groups(SelectionState& into, const GroupMoves& moves) {
  for (const GroupMoves::Move& move : moves.list) into.rows[move.to] += records_.rows(move.from);
  for (size_t i = 0; i < measures_.size(); ++i) {
    if (measures_[i]) {
      measures_[i]->add_groups(into.measures[i], moves);
    } else {
      into.measures[i] = {};
      into.measures[i].failed = scan_.not_ready[scan_.plan->measures()[selection_.measures[i]].column];
    }
  }
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
