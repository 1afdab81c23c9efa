#include "gpu/joined_plan.h"

#include <algorithm>
#include <utility>

namespace covey::agg {

namespace {

// What `own` keeps of a column, out of the states of `joined`, which keeps at least that.
MeasureState part_of(const MeasureState& from, const Measure& own, const Measure& joined) {
  MeasureState out;
  out.failed = from.failed;
  if (out.failed) return out;
  out.valid = from.valid;
  out.nan = from.nan;
  out.positive_infinities = from.positive_infinities;
  out.negative_infinities = from.negative_infinities;
  if (own.needs & kNeedSum) out.sum = from.sum;
  if (own.needs & kNeedSquares) out.squares = from.squares;
  if (own.needs & kNeedMinMax) {
    out.min = from.min;
    out.max = from.max;
  }
  if (own.needs & kNeedSketch) out.sketches = from.sketches;
  if (own.needs & kNeedDistinct) out.distinct = from.distinct;
  if (own.needs & kNeedFirst) out.first = from.first;
  if (own.needs & kNeedLast) out.last = from.last;
  for (const std::vector<uint64_t>& edges : own.edges) {
    const auto place = std::find(joined.edges.begin(), joined.edges.end(), edges) - joined.edges.begin();
    out.histograms.push_back(from.histograms[static_cast<size_t>(place)]);
  }
  return out;
}

}  // namespace

Result<JoinedPlan> JoinedPlan::make(std::vector<Member> members) {
  JoinedPlan out;
  std::vector<Query> queries;
  for (const Member& member : members) {
    for (const CompiledQuery& compiled : member.plan->queries()) {
      Query& query = queries.emplace_back(compiled.query);
      if (query.row_set) query.row_set = member.row_sets[*query.row_set];
    }
  }
  const Plan& first = *members.front().plan;
  Result<Plan> plan = Plan::make(first.schema(), std::move(queries), first.options());
  if (!plan) return plan.error();
  out.members_ = std::move(members);
  out.plan_ = std::move(*plan);
  out.find_places();
  return out;
}

void JoinedPlan::find_places() {
  std::vector<size_t> users(plan_.selections().size(), SIZE_MAX);  // SIZE_MAX - 1: several
  size_t query = 0;
  for (size_t m = 0; m < members_.size(); ++m) {
    const Plan& own = *members_[m].plan;
    std::vector<Place>& places = places_.emplace_back(own.selections().size());
    for (const CompiledQuery& compiled : own.queries()) {
      const uint32_t selection = plan_.queries()[query++].selection;
      size_t& user = users[selection];
      user = user == SIZE_MAX || user == m ? m : SIZE_MAX - 1;
      Place& place = places[compiled.selection];
      place.selection = selection;
      place.measures.clear();
      for (const uint32_t measure : own.selections()[compiled.selection].measures) {
        const auto& all = plan_.selections()[selection].measures;
        const auto at = std::find_if(all.begin(), all.end(), [&](uint32_t one) {
          return plan_.measures()[one].column == own.measures()[measure].column;
        });
        place.measures.push_back(static_cast<uint32_t>(at - all.begin()));
      }
    }
  }
  for (std::vector<Place>& places : places_) {
    for (Place& place : places) place.shared = users[place.selection] == SIZE_MAX - 1;
  }
}

std::optional<Partials> JoinedPlan::part(size_t member, const Partials& joined) const {
  const Plan& own = *members_[member].plan;
  Partials out(own);
  for (size_t i = 0; i < own.selections().size(); ++i) {
    const Selection& wanted = own.selections()[i];
    const Place& place = places_[member][i];
    const SelectionState& from = joined.selections()[place.selection];
    SelectionState& into = out.selections()[i];
    into = {};
    if (from.failed && from.failed->code == ErrorCode::kTooLarge && place.shared) return std::nullopt;
    // The joined plan's limit of groups is the highest of all.
    const bool too_many =
        from.failed ? from.failed->code == ErrorCode::kTooManyGroups : from.keys.size() > wanted.limit_groups;
    if (too_many || from.failed) {
      into.failed = too_many ? too_many_groups(wanted.limit_groups) : *from.failed;
      continue;
    }
    into.keys = from.keys;
    into.rows = from.rows;
    const std::vector<uint32_t>& all = plan_.selections()[place.selection].measures;
    for (size_t k = 0; k < wanted.measures.size(); ++k) {
      into.measures.push_back(part_of(from.measures[place.measures[k]], own.measures()[wanted.measures[k]],
                                      plan_.measures()[all[place.measures[k]]]));
    }
  }
  return out;
}

}  // namespace covey::agg
