#include "gpu/cpu_group_merge.h"

#include <algorithm>

namespace covey::agg {

namespace {

constexpr size_t kPartMin = 8192;  // groups: fewer are not worth another thread

// How many of the keys are below this one.
size_t lower_bound(const GroupKeys& keys, std::string_view key) {
  size_t low = 0;
  for (size_t left = keys.size(); left > 0;) {
    const size_t half = left / 2;
    if (keys[low + half] < key) {
      low += half + 1;
      left -= half + 1;
    } else {
      left = half;
    }
  }
  return low;
}

}  // namespace

GroupMerge::GroupMerge(const BoundScan& scan, uint32_t selection, std::vector<ThreadSelection*> threads,
                       size_t parts_max)
    : scan_(scan), index_(selection), threads_(std::move(threads)) {
  const GroupKeys* most = nullptr;
  for (const ThreadSelection* thread : threads_) {
    if (thread->failed()) {
      failed_ = thread->failed();
      return;
    }
    const GroupKeys& keys = thread->listed().keys;
    ends_.push_back(keys.size());
    if (most == nullptr || keys.size() > most->size()) most = &keys;
  }
  parts_.resize(std::clamp<size_t>(most->size() / kPartMin, 1, parts_max));
  for (size_t i = 0; i < parts_.size(); ++i) {
    for (const ThreadSelection* thread : threads_) {
      parts_[i].begins.push_back(
          i == 0 ? 0 : lower_bound(thread->listed().keys, (*most)[i * most->size() / parts_.size()]));
    }
  }
}

void GroupMerge::make(size_t part) {
  SelectionState& state = parts_[part].state;
  const std::vector<size_t>& ends = part + 1 < parts_.size() ? parts_[part + 1].begins : ends_;
  std::vector<size_t> at = parts_[part].begins;
  std::vector<GroupMoves> moves(threads_.size());
  GroupKeys keys;
  for (size_t t = 0; t < threads_.size(); ++t) moves[t].list.reserve(ends[t] - at[t]);
  if (threads_.size() == 1) {
    const ThreadSelection::Listed& listed = threads_[0]->listed();
    for (uint32_t i = 0; i < listed.numbers.size(); ++i) moves[0].list.push_back({listed.numbers[i], i});
    keys = listed.keys;
  }
  // The least key of all threads, again and again. Parts are as many as threads, so that this takes no longer
  // the more they are.
  std::vector<size_t> havers;
  while (threads_.size() > 1) {
    std::string_view least;
    havers.clear();
    for (size_t t = 0; t < threads_.size(); ++t) {
      if (at[t] == ends[t]) continue;
      const std::string_view key = threads_[t]->listed().keys[at[t]];
      const int order = havers.empty() ? -1 : key.compare(least);
      if (order > 0) continue;
      if (order < 0) havers.clear();
      least = key;
      havers.push_back(t);
    }
    if (havers.empty()) break;
    for (const size_t t : havers)
      moves[t].list.push_back({threads_[t]->listed().numbers[at[t]++], static_cast<uint32_t>(keys.size())});
    keys.push_back(least);
  }
  resize_states(*scan_.plan, index_, state, keys.size());
  state.keys = std::move(keys);
  for (size_t t = 0; t < threads_.size(); ++t) threads_[t]->add_groups(state, moves[t]);
  for (MeasureState& measure : state.measures) {
    measure.sum.trim();
    measure.squares.trim();
  }
}

SelectionState GroupMerge::take() {
  SelectionState all;
  if (!failed_) {
    size_t groups = 0;
    for (const Part& part : parts_) groups += part.state.keys.size();
    const uint64_t limit = scan_.plan->selections()[index_].limit_groups;
    if (groups > limit) failed_ = too_many_groups(limit);
  }
  if (failed_) {
    all.failed = failed_;
    return all;
  }
  all = std::move(parts_[0].state);
  if (parts_.size() == 1) return all;
  for (size_t i = 1; i < parts_.size(); ++i) {
    SelectionState& part = parts_[i].state;
    all.keys.append(part.keys);
    all.rows.insert(all.rows.end(), part.rows.begin(), part.rows.end());
    for (size_t k = 0; k < all.measures.size(); ++k) {
      if (!all.measures[k].failed) append_measure(all.measures[k], std::move(part.measures[k]));
    }
    part = {};
  }
  for (MeasureState& measure : all.measures) {
    measure.sum.trim();
    measure.squares.trim();
  }
  return all;
}

}  // namespace covey::agg
