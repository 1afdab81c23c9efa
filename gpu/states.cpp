#include "gpu/states.h"

#include <algorithm>

namespace covey::agg {

namespace {
int floor_div64(int value) { return value >> 6; }
uint64_t fill_of(uint64_t top_limb) { return top_limb >> 63 ? UINT64_MAX : 0; }
}  // namespace

void WideSums::widen(int base, uint32_t limbs) {
  if (limbs_ == 0) {
    base_ = base;
    limbs_ = limbs;
    data_.assign(groups_ * limbs_, 0);
    return;
  }
  const int low = std::min(base, base_);
  const int end = std::max(base + static_cast<int>(limbs), base_ + static_cast<int>(limbs_));
  const auto wider = static_cast<uint32_t>(end - low);
  if (low == base_ && wider == limbs_) return;
  std::vector<uint64_t> data(groups_ * wider);
  const auto offset = static_cast<uint32_t>(base_ - low);
  for (size_t group = 0; group < groups_; ++group) {
    uint64_t* to = data.data() + group * wider;
    std::copy(at(group), at(group) + limbs_, to + offset);
    std::fill(to + offset + limbs_, to + wider, fill_of(at(group)[limbs_ - 1]));
  }
  data_ = std::move(data);
  base_ = low;
  limbs_ = wider;
}

void WideSums::add(size_t group, Int128 value, int exponent) {
  if (value == 0) return;
  const int lowest = floor_div64(exponent);
  if (limbs_ == 0 || lowest < base_ || lowest + 4 > base_ + static_cast<int>(limbs_)) widen(lowest, 4);
  const int shift = exponent - lowest * 64;
  const auto bits = static_cast<Uint128>(value);
  const uint64_t sign = value < 0 ? UINT64_MAX : 0;
  const uint64_t parts[3] = {static_cast<uint64_t>(bits << shift),
                             static_cast<uint64_t>(shift == 0 ? bits >> 64 : (bits >> (64 - shift))),
                             shift == 0 ? sign : static_cast<uint64_t>(value >> 64 >> (64 - shift))};
  uint64_t* limb = at(group) + (lowest - base_);
  const uint64_t* const end = at(group) + limbs_;
  Uint128 carry = 0;
  for (int i = 0; limb < end; ++limb, ++i) {
    const uint64_t part = i < 3 ? parts[i] : sign;
    carry += Uint128{*limb} + part;
    *limb = static_cast<uint64_t>(carry);
    carry >>= 64;
    if (i >= 3 && part + static_cast<uint64_t>(carry) == 0) break;  // nothing changes any more
  }
}

void WideSums::add(size_t group, const WideSums& other, size_t other_group) {
  if (other.limbs_ == 0) return;
  const int end = other.base_ + static_cast<int>(other.limbs_);
  if (limbs_ == 0 || other.base_ < base_ || end >= base_ + static_cast<int>(limbs_)) {
    const int low = limbs_ == 0 ? other.base_ : std::min(base_, other.base_);
    const int top = limbs_ == 0 ? end : std::max(base_ + static_cast<int>(limbs_), end);
    widen(low, static_cast<uint32_t>(top + 1 - low));
  }
  const uint64_t* from = other.at(other_group);
  const uint64_t fill = fill_of(from[other.limbs_ - 1]);
  uint64_t* to = at(group) + (other.base_ - base_);
  const uint64_t* const stop = at(group) + limbs_;
  Uint128 carry = 0;
  for (uint32_t i = 0; to < stop; ++to, ++i) {
    carry += Uint128{*to} + (i < other.limbs_ ? from[i] : fill);
    *to = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
}

void WideSums::append(const WideSums& other) {
  const size_t before = groups_;
  if (other.limbs_ > 0) widen(other.base_, other.limbs_);
  resize(groups_ + other.groups_);
  if (other.limbs_ == 0) return;
  const auto offset = static_cast<uint32_t>(other.base_ - base_);
  for (size_t group = 0; group < other.groups_; ++group) {
    uint64_t* const to = at(before + group) + offset;
    std::copy(other.at(group), other.at(group) + other.limbs_, to);
    std::fill(to + other.limbs_, at(before + group) + limbs_, fill_of(to[other.limbs_ - 1]));
  }
}

void WideSums::trim() {
  uint32_t low = limbs_;
  uint32_t end = 0;
  for (size_t group = 0; group < groups_; ++group) {
    const uint64_t* limbs = at(group);
    uint32_t first = 0;
    while (first < limbs_ && limbs[first] == 0) ++first;
    if (first == limbs_) continue;
    uint32_t last = limbs_;
    while (last > first + 1 && limbs[last - 1] == fill_of(limbs[last - 2])) --last;
    // A negative power of 2^64 may be left as sign alone: one limb more holds it.
    low = std::min(low, first);
    end = std::max(end, last);
  }
  if (end <= low) {
    limbs_ = 0;
    base_ = 0;
    data_.clear();
    return;
  }
  if (low == 0 && end == limbs_) return;
  const uint32_t kept = end - low;
  for (size_t group = 0; group < groups_; ++group) {
    std::copy(data_.begin() + static_cast<ptrdiff_t>(group * limbs_ + low),
              data_.begin() + static_cast<ptrdiff_t>(group * limbs_ + end),
              data_.begin() + static_cast<ptrdiff_t>(group * kept));
  }
  data_.resize(groups_ * kept);
  base_ += static_cast<int>(low);
  limbs_ = kept;
}

void merge_sketch(SketchState& into, const SketchState& from) {
  if (from.empty()) return;
  SketchState merged;
  merged.reserve(into.size() + from.size());
  size_t a = 0;
  size_t b = 0;
  while (a < into.size() || b < from.size()) {
    if (b == from.size() || (a < into.size() && into[a].bucket < from[b].bucket)) {
      merged.push_back(into[a++]);
    } else if (a == into.size() || from[b].bucket < into[a].bucket) {
      merged.push_back(from[b++]);
    } else {
      merged.push_back({into[a].bucket, into[a].count + from[b].count});
      ++a;
      ++b;
    }
  }
  into = std::move(merged);
}

void resize_states(const Plan& plan, uint32_t selection, SelectionState& state, size_t groups) {
  const Selection& wanted = plan.selections()[selection];
  state.rows.resize(groups);
  state.measures.resize(wanted.measures.size());
  for (size_t i = 0; i < wanted.measures.size(); ++i)
    resize_measure(plan.measures()[wanted.measures[i]], state.measures[i], groups);
}

void resize_measure(const Measure& measure, MeasureState& at, size_t groups) {
  at.valid.resize(groups);
  if (measure.type == ColumnType::kFloat64) {
    at.nan.resize(groups);
    at.positive_infinities.resize(groups);
    at.negative_infinities.resize(groups);
  }
  if (measure.needs & kNeedSum) at.sum.resize(groups);
  if (measure.needs & kNeedSquares) at.squares.resize(groups);
  if (measure.needs & kNeedMinMax) {
    at.min.resize(groups, UINT64_MAX);
    at.max.resize(groups, 0);
  }
  if (measure.needs & kNeedSketch) at.sketches.resize(groups);
  if (measure.needs & kNeedDistinct) at.distinct.resize(groups);
  if (measure.needs & kNeedFirst) at.first.resize(groups);
  if (measure.needs & kNeedLast) at.last.resize(groups);
  at.histograms.resize(measure.edges.size());
  for (size_t h = 0; h < measure.edges.size(); ++h)
    at.histograms[h].resize(groups * (measure.edges[h].size() + 1));
}

}  // namespace covey::agg
