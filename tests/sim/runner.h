// Runs a scenario: setup lines, then steps, one a line (docs/simulator.md).
#pragma once

#include <string>
#include <vector>

#include "tests/sim/totals.h"

namespace covey::sim {

struct Outcome {
  bool failed = false;
  std::string what;  // which promise was broken, or why the scenario can't be read
  bool unreadable = false;
  size_t line = 0;  // at which it failed, from 1
  uint64_t digest = 0;
  uint64_t virtual_us = 0;
  Totals totals;
  std::vector<std::string> trace;
  std::vector<std::pair<std::string, std::string>> labelled;  // operations with label=, and their answers
};

// Never throws for what the scenario does; a broken assertion of the core aborts the process.
Outcome run_scenario(const std::vector<std::string>& lines, bool traced);

}  // namespace covey::sim
