// From exact states to answers: each number is rounded here, once.
#include <algorithm>
#include <cmath>
#include <limits>

#include "gpu/big_int.h"
#include "gpu/group_key.h"
#include "gpu/order.h"
#include "gpu/partials.h"
#include "gpu/quantile_rounds.h"
#include "gpu/sketch.h"

namespace covey::agg {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One group's share of a measure.
struct Cell {
  const MeasureState& state;
  const Measure& measure;
  size_t group;
  bool propagate;
  uint64_t nan = 0, positive = 0, negative = 0;
  uint64_t finite = 0;

  Cell(const MeasureState& s, const Measure& m, size_t g, bool p)
      : state(s), measure(m), group(g), propagate(p) {
    if (!s.nan.empty())
      nan = s.nan[g], positive = s.positive_infinities[g], negative = s.negative_infinities[g];
    finite = s.valid[g] - nan - positive - negative;
  }
  bool is_int() const { return measure.type == ColumnType::kInt64; }
  bool special() const { return propagate && nan + positive + negative > 0; }
  // What sums of these specials are in IEEE 754.
  double special_sum() const {
    return nan > 0 || (positive > 0 && negative > 0) ? kNan : positive > 0 ? kInfinity : -kInfinity;
  }
  Number number(uint64_t key) const {
    return is_int() ? Number(int_from_order(key)) : Number(float_from_order(key));
  }
};

BigInt magnitude(const WideSums& sums, size_t group, bool& negative) {
  return BigInt::magnitude(sums.at(group), sums.limbs(), negative);
}

Number sum(const Cell& cell) {
  if (cell.special()) return cell.special_sum();
  if (cell.finite == 0) return {};
  bool negative = false;
  const WideSums& sums = cell.state.sum;
  const BigInt value = magnitude(sums, cell.group, negative);
  if (!cell.is_int()) return round_to_double(value, false, 64 * sums.base(), negative && !value.is_zero());
  const BigInt whole = value << (64 * std::max(0, sums.base()));
  if (whole.bit_length() <= 63) {
    const auto bits = static_cast<int64_t>(whole.low128());
    return negative ? -bits : bits;
  }
  if (negative && whole == BigInt(kSignBit)) return INT64_MIN;
  return Decimal{(negative ? "-" : "") + whole.decimal()};
}

Number average(const Cell& cell) {
  if (cell.special()) return cell.special_sum();
  if (cell.finite == 0) return {};
  bool negative = false;
  const BigInt value = magnitude(cell.state.sum, cell.group, negative);
  return round_quotient(value, 64 * cell.state.sum.base(), BigInt(cell.finite), negative && !value.is_zero());
}

// (n * S2 - S1^2) / (n * (n - ddof)), the numerator exact.
Number variance(const Cell& cell, uint32_t ddof, bool root) {
  if (cell.special()) return kNan;
  const uint64_t n = cell.finite;
  if (n <= ddof) return {};
  bool negative = false;
  const BigInt s1 = magnitude(cell.state.sum, cell.group, negative);
  const BigInt s2 = magnitude(cell.state.squares, cell.group, negative);
  const int exponent1 = 128 * cell.state.sum.base();
  const int exponent2 = 64 * cell.state.squares.base();
  const int exponent = std::min(exponent1, exponent2);
  const BigInt left = (s2 * BigInt(n)) << (exponent2 - exponent);
  const BigInt right = (s1 * s1) << (exponent1 - exponent);
  if (negative || left < right) return {};  // no values have such sums: they were forged
  const BigInt numerator = left - right;
  const BigInt denominator = BigInt(n) * BigInt(n - ddof);
  if (numerator.is_zero()) return 0.0;
  return root ? round_root_of_quotient(numerator, exponent, denominator)
              : round_quotient(numerator, exponent, denominator, false);
}

Number extreme(const Cell& cell, bool least) {
  if (cell.special()) {
    if (cell.nan > 0) return kNan;
    if (least && cell.negative > 0) return -kInfinity;
    if (!least && cell.positive > 0) return kInfinity;
    if (cell.finite == 0) return least ? kInfinity : -kInfinity;
  }
  if (cell.finite == 0) return {};
  return cell.number(least ? cell.state.min[cell.group] : cell.state.max[cell.group]);
}

Number from_sketch(const Cell& cell, uint64_t rank) {
  for (const SketchBin& bin : cell.state.sketches[cell.group]) {
    if (rank >= bin.count) {
      rank -= bin.count;
      continue;
    }
    const KeyRange range =
        cell.is_int() ? range_of_int_bucket(bin.bucket) : range_of_float_bucket(bin.bucket);
    // The bucket of the numbers nearest to zero: zero itself is by far the likeliest.
    const bool zero = !cell.is_int() && bin.bucket == bucket_of_float(0.0);
    const uint64_t middle = zero ? range.lo : range.lo + (range.hi - range.lo) / 2;
    return cell.number(std::clamp(middle, cell.state.min[cell.group], cell.state.max[cell.group]));
  }
  return cell.number(cell.state.max[cell.group]);
}

Number timed(const Cell& cell, const std::vector<TimedValue>& values) {
  const TimedValue& at = values[cell.group];
  return at.present ? cell.number(at.value) : Number();
}

void histogram(const Cell& cell, uint32_t index, AggregateAnswer& answer) {
  const std::vector<uint64_t>& counts = cell.state.histograms[index];
  const size_t edges = cell.measure.edges[index].size();
  const uint64_t* at = counts.data() + cell.group * (edges + 1);
  answer.below = at[0] + (cell.propagate ? cell.negative : 0);
  answer.above = at[edges] + (cell.propagate ? cell.positive : 0);
  answer.counts.assign(at + 1, at + edges);
}

}  // namespace

