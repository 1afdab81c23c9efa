// Puts and gets a second, side by side: covey, its peers and the storage alone. All servers of a setting run
// at the same time and are measured in turns, round after round, so that what else the machine does falls on
// all of them.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/options.h"
#include "tests/bench/servers.h"

namespace covey::bench {

// Medians over the rounds.
struct Row {
  std::string side;
  double per_second = 0;
  double per_second_low = 0;  // of all rounds
  double per_second_high = 0;
  double p50_us = 0, p90_us = 0, p99_us = 0, p999_us = 0;
  double cpu_us = 0;      // of the server's processes for each request; 0: not known
  uint64_t failures = 0;  // of all rounds
  std::string first_failure;
};

struct Case {
  std::string title;      // "put, W=2, pipeline 16"
  std::vector<Row> rows;  // covey first
};

struct Setting {
  uint32_t nodes = 1;
  Durability durability = Durability::sync;
  std::vector<Case> cases;
};

double median(std::vector<double> values);

std::vector<Setting> measure_throughput(const Options& options);
// Puts of JSON values to a table with two columns beside one with none.
std::vector<Setting> measure_columns(const Options& options);

}  // namespace covey::bench
