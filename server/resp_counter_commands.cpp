// Counters: what different nodes add at the same time adds up.
#include <limits>

#include "replication/number.h"
#include "server/resp_commands.h"

namespace covey::server {
namespace {

constexpr std::string_view no_float = "ERR value is not a valid float";

void add(RespCall& call, int64_t number, std::string token = {}) {
  change_key(call, {{ChangeKind::increment, std::move(token), std::to_string(number)}},
             [](RespReply& reply, const Changed& changed) {
               reply.integer(parse_integer(changed.value).value_or(0));
             });
}

void incr(RespCall& call) { add(call, 1); }
void decr(RespCall& call) { add(call, -1); }

void incrby(RespCall& call) {
  auto number = parse_integer(call.words[2]);
  if (!number) return call.fail(not_an_integer);
  add(call, *number);
}

void decrby(RespCall& call) {
  auto number = parse_integer(call.words[2]);
  if (!number) return call.fail(not_an_integer);
  if (*number == std::numeric_limits<int64_t>::min()) return call.fail("ERR decrement would overflow");
  add(call, -*number);
}

void incrbyfloat(RespCall& call) {
  if (!parse_number(call.words[2])) return call.fail(no_float);
  change_key(call, {{ChangeKind::increment_float, {}, std::move(call.words[2])}},
             [](RespReply& reply, const Changed& changed) { reply.bulk(changed.value); },
             {.not_a_number = no_float, .overflow = "ERR increment would produce NaN or Infinity"});
}

// COVEY.INCR key number [TOKEN token]
void covey_incr(RespCall& call) {
  auto number = parse_integer(call.words[2]);
  if (!number) return call.fail(not_an_integer);
  const bool has_token = call.words.size() == 5 && is_option(call.words[3], "token");
  if (call.words.size() != 3 && !has_token) return call.fail_syntax();
  if (!has_token) return add(call, *number);
  if (call.words[4].empty() || call.words[4].size() > change_token_bytes_max)
    return call.fail("ERR a token has 1 to " + std::to_string(change_token_bytes_max) + " bytes");
  add(call, *number, std::move(call.words[4]));
}

constexpr RespCommand commands[] = {
    write_key("incr", 2, incr),
    write_key("decr", 2, decr),
    write_key("incrby", 3, incrby),
    write_key("decrby", 3, decrby),
    write_key("incrbyfloat", 3, incrbyfloat),
    write_key("covey.incr", -3, covey_incr),
};

}  // namespace

std::span<const RespCommand> resp_counter_commands() { return commands; }

}  // namespace covey::server
