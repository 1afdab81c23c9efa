#include "server/resp_expiry.h"

#include <limits>

#include "server/call_options.h"
#include "server/resp_call.h"

namespace covey::server {

Result<int64_t, std::string> parse_expiry(std::string_view text, ExpiryUnit unit, std::string_view command,
                                          Now now) {
  auto number = parse_integer(text);
  if (!number) return std::string(not_an_integer);
  const auto base = static_cast<int64_t>(now.wall_ms);
  const int64_t most = base + static_cast<int64_t>(ttl_ms_max);
  const int64_t scale = unit.seconds ? 1000 : 1;
  const std::string invalid = "ERR invalid expire time in '" + std::string(command) + "' command";
  if (*number > most / scale || *number < std::numeric_limits<int64_t>::min() / scale) return invalid;
  const int64_t at = *number * scale + (unit.since_1970 ? 0 : base);
  if (at > most) return invalid;
  return at == 0 ? 1 : at;
}

}  // namespace covey::server
