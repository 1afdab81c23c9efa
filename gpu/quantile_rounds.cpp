#include "gpu/quantile_rounds.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "gpu/partials.h"
#include "gpu/sketch.h"

namespace covey::agg {

namespace {

// One multiplication of doubles, rounded once, as numpy does it: 0.001 of 300,000 is 300, though the double
// 0.001 is more.
uint64_t nearest_rank(double q, uint64_t n) {
  const double rank = std::ceil(q * static_cast<double>(n));
  return rank < 1 ? 1 : rank >= static_cast<double>(n) ? n : static_cast<uint64_t>(rank);
}

auto order_of(const QuantileProgress::Item& item) { return std::tie(item.measure, item.group, item.wanted); }

}  // namespace

WantedRank wanted_rank(double q, uint64_t finite, uint64_t nan, uint64_t negative, uint64_t positive) {
  const uint64_t n = finite + negative + positive;
  if (nan > 0) return {Number(std::numeric_limits<double>::quiet_NaN()), 0};
  if (n == 0) return {Number(), 0};
  const uint64_t rank = nearest_rank(q, n) - 1;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (rank < negative) return {Number(-kInfinity), 0};
  if (rank - negative >= finite) return {Number(kInfinity), 0};
  return {std::nullopt, rank - negative};
}

const QuantileProgress::Item* QuantileProgress::find(uint32_t measure, std::string_view group,
                                                     uint64_t wanted) const {
  Item key;
  key.measure = measure;
  key.group = group;
  key.wanted = wanted;
  const auto at = std::lower_bound(items.begin(), items.end(), key,
                                   [](const Item& a, const Item& b) { return order_of(a) < order_of(b); });
  return at != items.end() && order_of(*at) == order_of(key) ? &*at : nullptr;
}

int target_shift(const QuantileTarget& target) {
  return std::max(0, static_cast<int>(std::bit_width(target.hi - target.lo)) - 10);
}

uint64_t target_bin(const QuantileTarget& target, uint64_t key) {
  return (key - target.lo) >> target_shift(target);
}

class QuantileRounds {
 public:
  static void start(const Plan& plan, Partials& partials) {
    QuantileProgress& progress = partials.progress_;
    progress.started = true;
    for (const CompiledQuery& compiled : plan.queries()) {
      const SelectionState& state = partials.selections_[compiled.selection];
      if (state.failed) continue;
      const bool propagate = compiled.query.special == Special::kPropagate;
      for (size_t i = 0; i < compiled.query.aggregates.size(); ++i) {
        const Aggregate& aggregate = compiled.query.aggregates[i];
        if (aggregate.kind != AggregateKind::kQuantile || aggregate.mode != QuantileMode::kExact) continue;
        const uint32_t measure = compiled.outputs[i].measure;
        const auto& measures = plan.selections()[compiled.selection].measures;
        const auto place = std::find(measures.begin(), measures.end(), measure) - measures.begin();
        const MeasureState& at = state.measures[static_cast<size_t>(place)];
        if (at.failed) continue;
        for (size_t group = 0; group < state.keys.size(); ++group) {
          add(progress, plan, measure, at, group, state.keys[group], aggregate, propagate);
        }
      }
    }
    std::sort(progress.items.begin(), progress.items.end(),
              [](const auto& a, const auto& b) { return order_of(a) < order_of(b); });
    const auto same = [](const auto& a, const auto& b) { return order_of(a) == order_of(b); };
    progress.items.erase(std::unique(progress.items.begin(), progress.items.end(), same),
                         progress.items.end());
  }

  static std::vector<QuantileTarget> targets(const QuantileProgress& progress) {
    std::vector<QuantileTarget> targets;
    size_t counted = 0;
    for (const QuantileProgress::Item& item : progress.items) {
      if (item.done) continue;
      QuantileTarget target{item.measure, item.group, item.lo,
                            item.hi,      item.count, item.count <= kCollectMax};
      if (!targets.empty() && targets.back() == target) continue;
      counted += target.collect ? 0 : 1;
      if (targets.size() >= kTargetsMax || counted > kCountedTargetsMax) break;  // the rest in the next round
      targets.push_back(std::move(target));
    }
    return targets;
  }

