// What this process takes of its machine, as the system and its allocator tell it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace covey::server {

struct MemoryFigures {
  // Of jemalloc. In bytes: what it has given out, the pages that this is in, and those that it keeps.
  struct Allocator {
    std::string version;
    uint64_t allocated = 0, active = 0, resident = 0;
  };
  std::optional<Allocator> allocator;  // nullopt: it is another one, as in a build with sanitizers
  uint64_t resident = 0, resident_peak = 0;
  uint64_t machine = 0;  // all that there is
};
MemoryFigures memory_figures();

struct CpuFigures {
  double user_seconds = 0, system_seconds = 0;
};
CpuFigures cpu_figures();

}  // namespace covey::server
