// What a key holds, as the commands of Redis see it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "replication/request.h"
#include "replication/typed.h"
#include "server/resp_call.h"

namespace covey::server {

inline constexpr std::string_view wrong_type_error =
    "WRONGTYPE Operation against a key holding the wrong kind of value";

// Values and counters are strings to Redis.
inline bool is_string(Type type) { return type == Type::value || type == Type::counter; }

// The value, or the counter's number. nullopt: nothing is there, or no string.
std::optional<std::string> seen_string(const Response& read);
// Of the key. Wall clock in milliseconds; 0: never.
uint64_t seen_expiry(const Response& read);
// The same with another expiry; 0: none. REQUIRES: something is there.
KeyChange expiring(const Response& read, uint64_t expires_ms);
// Reads the key that is words[1], of which `take` makes what `answer` is told: nothing, where nothing is
// there. What is of another type is refused.
template <class Value>
void read_typed(RespCall& call, Type wanted, Value (*take)(const Object& object),
                std::function<void(RespReply& reply, const Value& value)> answer) {
  KeyPlan plan = plan_of_key(call);
  auto found = std::make_shared<Value>();
  plan.change = [found, wanted, take](size_t, const Response& read) {
    const Type type = type_of(read.object);
    if (type != Type::none && type != wanted) return KeyChange::fail(wrong_type_error);
    *found = type == Type::none ? Value() : take(read.object);
    return KeyChange{};
  };
  plan.answer = [found, answer = std::move(answer)](RespReply& reply) { answer(reply, *found); };
  call.run(std::move(plan));
}
// Redis' name.
std::string_view redis_name(Type type);

}  // namespace covey::server
