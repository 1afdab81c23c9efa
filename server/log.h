// Structured logs on standard error, through spdlog. Call sites use spdlog::info("what happened name={}",
// value).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "server/config.h"

namespace covey::server {

// One line an event, whatever the message holds. Format text: "2026-03-01T12:34:56.789Z warning [n1]
// message"; json:
// {"time": "2026-03-01T12:34:56.789Z", "level": "warning", "node": "n1", "message": "..."}.
void start_log(const Config& config);

// Says yes to a message at most once in a while, and how many it has held back since. Used by one thread.
class LogGate {
 public:
  explicit LogGate(std::chrono::seconds pause = std::chrono::seconds(10)) : pause_(pause) {}
  bool open(const std::string& message);
  uint64_t held_back(const std::string& message) const;

 private:
  struct Entry {
    std::chrono::steady_clock::time_point last;
    uint64_t held_back = 0;  // since the last one that was let through
    uint64_t told_held_back = 0;
  };
  static constexpr size_t entries_max = 256;  // beyond it all are forgotten, and may be logged again
  std::chrono::seconds pause_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace covey::server
