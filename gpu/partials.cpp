#include "gpu/partials.h"

#include <algorithm>

namespace covey::agg {

namespace {

void fail(SelectionState& state, Error error) {
  state = {};
  state.failed = std::move(error);
}

void add_counts(std::vector<uint64_t>& into, const std::vector<uint64_t>& from,
                const std::vector<uint32_t>& places) {
  for (size_t i = 0; i < from.size(); ++i) into[places[i]] += from[i];
}

bool before(const TimedValue& a, const TimedValue& b) {
  return a.time != b.time ? a.time < b.time : a.value < b.value;
}

void add_timed(std::vector<TimedValue>& into, const std::vector<TimedValue>& from,
               const std::vector<uint32_t>& places, bool last) {
  for (size_t i = 0; i < from.size(); ++i) {
    if (!from[i].present) continue;
    TimedValue& at = into[places[i]];
    if (!at.present || (last ? before(at, from[i]) : before(from[i], at))) at = from[i];
  }
}

// Adds `from` group by group; places[i] is where group i goes.
void add_measure(MeasureState& into, MeasureState&& from, const std::vector<uint32_t>& places) {
  if (into.failed || from.failed) {
    std::optional<Error> failed = into.failed ? into.failed : from.failed;
    into = {};
    into.failed = std::move(failed);
    return;
  }
  add_counts(into.valid, from.valid, places);
  add_counts(into.nan, from.nan, places);
  add_counts(into.positive_infinities, from.positive_infinities, places);
  add_counts(into.negative_infinities, from.negative_infinities, places);
  for (size_t i = 0; i < from.sum.groups(); ++i) into.sum.add(places[i], from.sum, i);
  for (size_t i = 0; i < from.squares.groups(); ++i) into.squares.add(places[i], from.squares, i);
  for (size_t i = 0; i < from.min.size(); ++i) {
    into.min[places[i]] = std::min(into.min[places[i]], from.min[i]);
    into.max[places[i]] = std::max(into.max[places[i]], from.max[i]);
  }
  for (size_t i = 0; i < from.sketches.size(); ++i) {
    SketchState& at = into.sketches[places[i]];
    if (at.empty()) {
      at = std::move(from.sketches[i]);
    } else {
      merge_sketch(at, from.sketches[i]);
    }
  }
  for (size_t i = 0; i < from.distinct.size(); ++i) into.distinct[places[i]].merge(from.distinct[i]);
  for (size_t h = 0; h < from.histograms.size(); ++h) {
    const std::vector<uint64_t>& counts = from.histograms[h];
    const size_t bins = places.empty() ? 0 : counts.size() / places.size();
    for (size_t i = 0; i < counts.size(); ++i)
      into.histograms[h][places[i / bins] * bins + i % bins] += counts[i];
  }
  add_timed(into.first, from.first, places, false);
  add_timed(into.last, from.last, places, true);
}

void add_selection(SelectionState& into, SelectionState&& from, const std::vector<uint32_t>& places) {
  add_counts(into.rows, from.rows, places);
  for (size_t i = 0; i < from.measures.size(); ++i)
    add_measure(into.measures[i], std::move(from.measures[i]), places);
}

void trim(SelectionState& state) {
  for (MeasureState& measure : state.measures) {
    measure.sum.trim();
    measure.squares.trim();
  }
}

}  // namespace

Partials::Partials(const Plan& plan)
    : fingerprint_(plan.fingerprint()), selections_(plan.selections().size()) {
  for (uint32_t i = 0; i < selections_.size(); ++i) {
    resize_states(plan, i, selections_[i], plan.selections()[i].group_by.empty() ? 1 : 0);
  }
}

void merge_selection(const Plan& plan, uint32_t selection, SelectionState& into, SelectionState&& from) {
  if (into.failed) return;
  if (from.failed) {
    fail(into, *from.failed);
    return;
  }
  std::vector<uint32_t> places(from.keys.size());
  if (into.keys == from.keys) {
    for (uint32_t i = 0; i < places.size(); ++i) places[i] = i;
    add_selection(into, std::move(from), places);
    trim(into);
    return;
  }
  std::vector<uint32_t> old_places(into.keys.size());
  std::vector<std::string> keys;
  keys.reserve(into.keys.size() + from.keys.size());
  for (size_t a = 0, b = 0; a < into.keys.size() || b < from.keys.size();) {
    const auto place = static_cast<uint32_t>(keys.size());
    const int order = a == into.keys.size()   ? 1
                      : b == from.keys.size() ? -1
                                              : into.keys[a].compare(from.keys[b]);
    keys.push_back(std::move(order <= 0 ? into.keys[a] : from.keys[b]));
    if (order <= 0) old_places[a++] = place;
    if (order >= 0) places[b++] = place;
  }
  if (keys.size() > plan.selections()[selection].limit_groups) {
    fail(into, too_many_groups(plan.selections()[selection].limit_groups));
    return;
  }
  SelectionState merged;
  resize_states(plan, selection, merged, keys.size());
  merged.keys = std::move(keys);
  add_selection(merged, std::move(into), old_places);
  add_selection(merged, std::move(from), places);
  into = std::move(merged);
  trim(into);
}

Error too_many_groups(uint64_t limit) {
  return Error{
      ErrorCode::kTooManyGroups,
      "the rows fall into more than " + std::to_string(limit) + " groups: filter them or raise limit_groups",
      ""};
}

Status Partials::merge(const Plan& plan, Partials&& other) {
  if (fingerprint_ != plan.fingerprint() || other.fingerprint_ != fingerprint_ ||
      other.selections_.size() != selections_.size() || progress_.started || other.progress_.started) {
    return Error{ErrorCode::kMismatch, "these partials are of different queries or schemas: ask again", ""};
  }
  for (uint32_t i = 0; i < selections_.size(); ++i) {
    merge_selection(plan, i, selections_[i], std::move(other.selections_[i]));
  }
  return Done{};
}

uint64_t state_bytes(const SelectionState& state) {
  uint64_t bytes = state.rows.size() * 8;
  for (const std::string& key : state.keys) bytes += sizeof key + key.size();
  for (const MeasureState& measure : state.measures) {
    bytes += (measure.valid.size() + measure.nan.size() * 3 + measure.min.size() * 2) * 8;
    bytes += measure.sum.bytes() + measure.squares.bytes();
    for (const SketchState& sketch : measure.sketches)
      bytes += sizeof sketch + sketch.size() * sizeof(SketchBin);
    for (const DistinctState& distinct : measure.distinct) bytes += sizeof distinct + distinct.bytes();
    for (const auto& histogram : measure.histograms) bytes += histogram.size() * 8;
    bytes += (measure.first.size() + measure.last.size()) * sizeof(TimedValue);
  }
  return bytes;
}

uint64_t Partials::bytes() const {
  uint64_t bytes = 0;
  for (const SelectionState& state : selections_) bytes += state_bytes(state);
  return bytes;
}

}  // namespace covey::agg
