// How fast an empty copy of everything is filled, and what that costs the clients meanwhile.
#pragma once

#include "tests/bench/options.h"
#include "tests/bench/servers.h"

namespace covey::bench {

struct Filling {
  uint64_t keys = 0;
  double bytes = 0;  // of all keys and values
  // The limit of the machine: so many bytes from a file over the loopback into another file, synced.
  double copy_seconds = 0;
  // From the ready line of a node with an empty directory until all its copies were ready: without a limit.
  double unlimited_seconds = 0;
  double unlimited_cpu_us = 0;  // processor time of both nodes for each object
  // With the default limit, and clients that write to and read from the other node all the while.
  double limited_seconds = 0;
  double puts_before = 0, puts_during = 0;  // a second
  double gets_before = 0, gets_during = 0;
};

Filling measure_filling(const Options& options);

}  // namespace covey::bench