  static void absorb(QuantileProgress& progress, const Refinement& ask, const Refined& found) {
    size_t at = 0;
    for (QuantileProgress::Item& item : progress.items) {
      if (item.done) continue;
      while (at < ask.targets.size() && !fits(ask.targets[at], item)) ++at;
      if (at == ask.targets.size()) return;  // more targets than one round takes: the next one
      const QuantileTarget target = ask.targets[at];
      if (target.collect) {
        take_value(item, found.found[at]);
      } else {
        take_bin(item, target, found.found[at]);
      }
    }
  }

 private:
  static bool fits(const QuantileTarget& target, const QuantileProgress::Item& item) {
    return target.measure == item.measure && target.group == item.group && target.lo == item.lo &&
           target.hi == item.hi;
  }

  static void add(QuantileProgress& progress, const Plan& plan, uint32_t measure, const MeasureState& at,
                  size_t group, std::string_view key, const Aggregate& aggregate, bool propagate) {
    uint64_t nan = 0, negative = 0, positive = 0;
    if (!at.nan.empty())
      nan = at.nan[group], negative = at.negative_infinities[group], positive = at.positive_infinities[group];
    const uint64_t finite = at.valid[group] - nan - negative - positive;
    for (const double q : aggregate.q) {
      const WantedRank wanted =
          wanted_rank(q, finite, propagate ? nan : 0, propagate ? negative : 0, propagate ? positive : 0);
      if (wanted.special) continue;
      QuantileProgress::Item item;
      item.measure = measure;
      item.group = key;
      item.wanted = item.rank = wanted.rank;
      for (const SketchBin& bin : at.sketches[group]) {
        if (item.rank >= bin.count) {
          item.rank -= bin.count;
          continue;
        }
        const bool ints = plan.measures()[measure].type == ColumnType::kInt64;
        const KeyRange range = ints ? range_of_int_bucket(bin.bucket) : range_of_float_bucket(bin.bucket);
        item.lo = std::max(range.lo, at.min[group]);
        item.hi = std::min(range.hi, at.max[group]);
        item.count = bin.count;
        break;
      }
      item.done = item.lo == item.hi;
      progress.items.push_back(std::move(item));
    }
  }

  static void take_value(QuantileProgress::Item& item, const std::vector<uint64_t>& values) {
    item.changed = item.changed || values.size() != item.count;
    item.done = true;
    if (!values.empty()) item.lo = values[std::min<uint64_t>(item.rank, values.size() - 1)];
    item.hi = item.lo;
  }

  static void take_bin(QuantileProgress::Item& item, const QuantileTarget& target,
                       const std::vector<uint64_t>& bins) {
    uint64_t total = 0;
    for (const uint64_t count : bins) total += count;
    item.changed = item.changed || total != item.count;
    if (total == 0) {
      item.done = true;
      return;
    }
    item.rank = std::min(item.rank, total - 1);
    const int shift = target_shift(target);
    for (uint64_t bin = 0; bin < bins.size(); ++bin) {
      if (item.rank >= bins[bin]) {
        item.rank -= bins[bin];
        continue;
      }
      item.lo = target.lo + (bin << shift);
      item.hi = std::min(target.hi, item.lo + ((uint64_t{1} << shift) - 1));
      item.count = bins[bin];
      break;
    }
    item.done = item.lo == item.hi;
  }
};

std::optional<Refinement> Partials::refinement(const Plan& plan) {
  if (!progress_.started) QuantileRounds::start(plan, *this);
  Refinement ask;
  ask.targets = QuantileRounds::targets(progress_);
  if (ask.targets.empty()) return std::nullopt;
  ask.fingerprint = fingerprint_;
  ask.round = ++progress_.round;
  return ask;
}

Status Partials::absorb(const Plan& plan, const Refinement& ask, const Refined& found) {
  if (ask.fingerprint != plan.fingerprint() || found.fingerprint != ask.fingerprint ||
      ask.round != progress_.round || found.round != ask.round || found.found.size() != ask.targets.size()) {
    return Error{ErrorCode::kMismatch, "these values are of another round or other queries: ask again", ""};
  }
  QuantileRounds::absorb(progress_, ask, found);
  return Done{};
}

}  // namespace covey::agg
