// The groups that the threads of a scan have found, as one state. The groups are cut by key into parts, which
// several threads make at the same time.
#pragma once

#include <vector>

#include "gpu/cpu_scan.h"

namespace covey::agg {

class GroupMerge {
 public:
  // `threads`: what each thread has of the selection, with its groups listed. At most so many parts; few
  // groups are one.
  GroupMerge(const BoundScan& scan, uint32_t selection, std::vector<ThreadSelection*> threads,
             size_t parts_max);

  size_t parts() const { return parts_.size(); }
  // Each part once, different parts on any threads at the same time.
  void make(size_t part);
  // After all of them.
  SelectionState take();

 private:
  // Of each thread's listed groups: from begins[thread] to the next part's.
  struct Part {
    std::vector<size_t> begins;
    SelectionState state;
  };
  const BoundScan& scan_;
  const uint32_t index_;
  std::vector<ThreadSelection*> threads_;
  std::vector<Part> parts_;
  std::vector<size_t> ends_;  // of all: how many each thread has listed
  std::optional<Error> failed_;
};

}  // namespace covey::agg
