// What rows add to most often, side by side for each group of a thread's selection: how many rows there are,
// and the words that the measures ask for. A row of one of many groups costs one place in memory, not one for
// each.
#pragma once

#include <algorithm>
#include <vector>

#include "gpu/cpu_groups.h"

namespace covey::agg {

class GroupRecords {
 public:
  // So many words for a measure; answers the place of the first. Before any group is there.
  uint32_t reserve(uint32_t words) {
    width_ += words;
    return width_ - words;
  }
  // Words of new groups are 0.
  void resize(size_t groups) {
    words_.resize(groups * width_);
    groups_ = groups;
  }
  size_t groups() const { return groups_; }
  uint32_t width() const { return width_; }
  uint64_t* data() { return words_.data(); }
  const uint64_t* at(size_t group) const { return words_.data() + group * width_; }
  uint64_t* at(size_t group) { return words_.data() + group * width_; }
  uint64_t rows(size_t group) const { return *at(group); }
  uint64_t bytes() const { return words_.capacity() * 8; }

  // More than stay in the caches.
  bool far() const { return bytes() > kNearBytes; }
  // As for_rows, and the records of rows some way ahead are fetched meanwhile.
  template <class Action>
  void for_rows_ahead(const RowList& list, const uint32_t* numbers, Action action) {
    uint32_t at = 0;
    for_rows(list, [&](uint32_t row) {
      const uint32_t ahead = std::min(at++ + kAheadRows, list.count - 1);
      __builtin_prefetch(
          words_.data() + numbers[list.listed == nullptr ? ahead : list.listed[ahead]] * size_t{width_}, 1);
      action(row);
    });
  }
  void count(const RowList& list, const uint32_t* numbers);

 private:
  static constexpr uint32_t kAheadRows = 16;
  static constexpr size_t kNearBytes = 256 * 1024;
  uint32_t width_ = 1;
  size_t groups_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace covey::agg
