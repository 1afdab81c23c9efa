// What is compared in one setting: servers that run, and how each is asked for the same thing.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/load.h"
#include "tests/bench/options.h"
#include "tests/bench/servers.h"

namespace covey::bench {

struct Question {
  Operation operation = Operation::put;
  uint32_t replicas = 1;  // W of a put, R of a get
  uint32_t pipeline = 1;
  uint64_t seed = 1;
};

struct Sample {
  double per_second = 0;
  double p50_us = 0, p90_us = 0, p99_us = 0, p999_us = 0;
  double cpu_us = 0;  // processor time of all its processes for each request; 0: not known
  uint64_t failures = 0;
  std::string first_failure;
};

class Side {
 public:
  virtual ~Side() = default;
  virtual std::string name(const Question& question) const = 0;
  virtual bool answers(const Question& question) const = 0;
  virtual void fill() {}  // writes every key once
  virtual Sample measure(const Question& question) = 0;
};

// Those that are wanted and whose program is there; covey is the first.
std::vector<std::unique_ptr<Side>> start_sides(const Options& options, uint32_t nodes, Durability durability,
                                               const std::filesystem::path& directory);

// covey twice: with a table without columns, and with two.
std::vector<std::unique_ptr<Side>> start_column_sides(const Options& options, uint32_t nodes,
                                                      Durability durability,
                                                      const std::filesystem::path& directory);

// The write path and RocksDB, both without a network and in this process (in_process.cpp).
void add_in_process_sides(const Options& options, Durability durability,
                          const std::filesystem::path& directory, std::vector<std::unique_ptr<Side>>& sides);

}  // namespace covey::bench
