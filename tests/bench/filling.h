// How fast an empty copy of everything is filled, and what that costs the clients meanwhile.
#pragma once

#include <filesystem>

#include "tests/bench/options.h"
#include "tests/bench/servers.h"

namespace covey::bench {

struct Filling {
  uint64_t keys = 0;
  double bytes = 0;  // of all keys and values
  // The limit of the machine: so many bytes from a file over the loopback into another file, synced.
  double copy_seconds = 0;
  // The limit of the storage engine: what RocksDB alone needs, without a network and without a store around
  // it.
  double engine_seconds = 0;
  double engine_cpu_us = 0;  // for each object
  // From the ready line of a node with an empty directory until all its copies were ready: without a limit.
  double unlimited_seconds = 0;
  double unlimited_cpu_us = 0;  // processor time of both nodes for each object
  // With the default limit, and clients that write to and read from the other node: without a filling and
  // during one in turns, medians of the rounds.
  double limited_seconds = 0;
  double puts_without = 0, puts_during = 0;  // a second
  double gets_without = 0, gets_during = 0;
  uint32_t rounds = 0;
  uint32_t over_too_early = 0;  // rounds whose filling ended before the clients did
};

struct EngineAlone {
  double seconds = 0;
  double cpu_seconds = 0;  // of both threads
};
// Reads the objects of a node's database, which nobody has open, and writes them below `directory`.
EngineAlone fill_by_engine_alone(const std::filesystem::path& source, const std::filesystem::path& directory);

Filling measure_filling(const Options& options);

}  // namespace covey::bench
