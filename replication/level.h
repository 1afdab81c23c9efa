// How many replicas must answer: the caller's place on the line between consistency and availability.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace covey {

struct Level {
  enum class Kind : uint8_t { one, quorum, all, count };
  Kind kind = Kind::quorum;
  uint32_t count = 0;  // for Kind::count: 1 to the number of replicas
  bool operator==(const Level&) const = default;

  // How many of `replicas` (N, at least 1) it asks for: 1 to N.
  uint32_t needed(uint32_t replicas) const;
  std::string text() const;  // as parse_level reads it
};

// "one", "quorum", "all", or a number from 1 to `replicas`. nullopt: none of these.
std::optional<Level> parse_level(std::string_view text, uint32_t replicas);

}  // namespace covey
