// What stays the same during a run: the first lines of a scenario.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/durability.h"
#include "tests/sim/text.h"

namespace covey::sim {

inline constexpr uint32_t nodes_max = 15;

struct Setup {
  uint64_t seed = 1;
  std::vector<uint32_t> shards = {1, 1, 1};  // for each node; their number is the number of nodes
  uint32_t members = 0;  // so many nodes are members from the first, the others may join; 0: all
  uint32_t replicas = 3;
  uint32_t partitions = 8;
  Durability durability = Durability::sync;
  bool rocksdb = false;  // the stores are RocksDB itself, on simulated files; else in memory
  uint32_t siblings_max = 100;
  uint64_t log_entries_max = 1'000'000;
  uint32_t message_bytes_max = 256 * 1024;
  uint64_t transfer_bytes_per_second = 0;
  uint64_t filled_beside_max = 50'000;
  uint64_t stand_in_bytes_max = 1ull << 40;
  uint64_t gossip_interval_us = 200'000;
  uint64_t pass_us =
      0;  // inputs of so much time are taken in one pass, as a busy event loop does; 0: each alone

  uint32_t nodes() const { return static_cast<uint32_t>(shards.size()); }
  uint32_t first_members() const { return members == 0 ? nodes() : members; }
};

// True if the line (its words) belongs to the setup and was taken. Throws ScenarioError.
bool apply_setup_line(Setup& setup, const std::vector<std::string>& words);
// As lines that give the same setup.
std::vector<std::string> setup_lines(const Setup& setup);

}  // namespace covey::sim
