// A read, or a scan of one partition, as a small pure core: answers are added, it says when there are enough
// and what they come to.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replication/object.h"
#include "replication/types.h"

namespace covey {

struct ReadAnswer {
  NodeId node;
  bool counts_strictly = false;  // an owner that is ready
  Object object;                 // filled. In a scan: no versions, the context of every key that it lacks
  std::map<std::string, Object> rows;     // scan: filled
  std::optional<std::string> covered_to;  // scan: all keys up to this one are told; nullopt: all there are
};

class ReadState {
 public:
  void add(ReadAnswer answer) { answers_.push_back(std::move(answer)); }
  const std::vector<ReadAnswer>& answers() const { return answers_; }

  // Answers that count: strictly, of owners that are ready; sloppily, any.
  uint32_t counted(bool sloppy) const;

  // Strictly: `needed` owners that are ready. Sloppily, once nobody is awaited any more: any that answered.
  bool enough(uint32_t needed, bool sloppy, bool awaits_more) const;

  // What all answers so far come to.
  Object merged() const;

  struct Page {
    std::map<std::string, Object> rows;
    std::optional<std::string> next_key;
  };
  Page merged_page(uint32_t limit) const;

 private:
  std::vector<ReadAnswer> answers_;
};

// Versions that have not expired (of a last-write-wins table those that resolve() leaves), each with the time
// at which it expires, and the context for the client: everything seen.
Object live_for_client(Object merged, Conflicts conflicts, uint64_t wall_ms);

}  // namespace covey
