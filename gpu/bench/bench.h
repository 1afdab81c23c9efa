// One benchmark, one run, the same bytes for all: what a read of memory takes, and what each question takes
// beside it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gpu/backend.h"

namespace covey::agg::bench {

struct Options {
  uint64_t rows = 50000000;
  uint32_t partitions = 8;
  uint32_t threads = 0;
  int rounds = 7;
  int isa = 4;
  std::string only;  // part of a name
  std::string device = "auto";
};

struct Sample {
  double median_ms = 0;
  double least_ms = 0;
  double most_ms = 0;
  double cpu_ms =
      0;  // processor time of all threads, median: says more than the rest where others use the machine
};
// One round first that is not counted.
Sample measure(int rounds, const std::function<void()>& work);

// x in [0, 1) with 53 random bits, n in +-1,000,000; to group by: k of 16, g of 64 K and h of 1 M integers
// and site of 1,000 strings, evenly spread, and the same by Zipf's law as k_z, g_z, h_z, site_z.
struct Data {
  std::vector<std::unique_ptr<ColumnStore>> stores;
  std::vector<PartitionInput> inputs;
  Schema schema;
  uint64_t rows = 0;
};
Data make_data(const Options& options);

// Plain reads of the column x by so many threads: the ceiling.
Sample measure_ceiling(const Data& data, uint32_t threads, int rounds);
// A plain sum of doubles, in whatever order: what is not exact.
Sample measure_naive(const Data& data, uint32_t threads, int rounds);

// Reads a query's answer, group by group.
void read_all(const Partials& partials, const Plan& plan, size_t query);

struct Question {
  const char* name;
  std::vector<Query> queries;
  double bytes_a_row;  // that have to be read
};

// Tables of a device, whose bits are compared with the CPU's.
void measure_device(Backend& device, Backend& cpu, const Data& data, const std::vector<Question>& questions,
                    const Options& options);
// How many different results one set of values has in different orders; `device` may be null.
void count_bit_patterns(Backend& cpu, Backend* device);

}  // namespace covey::agg::bench
