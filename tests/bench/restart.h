// How soon a node that starts again answers aggregates: from checkpoints of its columns, and without them.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/options.h"
#include "tests/bench/servers.h"

namespace covey::bench {

struct Restart {
  struct Start {
    std::string after;         // what was before it
    double ready_seconds = 0;  // from the process's start to its ready line
    double seconds = 0;        // from there to the answer of an aggregate over all rows
    double cpu_seconds = 0;    // of the process until then
  };
  uint64_t rows = 0;  // of two columns
  double load_per_second = 0;
  double stop_seconds = 0;  // in order, with all checkpoints to be written
  uint64_t checkpoint_bytes = 0;
  double resident_mib = 0;  // after the last start
  std::vector<Start> starts;
};

// One node with options.keys rows.
Restart measure_restart(const Options& options);

}  // namespace covey::bench
