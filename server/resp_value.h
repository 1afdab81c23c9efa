// What a key holds, as the commands of Redis see it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "replication/request.h"
#include "replication/typed.h"
#include "server/resp_call.h"

namespace covey::server {

inline constexpr std::string_view wrong_type_error =
    "WRONGTYPE Operation against a key holding the wrong kind of value";

// Of what a read answered: values and counters are strings to Redis.
inline Type seen_type(const Response& read) {
  return plain(read.object) ? (read.object.versions.empty() ? Type::none : Type::value)
                            : type_of(read.object);
}
inline bool is_string(Type type) { return type == Type::value || type == Type::counter; }

// The value, or the counter's number. nullopt: nothing is there, or no string.
std::optional<std::string> seen_string(const Response& read);
// Of the key. Wall clock in milliseconds; 0: never.
uint64_t seen_expiry(const Response& read);
// The same with another expiry; 0: none. REQUIRES: something is there.
KeyChange expiring(const Response& read, uint64_t expires_ms);
// Redis' name.
std::string_view redis_name(Type type);

}  // namespace covey::server
