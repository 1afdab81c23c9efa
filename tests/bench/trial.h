// Two trials that have a limit and not a rate: how long replicas differ that are written at once, and how
// late the latest answers are while the storage compacts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/options.h"
#include "tests/bench/servers.h"

namespace covey::bench {

// Three nodes, each written the same keys at the same time, W = 1.
struct Contention {
  uint64_t keys = 0;
  double puts_per_second = 0;  // of all nodes together
  uint64_t different = 0;      // partitions with unequal objects when the last put was answered
  uint64_t partitions = 0;
  std::vector<double>
      equal_seconds;  // of each round: from the last answer until all objects are equal on all
};

Contention measure_contention(const Options& options);

// Gets, while other connections write as fast as they can.
struct Tail {
  struct Row {
    std::string side;
    double puts_per_second = 0;
    double gets_per_second = 0;
    double p50_us = 0, p99_us = 0, p999_us = 0;  // of the gets
    double storage_cpu_seconds = 0;              // of the threads that flush and compact; of covey alone
  };
  uint64_t keys = 0;
  double seconds = 0;
  std::vector<Row> rows;
};

Tail measure_tail(const Options& options);

}  // namespace covey::bench
