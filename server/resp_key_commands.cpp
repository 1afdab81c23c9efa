// Keys, whatever they hold: deleting, counting, expiry.
#include <algorithm>

#include "server/resp_commands.h"
#include "server/resp_expiry.h"
#include "server/resp_value.h"

namespace covey::server {
namespace {

// Counts the keys at which something is.
void count_found(RespCall& call, KeyPlan plan, KeyChange::Kind then) {
  auto found = std::make_shared<std::vector<char>>(plan.keys.size());
  plan.change = [found, then](size_t place, const Response& read) {
    (*found)[place] = seen(read) != nullptr;
    return (*found)[place] ? KeyChange{.kind = then} : KeyChange{};
  };
  plan.answer = [found](RespReply& reply) { reply.integer(std::count(found->begin(), found->end(), true)); };
  call.run(std::move(plan));
}

void erase(RespCall& call) {
  KeyPlan plan = plan_of_keys(call);
  std::sort(plan.keys.begin(), plan.keys.end());
  plan.keys.erase(std::unique(plan.keys.begin(), plan.keys.end()), plan.keys.end());
  count_found(call, std::move(plan), KeyChange::Kind::erase);
}

void exists(RespCall& call) { count_found(call, plan_of_keys(call), KeyChange::Kind::none); }

void type(RespCall& call) {
  KeyPlan plan = plan_of_key(call);
  auto found = std::make_shared<Type>();
  plan.change = [found](size_t, const Response& read) {
    *found = type_of(read.object);
    return KeyChange{};
  };
  plan.answer = [found](RespReply& reply) { reply.simple(redis_name(*found)); };
  call.run(std::move(plan));
}

void time_to_live(RespCall& call, int64_t unit_ms) {
  KeyPlan plan = plan_of_key(call);
  auto left = std::make_shared<int64_t>(-2);
  plan.change = [left, unit_ms](size_t, const Response& read) {
    if (seen(read) == nullptr) return KeyChange{};
    const uint64_t expires_ms = seen_expiry(read);
    const auto milliseconds = static_cast<int64_t>(expires_ms) - static_cast<int64_t>(now().wall_ms);
    *left = expires_ms == 0 ? -1 : (std::max<int64_t>(milliseconds, 0) + unit_ms / 2) / unit_ms;
    return KeyChange{};
  };
  plan.answer = [left](RespReply& reply) { reply.integer(*left); };
  call.run(std::move(plan));
}

void ttl(RespCall& call) { time_to_live(call, 1000); }
void pttl(RespCall& call) { time_to_live(call, 1); }

struct ExpireOptions {
  bool if_none = false, if_some = false, if_later = false, if_earlier = false;

  // Of expiries in milliseconds; 0: never, which is later than any.
  bool allow(uint64_t is, int64_t wanted) const {
    if (if_none && is != 0) return false;
    if (if_some && is == 0) return false;
    if (if_later && (is == 0 || wanted <= static_cast<int64_t>(is))) return false;
    return !(if_earlier && is != 0 && wanted >= static_cast<int64_t>(is));
  }
};

// The error in Redis' words; empty: none.
std::string read_options(const std::vector<std::string>& words, ExpireOptions& out) {
  for (size_t i = 3; i < words.size(); ++i) {
    if (is_option(words[i], "nx")) {
      out.if_none = true;
    } else if (is_option(words[i], "xx")) {
      out.if_some = true;
    } else if (is_option(words[i], "gt")) {
      out.if_later = true;
    } else if (is_option(words[i], "lt")) {
      out.if_earlier = true;
    } else {
      return "ERR Unsupported option " + std::string(told(words[i], words[i].size()));
    }
  }
  if (out.if_none && (out.if_some || out.if_later || out.if_earlier))
    return "ERR NX and XX, GT or LT options at the same time are not compatible";
  if (out.if_later && out.if_earlier) return "ERR GT and LT options at the same time are not compatible";
  return {};
}

void expire_at(RespCall& call, ExpiryUnit unit, std::string_view name) {
  ExpireOptions options;
  const std::string wrong = read_options(call.words, options);
  if (!wrong.empty()) return call.fail(wrong);
  auto at = parse_expiry(call.words[2], unit, name, now());
  if (!at) return call.fail(at.error());
  KeyPlan plan = plan_of_key(call);
  plan.overwrites = false;
  auto done = std::make_shared<bool>();
  plan.change = [done, options, at = *at](size_t, const Response& read) {
    *done = seen(read) != nullptr && options.allow(seen_expiry(read), at);
    if (!*done) return KeyChange{};
    if (at <= static_cast<int64_t>(now().wall_ms)) return KeyChange::erase();
    return expiring(read, static_cast<uint64_t>(at));
  };
  plan.answer = [done](RespReply& reply) { reply.integer(*done ? 1 : 0); };
  call.run(std::move(plan));
}

void expire(RespCall& call) { expire_at(call, {.seconds = true}, "expire"); }
void pexpire(RespCall& call) { expire_at(call, {}, "pexpire"); }
void expireat(RespCall& call) { expire_at(call, {.seconds = true, .since_1970 = true}, "expireat"); }
void pexpireat(RespCall& call) { expire_at(call, {.since_1970 = true}, "pexpireat"); }

void persist(RespCall& call) {
  KeyPlan plan = plan_of_key(call);
  plan.overwrites = false;
  auto done = std::make_shared<bool>();
  plan.change = [done](size_t, const Response& read) {
    *done = seen_expiry(read) != 0;
    return *done ? expiring(read, 0) : KeyChange{};
  };
  plan.answer = [done](RespReply& reply) { reply.integer(*done ? 1 : 0); };
  call.run(std::move(plan));
}

constexpr RespCommand key_commands[] = {
    write_key("del", -2, erase, {"1.0.0", "O(N) in the keys", "key...", "Deletes keys, whatever they hold."},
              MeteredOperation::erase, -1),
    write_key("unlink", -2, erase, {"4.0.0", "O(N) in the keys", "key...", "As DEL."},
              MeteredOperation::erase, -1),
    read_key("exists", -2, exists,
             {"1.0.0", "O(N) in the keys", "key...", "How many of the keys hold something."}, -1),
    read_key("type", 2, type, {"1.0.0", "O(1)", "key", "Of which type is what the key holds."}),
    read_key("ttl", 2, ttl, {"1.0.0", "O(1)", "key", "In how many seconds the key expires."}),
    read_key("pttl", 2, pttl, {"2.6.0", "O(1)", "key", "In how many milliseconds the key expires."}),
    write_key(
        "expire", -3, expire,
        {"1.0.0", "O(1)", "key seconds [condition=NX|XX|GT|LT]", "Has the key expire in so many seconds."}),
    write_key("pexpire", -3, pexpire,
              {"2.6.0", "O(1)", "key milliseconds [condition=NX|XX|GT|LT]",
               "Has the key expire in so many milliseconds."}),
    write_key(
        "expireat", -3, expireat,
        {"1.2.0", "O(1)", "key unix-time-seconds [condition=NX|XX|GT|LT]", "Has the key expire at a time."}),
    write_key("pexpireat", -3, pexpireat,
              {"2.6.0", "O(1)", "key unix-time-milliseconds [condition=NX|XX|GT|LT]",
               "Has the key expire at a time."}),
    write_key("persist", 2, persist, {"2.2.0", "O(1)", "key", "Has the key never expire."}),
};

}  // namespace

std::span<const RespCommand> resp_key_commands() { return key_commands; }

}  // namespace covey::server
