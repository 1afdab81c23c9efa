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

constexpr int64_t kNarrowInts = int64_t{1} << 40;
constexpr int64_t kLargeWord = int64_t{1} << 61;

// One to the first word of a record, if kCount, and the units to those at `place`.
template <int kFolds, bool kCount>
void add_units(const RowList& list, const uint32_t* numbers, const int64_t* units, GroupRecords& records,
               uint32_t place) {
  uint64_t* const words = records.data();
  const size_t width = records.width();
  const auto add = [&](uint32_t row) {
    uint64_t* const at = words + numbers[row] * width;
    if constexpr (kCount) ++at[0];
    for (int f = 0; f < kFolds; ++f)
      at[place + static_cast<uint32_t>(f)] +=
          static_cast<uint64_t>(units[static_cast<size_t>(f) * kUnitRows + row % kUnitRows]);
  };
  if (kCount && records.far()) {
    records.for_rows_ahead(list, numbers, add);
  } else {
    for_rows(list, add);
  }
}

}  // namespace

void ThreadMeasure::reserve_words() {
  const ColumnBounds& bounds = scan_.bounds[measure_.column];
  if (need(kNeedSum) && measure_.type == ColumnType::kFloat64) {
    group_folds_ = make_folds(bounds.low, bounds.high, kFastFolds);
    sum_words_ = static_cast<uint32_t>(group_folds_.count);
    units_.resize(kFastFolds * kUnitRows);
  } else if (need(kNeedSum)) {
    const bool narrow = bounds.min > bounds.max || (int_from_order(bounds.min) > -kNarrowInts &&
                                                    int_from_order(bounds.max) < kNarrowInts);
    sum_words_ = narrow ? 1 : 2;
  }
  sum_at_ = records_->reserve(sum_words_);
  if (need(kNeedMinMax)) extremes_at_ = records_->reserve(2);
}

void ThreadMeasure::add_grouped_units(const BlockRows& rows, const double* values, const RowList& list,
                                      bool count_too) {
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
    const RowList part{end - first, count, listed};
    const auto add = [&]<int kFolds>() {
      count_too ? add_units<kFolds, true>(part, numbers, units_.data(), *records_, sum_at_)
                : add_units<kFolds, false>(part, numbers, units_.data(), *records_, sum_at_);
    };
    switch (group_folds_.count) {
      case 1:
        add.template operator()<1>();
        break;
      case 2:
        add.template operator()<2>();
        break;
      default:
        add.template operator()<3>();
        break;
    }
  }
}

void ThreadMeasure::add_grouped_ints(const BlockRows& rows, const int64_t* values, const RowList& list) {
  uint64_t* const into = records_->data() + sum_at_;
  const size_t width = records_->width();
  if (sum_words_ == 1) {
    for_rows(list,
             [&](uint32_t row) { into[rows.numbers[row] * width] += static_cast<uint64_t>(values[row]); });
    return;
  }
  for_rows(list, [&](uint32_t row) {
    uint64_t* const at = into + rows.numbers[row] * width;
    at[0] += static_cast<uint32_t>(values[row]);
    at[1] += static_cast<uint64_t>(values[row] >> 32);
  });
}

void ThreadMeasure::add_extremes(const BlockRows& rows, const Tile& tile, const RowList& list) {
  uint64_t* const into = records_->data() + extremes_at_;
  const size_t width = records_->width();
  for_rows(list, [&](uint32_t row) {
    const uint64_t key = key_of(tile, rows.first + row);
    uint64_t* const at = into + rows.numbers[row] * width;
    at[0] = std::max(at[0], ~key);
    at[1] = std::max(at[1], key);
  });
}

// No word passes 2^63 before the next time. Few ever get so large.
void ThreadMeasure::carry_large_words() {
  word_rows_ = 0;
  for (size_t group = 0; group < groups_; ++group) {
    for (uint32_t word = 0; word < sum_words_; ++word) {
      uint64_t& at = records_->at(group)[sum_at_ + word];
      const auto sum = static_cast<int64_t>(at);
      if (sum < kLargeWord && sum > -kLargeWord) continue;
      state_.sum.add(group, sum, word_exponent(word));
      at = 0;
    }
  }
}

int ThreadMeasure::word_exponent(uint32_t word) const {
  return measure_.type == ColumnType::kFloat64 ? group_folds_.unit(static_cast<int>(word))
                                               : 32 * static_cast<int>(word);
}

void ThreadMeasure::add_grouped(const BlockRows& rows, const Tile& tile, const RowList& list, bool count) {
  word_rows_ += list.count;
  const bool by_words = sum_words_ > 0;
  WideSums* const sum = need(kNeedSum) && !by_words ? &state_.sum : nullptr;
  WideSums* const squares = need(kNeedSquares) ? &state_.squares : nullptr;
  if (measure_.type == ColumnType::kInt64) {
    const int64_t* values = tile.ints() + rows.first;
    if (by_words) add_grouped_ints(rows, values, list);
    if (squares != nullptr) {
      for_rows(list, [&](uint32_t row) {
        squares->add(rows.numbers[row], static_cast<Int128>(values[row]) * values[row], 0);
      });
    }
  } else {
    const double* values = tile.floats() + rows.first;
    if (by_words) add_grouped_units(rows, values, list, count);
    if (sum != nullptr || squares != nullptr) {
      for_rows(list, [&](uint32_t row) { add_exactly(sum, squares, rows.numbers[row], values[row]); });
    }
  }
  if (need(kNeedMinMax)) add_extremes(rows, tile, list);
}

void ThreadMeasure::add_groups(MeasureState& into, const GroupMoves& moves) {
  if (need(kNeedSketch)) {
    for (const GroupMoves::Move& move : moves.list) {
      SketchState bins = sketch_of(move.from);
      SketchState& at = into.sketches[move.to];
      at.empty() ? at.swap(bins) : merge_sketch(at, bins);
    }
  }
  for (const GroupMoves::Move& move : moves.list) {
    into.valid[move.to] += records_->rows(move.from) - (move.from < nulls_.size() ? nulls_[move.from] : 0);
  }
  // Two words as one: they are 2^40 or 2^32 apart.
  const int apart = sum_words_ == 2 ? word_exponent(0) - word_exponent(1) : 0;
  for (const GroupMoves::Move& move : moves.list) {
    const auto* const words = reinterpret_cast<const int64_t*>(records_->at(move.from)) + sum_at_;
    if (sum_words_ == 2) {
      const Int128 sum = apart > 0 ? static_cast<Int128>(words[0]) * (Int128{1} << apart) + words[1]
                                   : words[0] + static_cast<Int128>(words[1]) * (Int128{1} << -apart);
      into.sum.add(move.to, sum, word_exponent(apart > 0 ? 1 : 0));
      continue;
    }
    for (uint32_t word = 0; word < sum_words_; ++word)
      into.sum.add(move.to, words[word], word_exponent(word));
  }
  if (need(kNeedMinMax)) {
    for (const GroupMoves::Move& move : moves.list) {
      const uint64_t* const words = records_->at(move.from) + extremes_at_;
      into.min[move.to] = std::min(into.min[move.to], ~words[0]);
      into.max[move.to] = std::max(into.max[move.to], words[1]);
    }
  }
  add_measure(into, std::move(state_), moves);
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
      ++bucket_counts_[size_t{number(row)} * buckets_ + bucket(row) - first_bucket_];
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
