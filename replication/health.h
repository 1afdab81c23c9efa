// What the cluster holds of a node, by failure detection (replication/failure_detector.h).
#pragma once

#include <cstdint>
#include <string_view>

#include "replication/types.h"

namespace covey {

// Of a node in one incarnation. Higher overrules lower. On the wire: never renumbered.
enum class Health : uint8_t {
  alive = 0,
  suspected = 1,  // did not answer; has some time left to refute it
  dead = 2        // did not refute it in time. It may come back
};
inline constexpr uint32_t healths = 3;

constexpr std::string_view health_text(Health health) {
  return health == Health::alive ? "alive" : health == Health::suspected ? "suspected" : "dead";
}

struct Verdict {
  NodeId node;
  Health health = Health::alive;
  uint64_t incarnation = 0;  // told by the node itself, who raises it to refute what is said of it
  uint64_t since_us = 0;     // tick; when this node learned it
};

// Of the failure detector; the same on all nodes.
struct DetectorOptions {
  uint64_t probe_interval_us = 400'000;  // one node is probed in it
  uint64_t probe_timeout_us = 120'000;   // then others are asked; below the interval
  uint32_t asked_max = 3;                // how many of them
  uint32_t suspicion_intervals = 2;      // SuspicionTimes::least_intervals
  uint32_t suspicion_most = 6;           // SuspicionTimes::most_over_least
  uint64_t news_interval_us = 100'000;   // between rounds that only carry news; none where there is none
  uint32_t news_fanout = 3;              // to how many nodes
  uint32_t news_multiple = 3;      // each is told so often times the natural logarithm of the group's size
  uint32_t news_bytes_max = 1000;  // in a message, about
  uint64_t compare_interval_us = 30'000'000;  // between comparisons of all states with one node
  uint32_t local_health_max = 8;              // interval and timeout grow to so many times more
  bool lifeguard = true;                      // false: plain SWIM, for comparison
};

}  // namespace covey
