// The marker file of a data directory: that it is ours, in which format, and which copy of it this is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace covey {

struct DirectoryMarker {
  static constexpr const char* file_name = "COVEY";

  uint32_t format = 0;
  std::string nonce;

  enum class State : uint8_t { missing, unreadable, damaged, present };
  // State::unreadable: errno tells why.
  static State read(const std::string& directory, DirectoryMarker& marker);
  // Replaces the marker durably by one with a new nonce. False: errno tells why.
  static bool replace(const std::string& directory, uint32_t format);
  // What tells this directory from its copies: the marker's device, inode and change time, which no copy
  // takes with it, and the nonce. nullopt: there is no marker.
  static std::optional<std::string> fingerprint(const std::string& directory);
};

}  // namespace covey
