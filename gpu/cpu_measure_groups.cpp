// What a thread does for each row rather than for each block: states of many groups, sketches, distinct
// values, times.
#include <algorithm>

#include "gpu/cpu_measure.h"
#include "gpu/mix.h"
#include "gpu/order.h"

namespace covey::agg {

namespace {

// How many edges are at or below the key; without branches that depend on it.
size_t edges_up_to(const std::vector<uint64_t>& edges, uint64_t key) {
  const uint64_t* at = edges.data();
  for (size_t left = edges.size(); left > 1;) {
    const size_t half = left / 2;
    at += static_cast<size_t>(at[half - 1] <= key) * half;  // no branch to foretell
    left -= half;
  }
  return static_cast<size_t>(at - edges.data()) + (*at <= key ? 1 : 0);
}

template <int kFolds>
void add_units(const uint16_t* listed, uint32_t count, const uint32_t* numbers, const int64_t* units,
               int64_t* into) {
  const auto add = [&](uint32_t row) {
    int64_t* at = into + size_t{numbers[row]} * kFolds;
    for (int f = 0; f < kFolds; ++f) at[f] += units[static_cast<size_t>(f) * kUnitRows + row % kUnitRows];
  };
  if (listed == nullptr) {
    for (uint32_t row = 0; row < count; ++row) add(row);
  } else {
    for (uint32_t i = 0; i < count; ++i) add(listed[i]);
  }
}

}  // namespace

void ThreadMeasure::add_grouped_units(const BlockRows& rows, const double* values, const RowList& list) {
  unit_rows_ += list.count;
  uint32_t at = 0;  // in the list
  for (uint32_t first = 0; first < list.rows; first += kUnitRows) {
    const uint32_t end = std::min<uint32_t>(list.rows, first + kUnitRows);
    const uint16_t* listed = list.listed == nullptr ? nullptr : list.listed + at;
    uint32_t count = end - first;
    if (listed != nullptr) {
      count = 0;
      while (at < list.count && list.listed[at] < end) ++at, ++count;
      if (count == 0) continue;
    }
    kernels_.float_units(values + first, end - first, group_folds_, units_.data());
    // Listed rows count from the block's begin, all rows from here.
    const uint32_t* numbers = listed == nullptr ? rows.numbers + first : rows.numbers;
    int64_t* into = group_units_.data();
    switch (group_folds_.count) {
      case 1:
        add_units<1>(listed, count, numbers, units_.data(), into);
        break;
      case 2:
        add_units<2>(listed, count, numbers, units_.data(), into);
        break;
      default:
        add_units<3>(listed, count, numbers, units_.data(), into);
        break;
    }
  }
}

void ThreadMeasure::carry_units() {
  if (unit_rows_ == 0) return;
  unit_rows_ = 0;
  for (size_t group = 0; group < groups_; ++group) {
    for (int f = 0; f < group_folds_.count; ++f) {
      int64_t& units = group_units_[group * static_cast<size_t>(group_folds_.count) + static_cast<size_t>(f)];
      state_.sum.add(group, units, group_folds_.unit(f));
      units = 0;
    }
  }
}

void ThreadMeasure::add_grouped(const BlockRows& rows, const Tile& tile, const RowList& list) {
  const uint32_t* numbers = rows.numbers;
  if (measure_.type == ColumnType::kInt64) {
    const int64_t* values = tile.ints() + rows.first;
    for_rows(list, [&](uint32_t row) {
      const Int128 value = values[row];
      if (need(kNeedSum)) state_.sum.add(numbers[row], value, 0);
      if (need(kNeedSquares)) state_.squares.add(numbers[row], value * value, 0);
    });
  } else {
    const double* values = tile.floats() + rows.first;
    const bool by_units = need(kNeedSum) && group_folds_.count > 0;
    if (by_units) add_grouped_units(rows, values, list);
    WideSums* const sum = need(kNeedSum) && !by_units ? &state_.sum : nullptr;
    WideSums* const squares = need(kNeedSquares) ? &state_.squares : nullptr;
    if (sum != nullptr || squares != nullptr) {
      for_rows(list, [&](uint32_t row) { add_exactly(sum, squares, numbers[row], values[row]); });
    }
  }
  if (!need(kNeedMinMax)) return;
  for_rows(list, [&](uint32_t row) {
    const uint64_t key = key_of(tile, rows.first + row);
    uint64_t& least = state_.min[numbers[row]];
    uint64_t& most = state_.max[numbers[row]];
    least = key < least ? key : least;
    most = key > most ? key : most;
  });
}

// Where many of the rows are wanted it costs less to count the others, too, in a place of their own.
bool ThreadMeasure::sketches_by_mask(const BlockRows& rows) const {
  return need(kNeedSketch) && !grouped_ && measure_.type == ColumnType::kFloat64 &&
         rows.list.count >= rows.list.rows / 8;
}

void ThreadMeasure::add_sketch_by_mask(const BlockRows& rows, const Tile& tile, const uint64_t* mask) {
  const double* values = tile.floats() + rows.first;
  int64_t* buckets = units_.data();
  uint64_t* counts = bucket_counts_.data();
  for (uint32_t first = 0; first < rows.list.rows; first += kUnitRows) {
    const uint32_t count = std::min<uint32_t>(kUnitRows, rows.list.rows - first);
    kernels_.float_buckets(values + first, count, mask == nullptr ? nullptr : mask + first / 64,
                           first_bucket_, buckets);
    for (uint32_t row = 0; row < count; row += 8) {
      __builtin_prefetch(values + first + row + kBlockRows);
      for (uint32_t i = 0; i < 8; ++i) ++counts[buckets[row + i]];
    }
  }
}

void ThreadMeasure::add_sketch(const BlockRows& rows, const Tile& tile, const RowList& list) {
  const bool ints = measure_.type == ColumnType::kInt64;
  const auto bucket = [&](uint32_t row) {
    return ints ? bucket_of_int(tile.ints()[rows.first + row])
                : bucket_of_float(tile.floats()[rows.first + row]);
  };
  const auto number = [&](uint32_t row) { return rows.numbers == nullptr ? 0 : rows.numbers[row]; };
  if (!sketch_tables_.empty()) {
    for_rows(list, [&](uint32_t row) { sketch_tables_[number(row)].add(bucket(row), 1); });
  } else {
    for_rows(list, [&](uint32_t row) {
      ++bucket_counts_[unwanted() + size_t{number(row)} * buckets_ + bucket(row) - first_bucket_];
    });
  }
}

void ThreadMeasure::add_distinct(const BlockRows& rows, const Tile& tile, const RowList& list) {
  const auto number = [&](uint32_t row) { return rows.numbers == nullptr ? 0 : rows.numbers[row]; };
  if (measure_.type == ColumnType::kString) {
    const Dictionary& dictionary = scan_.inputs[rows.unit.input].store->dictionary(measure_.column);
    const uint32_t* codes = tile.codes() + rows.first;
    for_rows(list, [&](uint32_t row) { state_.distinct[number(row)].add(dictionary.hash(codes[row])); });
    return;
  }
  for_rows(list,
           [&](uint32_t row) { state_.distinct[number(row)].add(mix64(key_of(tile, rows.first + row))); });
}

void ThreadMeasure::add_timed(const BlockRows& rows, const Tile& tile, const RowList& list) {
  const ColumnStore& store = *scan_.inputs[rows.unit.input].store;
  const Tile* times = store.tile(store.time_column(), rows.unit.tile);
  if (times == nullptr) return;
  const auto earlier = [](const TimedValue& a, const TimedValue& b) {
    return a.time != b.time ? a.time < b.time : a.value < b.value;
  };
  // One group: a row group whose times can't matter is passed over.
  if (rows.numbers == nullptr) {
    const bool first = need(kNeedFirst) &&
                       (!state_.first[0].present || int_from_order(times->zone.min) <= state_.first[0].time);
    const bool last = need(kNeedLast) &&
                      (!state_.last[0].present || int_from_order(times->zone.max) >= state_.last[0].time);
    if (!first && !last) return;
  }
  for_rows(list, [&](uint32_t row) {
    const uint32_t group = rows.numbers == nullptr ? 0 : rows.numbers[row];
    const TimedValue value{times->ints()[rows.first + row], key_of(tile, rows.first + row), true};
    if (need(kNeedFirst) && (!state_.first[group].present || earlier(value, state_.first[group])))
      state_.first[group] = value;
    if (need(kNeedLast) && (!state_.last[group].present || earlier(state_.last[group], value)))
      state_.last[group] = value;
  });
}

void ThreadMeasure::add_others(const BlockRows& rows, const Tile& tile, const RowList& list) {
  for (size_t h = 0; h < measure_.edges.size(); ++h) {
    const std::vector<uint64_t>& edges = measure_.edges[h];
    uint64_t* counts = state_.histograms[h].data();
    const size_t width = edges.size() + 1;
    for_rows(list, [&](uint32_t row) {
      const uint64_t key = key_of(tile, rows.first + row);
      const size_t bin = edges_up_to(edges, key);
      ++counts[(rows.numbers == nullptr ? 0 : rows.numbers[row]) * width + bin];
    });
  }
}

}  // namespace covey::agg
