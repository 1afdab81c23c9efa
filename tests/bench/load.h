// The load generator: many connections from one thread, each sending a batch, waiting for all its answers,
// and then the next. The same for every server that is compared.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/histogram.h"
#include "tests/bench/protocol.h"

namespace covey::bench {

enum class Operation { put, get };

struct Load {
  Operation operation = Operation::put;
  std::vector<uint16_t> ports;  // of 127.0.0.1; connections take turns
  std::function<std::unique_ptr<Protocol>()> protocol;
  uint32_t connections = 50;
  uint32_t pipeline = 1;    // requests in a batch
  uint64_t keys = 100'000;  // chosen evenly at random, or, in order, each once
  bool each_key_once = false;
  uint32_t value_bytes = 100;
  bool json_values = false;  // objects with a double "x", an integer "n" and a text that fills them
  double warm_up_seconds = 0.3;
  double seconds = 2;  // measured, after the warm-up. Not looked at with each_key_once
  uint64_t seed = 1;
};

struct LoadResult {
  uint64_t operations = 0;      // in the measured time
  uint64_t all_operations = 0;  // with those of the warm-up
  uint64_t failures = 0;
  std::string first_failure;
  double seconds = 0;
  client::Histogram latency_ns;  // from the sending of a request's batch to its answer
  double per_second() const { return seconds > 0 ? static_cast<double>(operations) / seconds : 0; }
};

// Throws std::runtime_error if a connection cannot be made or is lost, or no answer comes for ten seconds.
LoadResult run_load(const Load& load);

std::string key_text(uint64_t index);  // 16 bytes

// A generator that gives the same numbers everywhere (splitmix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  uint64_t below(uint64_t limit) { return next() % limit; }

 private:
  uint64_t state_;
};

// Letters and digits, so that compression finds something, but not much.
std::string value_text(Random& random, uint32_t bytes);
// A JSON object of about so many bytes, at least some 40: {"x": 0.123..., "n": -12345, "text": "..."}.
std::string json_value_text(Random& random, uint32_t bytes);

}  // namespace covey::bench