KeyRange range_of_int_bucket(uint32_t bucket) {
  const auto first_at_least = [](uint32_t wanted) {  // the least key whose bucket is at least that
    uint64_t lo = 0;
    uint64_t hi = UINT64_MAX;
    while (lo < hi) {
      const uint64_t middle = lo + (hi - lo) / 2;
      if (bucket_of_int(int_from_order(middle)) >= wanted) {
        hi = middle;
      } else {
        lo = middle + 1;
      }
    }
    return lo;
  };
  const uint64_t lo = first_at_least(bucket);
  if (bucket_of_int(INT64_MAX) <= bucket) return {lo, UINT64_MAX};
  return {lo, first_at_least(bucket + 1) - 1};
}

Result<QueryAnswer> Partials::finish(const Plan& plan, size_t index) const {
  const CompiledQuery& compiled = plan.queries()[index];
  const Query& query = compiled.query;
  const SelectionState& state = selections_[compiled.selection];
  if (state.failed) return *state.failed;
  if (!query.group_by.empty() && state.keys.size() > query.limit_groups)
    return too_many_groups(query.limit_groups);
  const Selection& selection = plan.selections()[compiled.selection];
  QueryAnswer answer;
  answer.state_ = &state;
  answer.progress_ = &progress_;
  answer.query_ = &compiled;
  for (const uint32_t column : selection.group_by)
    answer.key_types_.push_back(plan.schema().columns[column].type);
  const auto source = [&](uint32_t measure) {
    if (measure == UINT32_MAX) return QueryAnswer::Source{};
    const auto place =
        std::find(selection.measures.begin(), selection.measures.end(), measure) - selection.measures.begin();
    return QueryAnswer::Source{&plan.measures()[measure], &state.measures[static_cast<size_t>(place)],
                               measure};
  };
  for (const uint32_t measure : compiled.note_measures) {
    answer.notes_.push_back(source(measure));
    if (const auto& failed = answer.notes_.back().state->failed) return *failed;
  }
  for (const Output& output : compiled.outputs) answer.aggregates_.push_back(source(output.measure));
  return answer;
}

void QueryAnswer::read(size_t group, GroupAnswer& into) const {
  into.rows = state_->rows[group];
  COVEY_AGG_ASSERT(decode_group_key(state_->keys[group], key_types_, into.key));
  into.notes.clear();
  for (const Source& note : notes_) {
    const Cell cell(*note.state, *note.measure, group, false);
    into.notes.push_back(
        {note.measure->column, into.rows - note.state->valid[group], cell.nan, cell.positive, cell.negative});
  }
  into.aggregates.resize(aggregates_.size());
  for (size_t i = 0; i < aggregates_.size(); ++i) aggregate(group, i, into.aggregates[i]);
}

void QueryAnswer::aggregate(size_t group, size_t index, AggregateAnswer& into) const {
  const Aggregate& asked = query_->query.aggregates[index];
  const Source& source = aggregates_[index];
  into.values.clear();
  into.counts.clear();
  into.below = into.above = 0;
  into.approximate = false;
  if (source.measure == nullptr) {
    into.values.emplace_back(static_cast<int64_t>(state_->rows[group]));
    return;
  }
  const Cell cell(*source.state, *source.measure, group, query_->query.special == Special::kPropagate);
  switch (asked.kind) {
    case AggregateKind::kCount:
      into.values.emplace_back(static_cast<int64_t>(cell.state.valid[group]));
      break;
    case AggregateKind::kSum:
      into.values.push_back(sum(cell));
      break;
    case AggregateKind::kAvg:
      into.values.push_back(average(cell));
      break;
    case AggregateKind::kMin:
    case AggregateKind::kMax:
      into.values.push_back(extreme(cell, asked.kind == AggregateKind::kMin));
      break;
    case AggregateKind::kVar:
    case AggregateKind::kStddev:
      into.values.push_back(variance(cell, asked.ddof, asked.kind == AggregateKind::kStddev));
      break;
    case AggregateKind::kDistinct: {
      uint64_t count = cell.state.distinct[group].estimate();
      if (cell.propagate) count += (cell.nan > 0) + (cell.positive > 0) + (cell.negative > 0);
      into.values.emplace_back(static_cast<int64_t>(count));
      into.approximate = !cell.state.distinct[group].exact();
      break;
    }
    case AggregateKind::kHistogram:
      histogram(cell, query_->outputs[index].histogram, into);
      break;
    case AggregateKind::kFirst:
      into.values.push_back(timed(cell, cell.state.first));
      break;
    case AggregateKind::kLast:
      into.values.push_back(timed(cell, cell.state.last));
      break;
    case AggregateKind::kQuantile:
      into.approximate = asked.mode == QuantileMode::kSketch;
      for (const double q : asked.q) {
        const WantedRank wanted =
            wanted_rank(q, cell.finite, cell.propagate ? cell.nan : 0, cell.propagate ? cell.negative : 0,
                        cell.propagate ? cell.positive : 0);
        if (wanted.special) {
          into.values.push_back(*wanted.special);
        } else if (asked.mode == QuantileMode::kSketch) {
          into.values.push_back(from_sketch(cell, wanted.rank));
        } else {
          const auto* item = progress_->find(source.index, state_->keys[group], wanted.rank);
          COVEY_AGG_ASSERT(item != nullptr && item->done);
          into.values.push_back(cell.number(item->lo));
          into.approximate = into.approximate || item->changed;
        }
      }
      break;
  }
}

}  // namespace covey::agg
