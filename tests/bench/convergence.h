// What it costs to make replicas equal again, and what they say to each other while they are equal.
#pragma once

#include "tests/bench/options.h"
#include "tests/bench/servers.h"

namespace covey::bench {

struct Convergence {
  uint64_t keys = 0;           // in the table
  uint64_t changed = 0;        // while one node of three was away
  double differing_bytes = 0;  // key and value of each changed object
  double objects_sent = 0;     // by all nodes
  double object_bytes = 0;     // what all nodes sent as objects, by gossip and repair
  double peer_bytes = 0;       // all that they sent each other from the node's return until they were equal
  double ready_seconds = 0;    // from the start of the node's process to its ready line
  double equal_seconds = 0;    // from then until the last of the changed keys could be read there
  double idle_bytes_per_second_and_partition = 0;  // for a pair of equal replicas
};

Convergence measure_convergence(const Options& options);

// Memory of one node with all keys loaded, and how long it takes to start again with them.
struct Memory {
  uint64_t keys = 0;
  double load_per_second = 0;   // by the batch call
  uint64_t cache_bytes = 0;     // as configured; memtables count to it
  uint64_t resident_bytes = 0;  // when the load ended
  uint64_t resident_after_start_bytes = 0;
  double ready_seconds = 0;
};

Memory measure_memory(const Options& options);

// Writes the keys from begin to end, new values with each seed, by the batch call.
void load_keys(const CoveyCluster& cluster, size_t nodes, uint64_t begin, uint64_t end, uint32_t value_bytes,
               uint64_t seed, const std::string& query);

}  // namespace covey::bench
