// What rows add to most often, side by side for each group of a thread's selection: how many rows there are,
// and the words that the measures ask for. A row of one of many groups costs one place in memory, not one for
// each.
#pragma once

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

  // Counts the rows, and fetches their records for what is added next.
  void count(const RowList& list, const uint32_t* numbers);

 private:
  uint32_t width_ = 1;
  size_t groups_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace covey::agg
