#include "gpu/cuda_compile.h"

#include <algorithm>
#include <bit>

#include "gpu/cuda_sums.h"

namespace covey::agg::cuda {

namespace {

constexpr uint64_t kBinsMax = uint64_t{1} << 24;
constexpr uint64_t kHashedMax = uint64_t{1} << 20;
constexpr uint64_t kDistinctGroupsMax = 256;
constexpr uint64_t kSeenBitsMax = uint64_t{1} << 27;

// Squares and their rounding errors are exact.
bool squares_fit(int low, int high) { return 2 * low >= -1060 && high <= 480; }

SumWords limbs(int low, int high) {
  SumWords sum;
  sum.form = SumForm::kLimbs;
  sum.base = low & ~31;
  sum.count = static_cast<uint32_t>((high - sum.base + 31) / 32);
  return sum;
}

SumWords folded(const Folds& folds) {
  SumWords sum;
  sum.form = SumForm::kFolds;
  sum.count = static_cast<uint32_t>(folds.count);
  sum.folds = folds;
  return sum;
}

SumWords ints(uint32_t count) {
  SumWords sum;
  sum.form = SumForm::kInts;
  sum.count = count;
  return sum;
}

void place(SumWords& sum, uint32_t& width) {
  sum.word = width;
  width += sum.count;
}

uint32_t words_from(uint32_t count, uint32_t& width) {
  const uint32_t word = width;
  width += count;
  return word;
}

}  // namespace

const std::byte* Parameters::put(const void* data, size_t bytes) {
  bytes_.resize((bytes_.size() + 15) / 16 * 16);
  const std::byte* const at = base_ + bytes_.size();
  bytes_.append(static_cast<const char*>(data), bytes);
  return at;
}

Result<Program> Program::make_groups(const BoundScan& scan, const ProgramLimits& limits) {
  static const HashedTables none;
  Program program(scan, none);
  for (uint32_t i = 0; i < scan.plan->selections().size(); ++i) {
    if (!scan.selections[i].failed && !scan.selections[i].layout.dense) program.add_table(i);
  }
  program.place_words(limits);
  if (!program.refused_.empty()) return Error{ErrorCode::kNotForDevice, program.refused_, ""};
  return program;
}

Result<Program> Program::make(const BoundScan& scan, const HashedTables& tables,
                              const ProgramLimits& limits) {
  Program program(scan, tables);
  const Plan& plan = *scan.plan;
  for (uint32_t i = 0; i < plan.selections().size(); ++i) {
    if (!program.add_selection(i)) continue;
    Selection& selection = program.selections.back();
    for (const uint32_t measure : plan.selections()[i].measures) {
      if (scan.not_ready[plan.measures()[measure].column]) continue;
      if (!program.add_measure(measure, selection)) break;
    }
    selection.measures_end = static_cast<uint32_t>(program.measures.size());
    std::vector<uint8_t>& greatest = program.greatest_.emplace_back(selection.width);
    for (uint32_t m = selection.measures_begin; m < selection.measures_end; ++m) {
      const Measure& measure = program.measures[m];
      for (const uint32_t word : {measure.least, measure.most}) {
        if (word != kNothing) greatest[word] = 1;
      }
      for (const uint32_t word : {measure.first, measure.last}) {
        if (word != kNothing) greatest[word] = greatest[word + 1] = 1;
      }
    }
  }
  if (program.refused_.empty()) program.place_words(limits);
  if (!program.refused_.empty()) return Error{ErrorCode::kNotForDevice, program.refused_, ""};
  return program;
}

Result<Program> Program::make_for_refinement(const BoundScan& scan, const HashedTables& tables,
                                             const ProgramLimits& limits) {
  Program program(scan, tables);
  for (uint32_t i = 0; i < scan.plan->selections().size(); ++i) {
    if (!program.add_selection(i)) continue;
    program.selections.back().width = 0;
    program.greatest_.emplace_back();
  }
  program.place_words(limits);
  if (!program.refused_.empty()) return Error{ErrorCode::kNotForDevice, program.refused_, ""};
  return program;
}

const HashedGroups* Program::hashed(size_t selection) const {
  const auto found = tables_->find(plan_selections[selection]);
  return found == tables_->end() ? nullptr : &found->second;
}

void Program::refuse(std::string reason) {
  if (refused_.empty()) refused_ = std::move(reason);
}

uint64_t Program::take_result(uint64_t bytes) {
  const uint64_t at = results_bytes_;
  results_bytes_ += (bytes + 15) / 16 * 16;
  return at;
}

uint32_t Program::column_of(uint32_t column) const {
  const auto columns = scan_->plan->columns();
  return static_cast<uint32_t>(std::lower_bound(columns.begin(), columns.end(), column) - columns.begin());
}

// False: it has failed already.
bool Program::add_selection(uint32_t index) {
  if (scan_->selections[index].failed) return false;
  const covey::agg::Selection& from = scan_->plan->selections()[index];
  const auto table = tables_->find(index);
  if (table != tables_->end() && table->second.failed) return false;
  Selection selection;
  if (table != tables_->end()) {
    selection = table->second.selection;
    selection.groups = table->second.keys.size();
  } else {
    COVEY_AGG_ASSERT(scan_->selections[index].layout.dense);
    selection.groups = scan_->selections[index].layout.groups;
  }
  selection.width = 1;
  selection.row_set = from.row_set ? *from.row_set : kNothing;
  selection.measures_begin = selection.measures_end = static_cast<uint32_t>(measures.size());
  selections.push_back(selection);
  plan_selections.push_back(index);
  table_places.emplace_back();
  return true;
}

void Program::add_table(uint32_t index) {
  const covey::agg::Selection& from = scan_->plan->selections()[index];
  uint64_t rows = 0;
  for (const BoundInput& input : scan_->inputs) rows += input.store->rows();
  Selection& selection = selections.emplace_back();
  plan_selections.push_back(index);
  greatest_.emplace_back();
  selection.row_set = from.row_set ? *from.row_set : kNothing;
  selection.limit = static_cast<uint32_t>(std::min({from.limit_groups, rows, kHashedMax}));
  selection.groups = std::bit_ceil(2 * uint64_t{selection.limit} + 64);
  selection.table_mask = selection.groups - 1;
  const uint64_t bytes = selection.groups * 8 + 16 + selection.groups * (from.group_by.size() + 1) * 8;
  table_places.push_back({take_result(bytes), bytes});
}

bool Program::add_measure(uint32_t index, Selection& selection) {
  const covey::agg::Measure& from = scan_->plan->measures()[index];
  Measure& measure = measures.emplace_back();
  plan_measures.push_back(index);
  uint32_t& width = selection.width;
  measure.column = column_of(from.column);
  measure.is_float = from.type == ColumnType::kFloat64 ? 1 : 0;
  measure.flip = measure.is_float != 0 ? kFlipFloat : kFlipInt;
  measure.nulls = words_from(1, width);
  if (measure.is_float != 0) measure.special = words_from(3, width);
  if (measure.is_float != 0) {
    add_float_sums(measure, from.needs, width);
  } else if (from.type == ColumnType::kInt64) {
    add_int_sums(measure, from.needs, width);
  }
  if (from.needs & kNeedMinMax) {
    measure.least = words_from(1, width);
    measure.most = words_from(1, width);
  }
  if (from.needs & kNeedFirst) measure.first = words_from(2, width);
  if (from.needs & kNeedLast) measure.last = words_from(2, width);
  times_ = times_ || (from.needs & (kNeedFirst | kNeedLast)) != 0;
  const ColumnBounds& bounds = scan_->bounds[from.column];
  if ((from.needs & kNeedSketch) && bounds.min <= bounds.max) {
    const auto bucket = [&](uint64_t key) {
      return measure.is_float != 0 ? bucket_of_float(float_from_order(key))
                                   : bucket_of_int(int_from_order(key));
    };
    measure.first_bucket = bucket(bounds.min);
    if (!add_bins(selection.groups, bucket(bounds.max) - measure.first_bucket + uint64_t{1}, measure.sketch))
      return false;
  }
  measure.histograms_begin = static_cast<uint32_t>(histograms.size());
  for (uint32_t i = 0; i < from.edges.size(); ++i) {
    Histogram& histogram = histograms.emplace_back();
    histogram_measures_.push_back(index);
    histogram_edges_.push_back(i);
    histogram.edges_count = static_cast<uint32_t>(from.edges[i].size());
    if (!add_bins(selection.groups, from.edges[i].size() + 1, histogram.bins)) return false;
  }
  measure.histograms_end = static_cast<uint32_t>(histograms.size());
  if ((from.needs & kNeedDistinct) && !add_distinct(from, selection.groups, measure.distinct)) return false;
  measure.by_rows = measure.sketch != kNothing || !from.edges.empty() || measure.distinct != kNothing ||
                    measure.first != kNothing || measure.last != kNothing;
  return true;
}

void Program::add_float_sums(Measure& into, uint32_t needs, uint32_t& width) const {
  const uint32_t column = scan_->plan->columns()[into.column];
  const ColumnBounds& bounds = scan_->bounds[column];
  const Folds folds = make_folds(bounds.low, bounds.high);
  if (needs & kNeedSum) {
    into.sum = folds.count > 0 ? folded(folds) : limbs(bounds.low, bounds.high);
    place(into.sum, width);
  }
  if (needs & kNeedSquares) {
    Folds squares;
    if (folds.count > 0 && folds.count <= kWorkFolds && squares_fit(bounds.low, bounds.high))
      squares = make_folds(2 * bounds.high - 2 * kFoldBits * folds.count, 2 * bounds.high);
    into.squares = squares.count > 0 ? folded(squares) : limbs(2 * bounds.low, 2 * bounds.high);
    place(into.squares, width);
  }
}

void Program::add_int_sums(Measure& into, uint32_t needs, uint32_t& width) const {
  const uint32_t column = scan_->plan->columns()[into.column];
  const ColumnBounds& bounds = scan_->bounds[column];
  uint64_t most = 0;
  if (bounds.min <= bounds.max)
    most = std::max(magnitude_of(int_from_order(bounds.min)), magnitude_of(int_from_order(bounds.max)));
  const uint32_t squares = most < uint64_t{1} << 20 ? 1 : most < uint64_t{1} << 32 ? 2 : 4;
  const bool squared = (needs & kNeedSquares) != 0;
  if (needs & kNeedSum) {
    into.sum = ints(most < uint64_t{1} << 40 && !(squared && squares == 4) ? 1 : 2);
    place(into.sum, width);
  }
  if (squared) {
    into.squares = ints(squares);
    place(into.squares, width);
  }
}

bool Program::add_bins(uint64_t groups, uint64_t width, uint32_t& index) {
  if (groups > kBinsMax || groups * width > kBinsMax) {
    refuse("counts of " + std::to_string(width) + " buckets for each of up to " + std::to_string(groups) +
           " groups");
    return false;
  }
  index = static_cast<uint32_t>(bins.size());
  Bins& at = bins.emplace_back();
  at.size = groups * width;
  at.width = static_cast<uint32_t>(width);
  bins_places.push_back({take_result(at.size * 8), at.size * 8});
  return true;
}

bool Program::add_distinct(const covey::agg::Measure& from, uint64_t groups, uint32_t& index) {
  GroupColumn strings;
  uint64_t bytes = groups * (uint64_t{kRegisters} * 4 + uint64_t{kDistinctSlots} * 8 + 16);
  Distinct at;
  if (from.type == ColumnType::kString) {
    strings.column = from.column;
    strings.type = from.type;
    bind_strings(*scan_, strings);
    at.words = (strings.dim + 31) / 32;
    bytes = groups * at.words * 4;
    if (bytes * 8 > kSeenBitsMax) refuse("different strings of up to " + std::to_string(groups) + " groups");
  } else if (groups > kDistinctGroupsMax) {
    refuse("different numbers of up to " + std::to_string(groups) + " groups");
  }
  if (!refused_.empty()) return false;
  index = static_cast<uint32_t>(distincts.size());
  distincts.push_back(at);
  distinct_groups_.push_back(groups);
  distinct_strings.push_back(std::move(strings));
  distinct_places.push_back({take_result(bytes), bytes});
  return true;
}

// Words of one group go first, each thread its own; then groups, threads their own where they are few, else
// one set for a block, else one for all. What shared memory is left holds counts.
void Program::place_words(const ProgramLimits& limits) {
  const auto fits = [&](uint64_t bytes) {
    bytes = (bytes + 15) / 16 * 16;
    if (bytes > limits.shared_bytes - shared_bytes_) return false;
    shared_bytes_ += static_cast<uint32_t>(bytes);
    return true;
  };
  const auto grouped = [&](uint32_t i) {
    return !scan_->plan->selections()[plan_selections[i]].group_by.empty();
  };
  scratch_places_.assign(selections.size(), UINT64_MAX);
  result_places.resize(selections.size());
  const auto place_one = [&](uint32_t i) {
    Selection& selection = selections[i];
    const uint64_t words = selection.groups * selection.width;
    if (words > uint64_t{1} << 28)
      return refuse("states of up to " + std::to_string(selection.groups) + " groups");
    result_places[i] = {take_result(words * 16), words * 16};
    const bool alone = !grouped(i);
    const uint32_t at = shared_bytes_;
    if (words == 0) {
      selection.tier = Tier::kGlobal;
    } else if (fits(words * kThreads * 8)) {
      selection.tier = alone ? Tier::kAlone : Tier::kPrivate;
      selection.shared_at = at;
    } else if (alone) {
      selection.tier = Tier::kAlone;
      scratch_places_[i] = scratch_bytes_;
      scratch_bytes_ += words * kThreads * 8 * limits.blocks;
    } else if (fits(words * 8)) {
      selection.tier = Tier::kShared;
      selection.shared_at = at;
    } else {
      selection.tier = Tier::kGlobal;
      global_ = true;
      scratch_places_[i] = scratch_bytes_;
      scratch_bytes_ += (words * 8 + 15) / 16 * 16;
    }
  };
  for (const bool groups : {false, true}) {
    for (uint32_t i = 0; i < selections.size(); ++i) {
      if (grouped(i) == groups) place_one(i);
    }
  }
  for (Bins& at : bins) {
    const uint32_t begin = shared_bytes_;
    if (fits(at.size * 4)) at.shared_at = begin;
  }
  const uint64_t bytes = results_bytes_ + scratch_bytes_;
  const uint64_t most = std::min(limits.bytes_max, scan_->plan->options().state_bytes_max);
  if (bytes > most)
    refuse("states of " + std::to_string(bytes >> 20) + " MiB of " + std::to_string(most >> 20));
}

bool Program::is_one_shape() const {
  if (selections.size() != 1 || measures.size() != 1 || measures[0].by_rows != 0 || times_) return false;
  const Selection& selection = selections[0];
  const covey::agg::Selection& asked = scan_->plan->selections()[plan_selections[0]];
  if (selection.tier != Tier::kAlone || asked.row_set || asked.conditions.size() > 1) return false;
  for (const Condition& condition : asked.conditions) {
    if (condition.kind != Condition::Kind::kRange) return false;
    if (scan_->plan->schema().columns[condition.column].type == ColumnType::kString) return false;
  }
  return with_work(measures[0], [](auto) {});
}

}  // namespace covey::agg::cuda
