// What is measured of a group of failure detectors: how fast the dead are known, how often the living are
// accused, how fast news spreads, and what it costs.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/swim/swim_cluster.h"

namespace covey::swim {

struct Setting {
  size_t nodes = 5;
  uint64_t loss_percent = 0;
  size_t slow = 0;  // so many of them
  Slowness slowness;
  bool lifeguard = true;
  size_t runs = 5;
  uint64_t seconds = 60;  // of quiet in each, over which accusations and bytes are counted
  uint64_t seed = 1;
};

// Times in microseconds, one for each run, ascending. From a node's end:
struct Measured {
  std::vector<uint64_t> first_suspected, first_dead, all_dead;
  std::vector<uint64_t> told;         // from one node's news to all of them
  std::vector<uint64_t> told_rounds;  // the same, in rounds of news
  size_t never = 0;                   // runs in which not all came to know within two minutes
  // An hour in the whole group; nodes that were healthy, each accusation counted once.
  double suspected_an_hour = 0, dead_an_hour = 0;
  double bytes = 0;     // a node and second, frames included
  double messages = 0;  // likewise
};

Measured measure(const Setting& setting);

uint64_t median(const std::vector<uint64_t>& ascending);  // 0 of none

}  // namespace covey::swim
