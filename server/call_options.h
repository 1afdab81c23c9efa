// A request's path and query as covey understands them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "replication/level.h"
#include "replication/result.h"
#include "server/config.h"
#include "server/errors.h"

namespace covey::server {

inline constexpr size_t key_bytes_max = 2048;
inline constexpr uint32_t scan_keys_max = 10'000;
inline constexpr uint64_t ttl_ms_max = 100ull * 365 * 24 * 3600 * 1000;

struct CallOptions {
  Level read;
  Level write;
  bool sloppy = true;
  uint32_t timeout_ms = 1000;
  uint64_t ttl_ms = 0;  // 0: none
  std::string prefix;
  std::string start;
  std::optional<std::string> cursor;
  uint32_t limit = 1000;
};

// Parameters that the call does not use are ignored; those that no call has are refused, so that a misspelt
// level is not silently the default one.
[[nodiscard]] Result<CallOptions, ErrorAnswer> parse_options(const Config& config, std::string_view query);

// Decodes a key from a path. 1 to 2,048 bytes.
[[nodiscard]] Result<std::string, ErrorAnswer> parse_key(std::string_view encoded);
// nullopt: the key may be stored.
std::optional<ErrorAnswer> check_key(std::string_view key);

}  // namespace covey::server
