// When a write counts as durable: the operator's choice for a whole node.
#pragma once

#include <cstdint>

namespace covey {

enum class Durability : uint8_t {
  sync,      // after an fsync, which writes share
  interval,  // after an fsync too, but there is one only every so many milliseconds
  none,      // at once: the operating system writes when it likes
};

}  // namespace covey
