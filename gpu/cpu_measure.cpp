#include "gpu/cpu_measure.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "gpu/mix.h"
#include "gpu/order.h"

namespace covey::agg {

namespace {

constexpr uint64_t kCarryRows = uint64_t{1} << 22;     // 2^22 values of 2^40 units, and 2^61, stay below 2^63
constexpr uint64_t kDenseBuckets = uint64_t{1} << 20;  // of all groups of a thread
constexpr int64_t kPlainInts = int64_t{1} << 50;       // sums of a block stay below 2^63
constexpr int64_t kPlainSquares = int64_t{1} << 25;

// Values are in a range whose squares' errors are exact, too.
bool squares_fit(int low, int high) { return 2 * low >= -1060 && high <= 480; }

}  // namespace

uint32_t list_rows(const uint64_t* mask, uint32_t rows, uint16_t* into) {
  uint32_t count = 0;
  for (uint32_t word = 0; word < rows / 64; ++word) {
    for (uint64_t left = mask[word]; left != 0; left &= left - 1) {
      into[count++] = static_cast<uint16_t>(word * 64 + static_cast<uint32_t>(std::countr_zero(left)));
    }
  }
  return count;
}

SketchState SketchTable::sorted() const {
  SketchState bins;
  for (const SketchBin& slot : slots_) {
    if (slot.count > 0) bins.push_back(slot);
  }
  std::sort(bins.begin(), bins.end(), [](const auto& a, const auto& b) { return a.bucket < b.bucket; });
  return bins;
}

void SketchTable::grow() {
  std::vector<SketchBin> old(std::max<size_t>(4, slots_.size() * 2));
  old.swap(slots_);
  used_ = 0;
  for (const SketchBin& slot : old) {
    if (slot.count > 0) add(slot.bucket, slot.count);
  }
}

ThreadMeasure::ThreadMeasure(const BoundScan& scan, const Kernels& kernels, uint32_t measure,
                             GroupRecords* records)
    : scan_(scan),
      kernels_(kernels),
      measure_(scan.plan->measures()[measure]),
      grouped_(records != nullptr),
      records_(records) {
  const ColumnBounds& bounds = scan.bounds[measure_.column];
  state_.histograms.resize(measure_.edges.size());
  if (grouped_) reserve_words();
  if (need(kNeedSketch) && bounds.min <= bounds.max) {
    const bool ints = measure_.type == ColumnType::kInt64;
    const auto bucket = [&](uint64_t key) {
      return ints ? bucket_of_int(int_from_order(key)) : bucket_of_float(float_from_order(key));
    };
    first_bucket_ = bucket(bounds.min);
    buckets_ = bucket(bounds.max) - first_bucket_ + 1;
  }
  if (!grouped_) resize(1);
}

void ThreadMeasure::resize(size_t groups) {
  groups_ = groups;
  if (need(kNeedSum)) state_.sum.resize(groups);
  if (need(kNeedSquares)) state_.squares.resize(groups);
  if (need(kNeedMinMax) && !grouped_) {
    state_.min.resize(groups, UINT64_MAX);
    state_.max.resize(groups, 0);
  }
  if (need(kNeedSketch)) resize_sketches(groups);
  if (need(kNeedDistinct)) state_.distinct.resize(groups);
  for (size_t h = 0; h < measure_.edges.size(); ++h)
    state_.histograms[h].resize(groups * (measure_.edges[h].size() + 1));
  if (need(kNeedFirst)) state_.first.resize(groups);
  if (need(kNeedLast)) state_.last.resize(groups);
}

void ThreadMeasure::resize_sketches(size_t groups) {
  if (sketch_tables_.empty() && groups * buckets_ <= kDenseBuckets) {
    bucket_counts_.resize(groups * buckets_);
    return;
  }
  sketch_tables_.resize(groups);
  for (size_t i = 0; i < bucket_counts_.size(); ++i) {
    const auto bucket = static_cast<uint32_t>(i % buckets_);
    if (bucket_counts_[i] > 0) sketch_tables_[i / buckets_].add(first_bucket_ + bucket, bucket_counts_[i]);
  }
  bucket_counts_ = {};
}

void ThreadMeasure::share(BlockShares& shares) {
  if (grouped_ || measure_.type != ColumnType::kFloat64) return;
  if (need(kNeedSketch)) {
    counter_ = &shares.sketches(measure_.column, first_bucket_, buckets_);
    member_ = counter_->enlist();
  }
  if (need(kNeedSquares) && kernels_.moments != nullptr) {
    moments_ = &shares.moments(measure_.column);
    ++moments_->members;
  }
}

void ThreadMeasure::begin_unit(const BoundScan::Unit& unit) {
  if (grouped_) return;
  const Tile* tile = scan_.inputs[unit.input].store->tile(measure_.column, unit.tile);
  fast_ = positive_ = false;
  if (tile == nullptr || measure_.type == ColumnType::kString) return;
  const ZoneMap& zone = tile->zone;
  if (measure_.type == ColumnType::kFloat64) {
    const bool zeros = zone.low == kNoExponent;
    const int low = zeros ? 0 : zone.low;
    const int high = zeros ? 1 : zone.high;
    sum_folds_ = make_folds(low, high, kFastFolds);
    fast_ = sum_folds_.count > 0;
    if (fast_ && need(kNeedSquares) && !kernels_.integer_squares) {
      square_folds_ = make_folds(2 * high - kFoldBits * 2 * sum_folds_.count, 2 * high, kSquareFolds);
      fast_ = square_folds_.count > 0 && squares_fit(low, high);
    }
    if (kernels_.integer_squares) square_folds_ = {};
    positive_ = fast_ && need(kNeedSquares) && kernels_.moments != nullptr && sum_folds_.count <= 2 &&
                zone.min >= order_float(0.0);
    unit_sums_ = {};
  } else {
    const int64_t bound = need(kNeedSquares) ? kPlainSquares : kPlainInts;
    fast_ = zone.min > zone.max || (int_from_order(zone.min) > -bound && int_from_order(zone.max) < bound);
    int_unit_sums_ = {};
  }
}

bool ThreadMeasure::sums_units(const BoundScan::Unit& unit) const {
  const ColumnStore& store = *scan_.inputs[unit.input].store;
  const Tile* tile = store.tile(measure_.column, unit.tile);
  return !grouped_ && fast_ && measure_.type == ColumnType::kFloat64 && measure_.needs == kNeedSum &&
         measure_.edges.empty() && tile != nullptr && tile->zone.count == store.live_rows(unit.tile) &&
         !tile->zone.has_special;
}

void ThreadMeasure::take_units(const int64_t* units) {
  for (int f = 0; f < sum_folds_.count; ++f) unit_sums_.sum[f] += units[f];
}

void ThreadMeasure::end_unit() {
  if (grouped_) {
    if (word_rows_ >= kCarryRows - kTileRows) carry_large_words();
    return;
  }
  if (!fast_) return;
  if (measure_.type == ColumnType::kInt64) {
    // Sums of blocks were added to the states one by one; only the extremes are left.
    if (need(kNeedMinMax) && int_unit_sums_.min <= int_unit_sums_.max) {
      state_.min[0] = std::min(state_.min[0], order_int(int_unit_sums_.min));
      state_.max[0] = std::max(state_.max[0], order_int(int_unit_sums_.max));
    }
    return;
  }
  if (need(kNeedSum)) {
    for (int f = 0; f < sum_folds_.count; ++f) state_.sum.add(0, unit_sums_.sum[f], sum_folds_.unit(f));
  }
  if (need(kNeedSquares)) {
    for (int f = 0; f < square_folds_.count; ++f) {
      state_.squares.add(0, unit_sums_.squares[f], square_folds_.unit(f));
    }
    for (int part = 0; kernels_.integer_squares && part < square_parts(sum_folds_); ++part) {
      state_.squares.add(0, unit_sums_.squares[part], square_part(sum_folds_, part));
    }
  }
  if (need(kNeedMinMax) && unit_sums_.min <= unit_sums_.max) {
    state_.min[0] = std::min(state_.min[0], order_float(unit_sums_.min + 0.0));
    state_.max[0] = std::max(state_.max[0], order_float(unit_sums_.max + 0.0));
  }
}

void ThreadMeasure::count_nulls(const BlockRows& rows, uint32_t word, uint64_t bits) {
  if (bits == 0) return;
  if (nulls_.size() < groups_) nulls_.resize(groups_);
  if (rows.numbers == nullptr) {
    nulls_[0] += static_cast<uint64_t>(std::popcount(bits));
    return;
  }
  for (; bits != 0; bits &= bits - 1)
    ++nulls_[rows.numbers[word * 64 + static_cast<uint32_t>(std::countr_zero(bits))]];
}

void ThreadMeasure::count_special(const BlockRows& rows, const Tile& tile, uint32_t word, uint64_t bits) {
  for (; bits != 0; bits &= bits - 1) {
    const uint32_t row = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
    const double value = tile.floats()[rows.first + row];
    auto& counts = value != value ? state_.nan
                   : value > 0    ? state_.positive_infinities
                                  : state_.negative_infinities;
    if (counts.size() < groups_) counts.resize(groups_);
    ++counts[rows.numbers == nullptr ? 0 : rows.numbers[row]];
  }
}

const uint64_t* ThreadMeasure::usable(const BlockRows& rows, const Tile& tile, bool& all) {
  const uint32_t words = rows.list.rows / 64;
  const bool full = tile.zone.count == scan_.inputs[rows.unit.input].store->capacity(rows.unit.tile);
  all = rows.mask == nullptr;
  if (full && !tile.zone.has_special) return rows.mask;
  for (uint32_t word = 0; word < words; ++word) {
    const uint64_t chosen = rows.mask == nullptr ? ~uint64_t{0} : rows.mask[word];
    mask_[word] = chosen & tile.valid()[rows.first / 64 + word];
    count_nulls(rows, word, chosen & ~mask_[word]);
  }
  if (tile.zone.has_special) {
    uint64_t valid[kBlockRows / 64];
    std::copy(mask_, mask_ + words, valid);
    kernels_.finite(tile.floats() + rows.first, rows.list.rows, mask_);
    for (uint32_t word = 0; word < words; ++word) count_special(rows, tile, word, valid[word] & ~mask_[word]);
  }
  all = all && std::all_of(mask_, mask_ + words, [](uint64_t word) { return word == ~uint64_t{0}; });
  return all ? nullptr : mask_;
}

void ThreadMeasure::add(const BlockRows& rows) {
  const Tile* tile = scan_.inputs[rows.unit.input].store->tile(measure_.column, rows.unit.tile);
  if (tile == nullptr) {
    if (rows.count) records_->count(rows.list, rows.numbers);
    for (uint32_t word = 0; word < rows.list.rows / 64; ++word) {
      count_nulls(rows, word, rows.mask == nullptr ? ~uint64_t{0} : rows.mask[word]);
    }
    return;
  }
  bool all = false;
  const uint64_t* mask = usable(rows, *tile, all);
  // Where the same rows are summed, it is done on the way.
  const bool count_too = rows.count && group_folds_.count > 0 && mask == rows.mask;
  if (rows.count && !count_too) records_->count(rows.list, rows.numbers);
  if (measure_.needs == 0 && measure_.edges.empty()) return;
  constexpr uint32_t kSums = kNeedSum | kNeedSquares | kNeedMinMax;
  if (!grouped_ && need(kSums)) add_sums(rows, *tile, mask);
  // Where few of the rows are wanted it costs less to look at those alone.
  const bool shared = counter_ != nullptr && rows.list.count >= rows.list.rows / 8;
  if (shared) counter_->want(member_, mask);
  const uint32_t rest = measure_.needs & ~(shared ? kSums | kNeedSketch : kSums);
  const bool by_rows = (grouped_ && need(kSums)) || rest != 0 || !measure_.edges.empty();
  if (!by_rows) return;
  RowList list = rows.list;
  if (!all && (mask != rows.mask || list.listed == nullptr)) {
    list.count = list_rows(mask, list.rows, listed_);
    list.listed = listed_;
  }
  if (grouped_ && need(kSums)) add_grouped(rows, *tile, list, count_too);
  if (need(kNeedSketch) && !shared) add_sketch(rows, *tile, list);
  if (need(kNeedDistinct)) add_distinct(rows, *tile, list);
  if (need(kNeedFirst | kNeedLast)) add_timed(rows, *tile, list);
  if (!measure_.edges.empty()) add_others(rows, *tile, list);
}

void ThreadMeasure::add_sums(const BlockRows& rows, const Tile& tile, const uint64_t* mask) {
  if (measure_.type == ColumnType::kInt64)
    return add_int_sums(tile.ints() + rows.first, rows.list.rows, mask);
  // Rows without a value hold zeros: a sum of all rows needs no mask for them.
  const bool plain = rows.mask == nullptr && !tile.zone.has_special && !need(kNeedMinMax | kNeedSquares);
  add_float_sums(tile.floats() + rows.first, rows.list.rows, plain ? nullptr : mask);
}

template <class Action>
void each_row(uint32_t rows, const uint64_t* mask, Action action) {
  if (mask == nullptr) {
    for (uint32_t row = 0; row < rows; ++row) action(row);
    return;
  }
  for (uint32_t word = 0; word < rows / 64; ++word) {
    for (uint64_t left = mask[word]; left != 0; left &= left - 1) {
      action(word * 64 + static_cast<uint32_t>(std::countr_zero(left)));
    }
  }
}

void add_exactly(WideSums* sum, WideSums* squares, size_t group, double value) {
  const Scaled parts = scaled(value);
  if (sum != nullptr) sum->add(group, parts.mantissa, parts.exponent);
  if (squares != nullptr)
    squares->add(group, static_cast<Int128>(parts.mantissa) * parts.mantissa, 2 * parts.exponent);
}

void ThreadMeasure::add_float_sums(const double* values, uint32_t rows, const uint64_t* mask) {
  constexpr uint32_t kSums = kNeedSum | kNeedSquares | kNeedMinMax;
  if (positive_) {
    const RowSums wanted{mask, &unit_sums_};
    if (moments_ == nullptr || moments_->members < 2) {
      kernels_.moments(values, rows, sum_folds_, &wanted, 1);
    } else {
      moments_->folds = sum_folds_;  // the row group's: they are all the same
      moments_->wanted.push_back(wanted);
    }
    return;
  }
  if (fast_) {
    kernels_.floats(values, rows, mask, measure_.needs & kSums, sum_folds_, square_folds_, unit_sums_);
    return;
  }
  each_row(rows, mask, [&](uint32_t row) {
    add_exactly(need(kNeedSum) ? &state_.sum : nullptr, need(kNeedSquares) ? &state_.squares : nullptr, 0,
                values[row]);
    if (!need(kNeedMinMax)) return;
    state_.min[0] = std::min(state_.min[0], order_float(values[row]));
    state_.max[0] = std::max(state_.max[0], order_float(values[row]));
  });
}

void ThreadMeasure::add_int_sums(const int64_t* values, uint32_t rows, const uint64_t* mask) {
  constexpr uint32_t kSums = kNeedSum | kNeedSquares | kNeedMinMax;
  if (fast_) {
    kernels_.ints(values, rows, mask, measure_.needs & kSums, int_unit_sums_);
    if (need(kNeedSum)) state_.sum.add(0, int_unit_sums_.sum, 0);
    if (need(kNeedSquares)) state_.squares.add(0, int_unit_sums_.squares, 0);
    int_unit_sums_.sum = int_unit_sums_.squares = 0;
    return;
  }
  Int128 sum = 0;
  Uint128 squares_low = 0;  // of a block: 2^11 squares of up to 2^126
  uint64_t squares_high = 0;
  each_row(rows, mask, [&](uint32_t row) {
    const Int128 value = values[row];
    sum += value;
    if (need(kNeedSquares)) {
      const auto square = static_cast<Uint128>(value * value);
      squares_low += static_cast<uint64_t>(square);
      squares_high += static_cast<uint64_t>(square >> 64) & UINT32_MAX;
      state_.squares.add(0, static_cast<Int128>(square >> 96), 96);
    }
    if (!need(kNeedMinMax)) return;
    state_.min[0] = std::min(state_.min[0], order_int(values[row]));
    state_.max[0] = std::max(state_.max[0], order_int(values[row]));
  });
  if (need(kNeedSum)) state_.sum.add(0, sum, 0);
  if (need(kNeedSquares)) {
    state_.squares.add(0, static_cast<Int128>(squares_low), 0);
    state_.squares.add(0, static_cast<Int128>(squares_high), 64);
  }
}

uint64_t ThreadMeasure::key_of(const Tile& tile, uint32_t row) const {
  return measure_.type == ColumnType::kInt64 ? order_int(tile.ints()[row]) : order_float(tile.floats()[row]);
}

SketchState ThreadMeasure::sketch_of(size_t group) const {
  if (!sketch_tables_.empty()) return sketch_tables_[group].sorted();
  SketchState bins;
  for (uint32_t i = 0; i < buckets_; ++i) {
    const uint64_t count = bucket_counts_[group * buckets_ + i];
    if (count > 0) bins.push_back({first_bucket_ + i, count});
  }
  return bins;
}

MeasureState ThreadMeasure::finish(uint64_t rows) {
  state_.valid = {rows - (nulls_.empty() ? 0 : nulls_[0])};
  if (measure_.type == ColumnType::kFloat64) {
    for (auto* counts : {&state_.nan, &state_.positive_infinities, &state_.negative_infinities})
      counts->resize(1);
  }
  if (counter_ != nullptr) counter_->add_to(member_, bucket_counts_.data());
  if (need(kNeedSketch)) state_.sketches = {sketch_of(0)};
  state_.sum.trim();
  state_.squares.trim();
  return std::move(state_);
}

uint64_t ThreadMeasure::bytes() const {
  uint64_t bytes = state_.sum.bytes() + state_.squares.bytes();
  bytes +=
      (nulls_.capacity() + state_.min.capacity() + state_.max.capacity() + bucket_counts_.capacity()) * 8;
  for (const auto& histogram : state_.histograms) bytes += histogram.capacity() * 8;
  for (const SketchTable& table : sketch_tables_) bytes += sizeof table + table.bytes();
  for (const DistinctState& distinct : state_.distinct) bytes += sizeof distinct + distinct.bytes();
  return bytes + (state_.first.capacity() + state_.last.capacity()) * sizeof(TimedValue);
}

}  // namespace covey::agg
