// Times that Redis' commands give: seconds or milliseconds, from now or since 1970.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replication/result.h"
#include "replication/types.h"

namespace covey::server {

struct ExpiryUnit {
  bool seconds = false;     // else milliseconds
  bool since_1970 = false;  // else from now
  bool operator==(const ExpiryUnit&) const = default;
};

// Wall clock in milliseconds; negative or small: in the past, but never 0. `command` is named in the error,
// which is Redis' own. Times beyond a hundred years from now are refused.
Result<int64_t, std::string> parse_expiry(std::string_view text, ExpiryUnit unit, std::string_view command,
                                          Now now);

}  // namespace covey::server
