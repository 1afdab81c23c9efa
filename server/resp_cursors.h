// Where scans go on. Redis' cursors are numbers, covey's places in a table are a partition and a key: a node
// remembers the places it has told lately, for whichever connection comes back with one.
//
// The limit is cursors_max; a new one takes the place of the oldest, which is then not known any more.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace covey::server {

struct RespCursor {
  std::string table;
  uint32_t partition = 0;
  std::string start_key;  // empty: its first
};

// Any thread.
class RespCursors {
 public:
  static constexpr uint64_t cursors_max = 1024;

  // Never 0, which is the beginning and the end of a scan.
  uint64_t add(RespCursor cursor) {
    std::lock_guard lock(mutex_);
    places_[++last_ % cursors_max] = std::move(cursor);
    return last_;
  }
  // Stays, so that a client whose answer was lost can ask again. nullopt: not known (any more).
  std::optional<RespCursor> find(uint64_t number) const {
    std::lock_guard lock(mutex_);
    if (number == 0 || number > last_ || last_ - number >= cursors_max) return std::nullopt;
    return places_[number % cursors_max];
  }

 private:
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::array<RespCursor, cursors_max> places_;
};

}  // namespace covey::server
