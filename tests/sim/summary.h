// What the simulator prints: a line a run, the totals, and a page with a run's timeline.
#pragma once

#include <chrono>
#include <string>

#include "tests/sim/runner.h"

namespace covey::sim {

class Summary {
 public:
  Summary(bool json, bool demand_coverage);
  void run(const std::string& name, const Outcome& outcome);
  // Prints the totals. False: something that must sometimes happen never did, and that was demanded.
  bool end();

 private:
  void print_text(double real_seconds) const;
  void print_json(double real_seconds) const;

  bool json_;
  bool demand_coverage_;
  Totals totals_;
  uint64_t runs_ = 0;
  uint64_t failed_ = 0;
  uint64_t virtual_us_ = 0;
  uint64_t digest_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

void write_report(const std::string& path, const std::string& name, const Outcome& outcome);

}  // namespace covey::sim
