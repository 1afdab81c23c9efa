// Finds a short scenario that still fails, by leaving steps out (Zeller and Hildebrandt's delta debugging).
#pragma once

#include <string>
#include <vector>

#include "tests/sim/runner.h"

namespace covey::sim {

struct Shrunk {
  std::vector<std::string> lines;
  Outcome outcome;
  size_t tries = 0;
};

// REQUIRES: `lines` fails with `outcome`. Stops after `seconds_max` of real time.
Shrunk shrink(std::vector<std::string> lines, const Outcome& outcome, size_t processes, unsigned seconds_max);

}  // namespace covey::sim
