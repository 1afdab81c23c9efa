// Makes a scenario from a seed: each seed draws its cluster, its faults with their rates, and its clients.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace covey::sim {

struct GenerateOptions {
  uint64_t seed = 1;
  std::optional<uint32_t> nodes;
  std::optional<uint64_t> time_us;  // of the safety phase; absent: drawn
  // Any of: partition, network, crash, clock, disk. "membership" is read and has no faults yet.
  std::set<std::string> faults = {"partition", "network", "crash", "clock", "disk", "membership"};
};

std::vector<std::string> generate(const GenerateOptions& options);

}  // namespace covey::sim
