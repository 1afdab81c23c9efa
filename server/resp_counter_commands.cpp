// Counters: what different nodes add at the same time adds up.
#include <limits>

#include "replication/number.h"
#include "server/resp_commands.h"
#include "server/resp_value.h"

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
  // Redis looks at what is there first.
  if (!parse_number(call.words[2]))
    return call.read_key([](RespCall& asked, const Response& read) {
      const Type type = type_of(read.object);
      asked.reply().error(type == Type::none || is_string(type) ? no_float : wrong_type_error);
    });
  change_key(call, {{ChangeKind::increment_float, {}, std::move(call.words[2])}},
             [](RespReply& reply, const Changed& changed) { reply.bulk(changed.value); },
             {.not_a_number = no_float, .overflow = "ERR increment would produce NaN or Infinity"});
}

constexpr RespCommand counter_commands[] = {
    write_key("incr", 2, incr, {"1.0.0", "O(1)", "key", "Adds one to a counter."}),
    write_key("decr", 2, decr, {"1.0.0", "O(1)", "key", "Takes one from a counter."}),
    write_key("incrby", 3, incrby, {"1.0.0", "O(1)", "key increment", "Adds to a counter."}),
    write_key("decrby", 3, decrby, {"1.0.0", "O(1)", "key decrement", "Takes from a counter."}),
    write_key("incrbyfloat", 3, incrbyfloat,
              {"2.6.0", "O(1)", "key increment:double", "Adds a float to a counter."}),
};

}  // namespace

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

std::span<const RespCommand> resp_counter_commands() { return counter_commands; }

}  // namespace covey::server
