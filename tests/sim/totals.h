// Counts of a run or of many: faults, answers, and what must sometimes happen.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace covey::sim {

inline constexpr const char* stale_reads = "stale reads where R + W <= N, or sloppy";

// By name, in order, so that they add up and print the same everywhere.
class Totals {
 public:
  void add(const std::string& name, uint64_t count = 1) {
    if (count > 0) counts_[name] += count;
  }
  uint64_t get(const std::string& name) const {
    auto found = counts_.find(name);
    return found == counts_.end() ? 0 : found->second;
  }
  void merge(const Totals& other) {
    for (const auto& [name, count] : other.counts_) counts_[name] += count;
  }
  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  std::map<std::string, uint64_t> counts_;
};

}  // namespace covey::sim
