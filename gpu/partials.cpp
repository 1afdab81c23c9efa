#include "gpu/partials.h"

#include <algorithm>
#include <iterator>

namespace covey::agg {

namespace {

void fail(SelectionState& state, Error error) {
  state = {};
  state.failed = std::move(error);
}

void add_counts(std::vector<uint64_t>& into, const std::vector<uint64_t>& from, const GroupMoves& moves) {
  if (from.empty()) return;
  for (const GroupMoves::Move& move : moves.list) {
    if (move.from < from.size()) into[move.to] += from[move.from];
  }
}

bool before(const TimedValue& a, const TimedValue& b) {
  return a.time != b.time ? a.time < b.time : a.value < b.value;
}

void add_timed(std::vector<TimedValue>& into, const std::vector<TimedValue>& from, const GroupMoves& moves,
               bool last) {
  if (from.empty()) return;
  for (const GroupMoves::Move& move : moves.list) {
    const TimedValue& value = from[move.from];
    if (!value.present) continue;
    TimedValue& at = into[move.to];
    if (!at.present || (last ? before(at, value) : before(value, at))) at = value;
  }
}

void add_sums(WideSums& into, const WideSums& from, const GroupMoves& moves) {
  if (from.limbs() == 0) return;
  for (const GroupMoves::Move& move : moves.list) into.add(move.to, from, move.from);
}

void add_selection(SelectionState& into, SelectionState&& from, const GroupMoves& moves) {
  add_counts(into.rows, from.rows, moves);
  for (size_t i = 0; i < from.measures.size(); ++i)
    add_measure(into.measures[i], std::move(from.measures[i]), moves);
}

template <class T>
void append(std::vector<T>& into, std::vector<T>&& from) {
  into.insert(into.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void trim(SelectionState& state) {
  for (MeasureState& measure : state.measures) {
    measure.sum.trim();
    measure.squares.trim();
  }
}

}  // namespace

void add_measure(MeasureState& into, MeasureState&& from, const GroupMoves& moves) {
  if (into.failed || from.failed) {
    std::optional<Error> failed = into.failed ? into.failed : from.failed;
    into = {};
    into.failed = std::move(failed);
    return;
  }
  add_counts(into.valid, from.valid, moves);
  add_counts(into.nan, from.nan, moves);
  add_counts(into.positive_infinities, from.positive_infinities, moves);
  add_counts(into.negative_infinities, from.negative_infinities, moves);
  add_sums(into.sum, from.sum, moves);
  add_sums(into.squares, from.squares, moves);
  for (const GroupMoves::Move& move : moves.list) {
    if (from.min.empty()) break;
    into.min[move.to] = std::min(into.min[move.to], from.min[move.from]);
    into.max[move.to] = std::max(into.max[move.to], from.max[move.from]);
  }
  for (const GroupMoves::Move& move : moves.list) {
    if (from.sketches.empty()) break;
    SketchState& at = into.sketches[move.to];
    if (at.empty()) {
      at = std::move(from.sketches[move.from]);
    } else {
      merge_sketch(at, from.sketches[move.from]);
    }
  }
  for (const GroupMoves::Move& move : moves.list) {
    if (from.distinct.empty()) break;
    into.distinct[move.to].merge(std::move(from.distinct[move.from]));
  }
  for (size_t h = 0; h < from.histograms.size(); ++h) {
    if (into.valid.empty()) break;
    const size_t bins = into.histograms[h].size() / into.valid.size();
    for (const GroupMoves::Move& move : moves.list) {
      for (size_t i = 0; i < bins; ++i)
        into.histograms[h][move.to * bins + i] += from.histograms[h][move.from * bins + i];
    }
  }
  add_timed(into.first, from.first, moves, false);
  add_timed(into.last, from.last, moves, true);
}

void append_measure(MeasureState& into, MeasureState&& from) {
  append(into.valid, std::move(from.valid));
  append(into.nan, std::move(from.nan));
  append(into.positive_infinities, std::move(from.positive_infinities));
  append(into.negative_infinities, std::move(from.negative_infinities));
  into.sum.append(from.sum);
  into.squares.append(from.squares);
  append(into.min, std::move(from.min));
  append(into.max, std::move(from.max));
  append(into.sketches, std::move(from.sketches));
  append(into.distinct, std::move(from.distinct));
  for (size_t h = 0; h < from.histograms.size(); ++h)
    append(into.histograms[h], std::move(from.histograms[h]));
  append(into.first, std::move(from.first));
  append(into.last, std::move(from.last));
}

Partials::Partials(const Plan& plan)
    : fingerprint_(plan.fingerprint()), selections_(plan.selections().size()) {
  for (uint32_t i = 0; i < selections_.size(); ++i) {
    const bool grouped = !plan.selections()[i].group_by.empty();
    resize_states(plan, i, selections_[i], grouped ? 0 : 1);
    if (!grouped) selections_[i].keys.push_back("");
  }
}

void merge_selection(const Plan& plan, uint32_t selection, SelectionState& into, SelectionState&& from) {
  if (into.failed) return;
  if (from.failed) {
    fail(into, *from.failed);
    return;
  }
  GroupMoves moves;
  moves.list.reserve(from.keys.size());
  if (into.keys == from.keys) {
    for (uint32_t i = 0; i < from.keys.size(); ++i) moves.list.push_back({i, i});
    add_selection(into, std::move(from), moves);
    trim(into);
    return;
  }
  GroupMoves old_moves;
  old_moves.list.reserve(into.keys.size());
  GroupKeys keys;
  for (uint32_t a = 0, b = 0; a < into.keys.size() || b < from.keys.size();) {
    const auto place = static_cast<uint32_t>(keys.size());
    const int order = a == into.keys.size()   ? 1
                      : b == from.keys.size() ? -1
                                              : into.keys[a].compare(from.keys[b]);
    keys.push_back(order <= 0 ? into.keys[a] : from.keys[b]);
    if (order <= 0) old_moves.list.push_back({a++, place});
    if (order >= 0) moves.list.push_back({b++, place});
  }
  if (keys.size() > plan.selections()[selection].limit_groups) {
    fail(into, too_many_groups(plan.selections()[selection].limit_groups));
    return;
  }
  SelectionState merged;
  resize_states(plan, selection, merged, keys.size());
  merged.keys = std::move(keys);
  add_selection(merged, std::move(into), old_moves);
  add_selection(merged, std::move(from), moves);
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
  uint64_t bytes = state.rows.size() * 8 + state.keys.bytes();
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
