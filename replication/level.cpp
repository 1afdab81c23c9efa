#include "replication/level.h"

#include <charconv>

namespace covey {

uint32_t Level::needed(uint32_t replicas) const {
  switch (kind) {
    case Kind::one:
      return 1;
    case Kind::quorum:
      return replicas / 2 + 1;
    case Kind::all:
      return replicas;
    case Kind::count:
      return count;
  }
  return replicas;
}

std::string Level::text() const {
  switch (kind) {
    case Kind::one:
      return "one";
    case Kind::quorum:
      return "quorum";
    case Kind::all:
      return "all";
    case Kind::count:
      return std::to_string(count);
  }
  return "all";
}

std::optional<Level> parse_level(std::string_view text, uint32_t replicas) {
  if (text == "one") return Level{Level::Kind::one};
  if (text == "quorum") return Level{Level::Kind::quorum};
  if (text == "all") return Level{Level::Kind::all};
  uint32_t count = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 1 || count > replicas)
    return std::nullopt;
  return Level{Level::Kind::count, count};
}

}  // namespace covey
