// The results as Markdown: on the terminal while it is made, and as docs/benchmarks.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/convergence.h"
#include "tests/bench/filling.h"
#include "tests/bench/options.h"
#include "tests/bench/restart.h"
#include "tests/bench/throughput.h"
#include "tests/bench/trial.h"

namespace covey::bench {

struct Machine {
  std::string processor;
  uint32_t cores = 0;
  double memory_gib = 0;
  std::string system;       // kernel
  double fsync_us = 0;      // median of appending 200 bytes and fdatasync, where the data goes
  double load_average = 0;  // of the last minute, before the first measurement: others' work
};

Machine describe_machine(const std::string& directory);

struct Results {
  std::string date;  // UTC
  Machine machine;
  std::vector<std::string> versions;  // of the peers
  std::vector<Setting> throughput;
  std::vector<Setting> columns;
  std::optional<Convergence> convergence;
  std::optional<Memory> memory;
  std::optional<Filling> filling;
  std::optional<Restart> restart;
  std::optional<Contention> contention;
  std::optional<Tail> tail;
};

std::string to_markdown(const Options& options, const Results& results);

}  // namespace covey::bench
