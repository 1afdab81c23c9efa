// Values as Redis' strings.
#include <map>

#include "server/resp_commands.h"
#include "server/resp_expiry.h"
#include "server/resp_value.h"

namespace covey::server {
namespace {

using Text = std::optional<std::string>;

// Whether it is there and is no string.
bool is_other(const Response& read) {
  const Type type = type_of(read.object);
  return type != Type::none && !is_string(type);
}

// What was read with another value.
KeyChange changed(const Response& read, std::string value) {
  KeyChange change = KeyChange::put(std::move(value), seen_expiry(read));
  if (type_of(read.object) == Type::value) change.content_type = seen(read)->content_type;
  return change;
}

void answer_value(RespCall& call, const Response& read) {
  if (is_other(read)) return call.reply().error(wrong_type_error);
  if (type_of(read.object) == Type::value) return call.reply().bulk(seen(read)->value);
  call.reply().bulk_or_null(seen_string(read));
}

void answer_length(RespCall& call, const Response& read) {
  if (is_other(read)) return call.reply().error(wrong_type_error);
  const Text value = seen_string(read);
  call.reply().integer(value ? static_cast<int64_t>(value->size()) : 0);
}

void answer_ok(RespCall& call, const Response&) { call.reply().ok(); }

void get(RespCall& call) { call.read_key(answer_value); }

void length(RespCall& call) { call.read_key(answer_length); }

// The options of SET and GETEX.
struct ValueOptions {
  bool only_absent = false, only_present = false, gets = false, keeps_expiry = false, persists = false;
  Text expiry;
  ExpiryUnit unit;
  // The same option may come again, and the last one counts: as in Redis.
  bool may_expire_in(ExpiryUnit other) const {
    return !keeps_expiry && !persists && (!expiry || unit == other);
  }
};

std::optional<ExpiryUnit> unit_of(std::string_view word) {
  if (is_option(word, "ex")) return ExpiryUnit{.seconds = true};
  if (is_option(word, "px")) return ExpiryUnit{};
  if (is_option(word, "exat")) return ExpiryUnit{.seconds = true, .since_1970 = true};
  if (is_option(word, "pxat")) return ExpiryUnit{.since_1970 = true};
  return std::nullopt;
}

enum class OptionsOf { set, getex };

// false: they make no sense.
bool read_options(const std::vector<std::string>& words, size_t from, OptionsOf command, ValueOptions& out) {
  for (size_t i = from; i < words.size(); ++i) {
    const bool sets = command == OptionsOf::set;
    if (sets && is_option(words[i], "nx") && !out.only_present) {
      out.only_absent = true;
    } else if (sets && is_option(words[i], "xx") && !out.only_absent) {
      out.only_present = true;
    } else if (sets && is_option(words[i], "get")) {
      out.gets = true;
    } else if (sets && is_option(words[i], "keepttl") && !out.expiry) {
      out.keeps_expiry = true;
    } else if (!sets && is_option(words[i], "persist") && !out.expiry) {
      out.persists = true;
    } else if (auto unit = unit_of(words[i]); unit && out.may_expire_in(*unit) && i + 1 < words.size()) {
      out.unit = *unit;
      out.expiry = words[++i];
    } else {
      return false;
    }
  }
  return true;
}

// Of a value that is to have a future; an absolute time may be past, then the value is gone at once.
Result<int64_t, std::string> expiry_of(const std::string& text, ExpiryUnit unit, std::string_view command) {
  auto number = parse_integer(text);
  if (number && *number <= 0) return "ERR invalid expire time in '" + std::string(command) + "' command";
  return parse_expiry(text, unit, command, now());
}

// SET with options that depend on what is there.
void set_with(RespCall& call, std::string value, uint64_t expires_ms, const ValueOptions& options) {
  struct State {
    std::string value;
    Text old;
    bool written = false;
  };
  auto state = std::make_shared<State>();
  state->value = std::move(value);
  KeyPlan plan = plan_of_key(call);
  plan.change = [state, options, expires_ms](size_t, const Response& read) {
    if (options.gets && is_other(read)) return KeyChange::fail(wrong_type_error);
    const bool present = seen(read) != nullptr;
    state->old = seen_string(read);
    state->written = !(options.only_absent && present) && !(options.only_present && !present);
    if (!state->written) return KeyChange{};
    return KeyChange::put(state->value, options.keeps_expiry ? seen_expiry(read) : expires_ms);
  };
  if (options.only_absent) plan.refused = [state](size_t) { state->written = false; };
  plan.answer = [state, gets = options.gets](RespReply& reply) {
    if (gets) return reply.bulk_or_null(state->old);
    state->written ? reply.ok() : reply.null();
  };
  call.run(std::move(plan));
}

void set(RespCall& call) {
  ValueOptions options;
  if (!read_options(call.words, 3, OptionsOf::set, options)) return call.fail_syntax();
  uint64_t expires_ms = 0;
  if (options.expiry) {
    auto at = expiry_of(*options.expiry, options.unit, "set");
    if (!at) return call.fail(at.error());
    expires_ms = static_cast<uint64_t>(*at);
  }
  std::string value = std::move(call.words[2]);
  const bool reads = options.only_absent || options.only_present || options.gets || options.keeps_expiry;
  reads ? set_with(call, std::move(value), expires_ms, options)
        : call.put_key(std::move(value), expires_ms, answer_ok);
}

void set_expiring(RespCall& call, ExpiryUnit unit, std::string_view name) {
  auto at = expiry_of(call.words[2], unit, name);
  if (!at) return call.fail(at.error());
  call.put_key(std::move(call.words[3]), static_cast<uint64_t>(*at), answer_ok);
}

void setex(RespCall& call) { set_expiring(call, {.seconds = true}, "setex"); }
void psetex(RespCall& call) { set_expiring(call, {}, "psetex"); }

void setnx(RespCall& call) {
  KeyPlan plan = plan_of_key(call);
  auto written = std::make_shared<bool>();
  plan.change = [written, value = std::move(call.words[2])](size_t, const Response& read) {
    *written = seen(read) == nullptr;
    return *written ? KeyChange::put(value) : KeyChange{};
  };
  plan.refused = [written](size_t) { *written = false; };
  plan.answer = [written](RespReply& reply) { reply.integer(*written ? 1 : 0); };
  call.run(std::move(plan));
}

void getset(RespCall& call) {
  std::string value = std::move(call.words[2]);
  set_with(call, std::move(value), 0, {.gets = true});
}

void getdel(RespCall& call) {
  KeyPlan plan = plan_of_key(call);
  plan.overwrites = false;  // nothing that was not answered
  auto old = std::make_shared<Text>();
  plan.change = [old](size_t, const Response& read) {
    if (is_other(read)) return KeyChange::fail(wrong_type_error);
    *old = seen_string(read);
    return *old ? KeyChange::erase() : KeyChange{};
  };
  plan.answer = [old](RespReply& reply) { reply.bulk_or_null(*old); };
  call.run(std::move(plan));
}

void getex(RespCall& call) {
  ValueOptions options;
  if (!read_options(call.words, 2, OptionsOf::getex, options)) return call.fail_syntax();
  if (!options.expiry && !options.persists) return get(call);
  struct State {
    Text value;
    std::string error;
  };
  auto state = std::make_shared<State>();
  KeyPlan plan = plan_of_key(call);
  plan.overwrites = false;
  plan.change = [state, options](size_t, const Response& read) {
    if (is_other(read)) return KeyChange::fail(wrong_type_error);
    state->value = seen_string(read);
    if (!state->value) return KeyChange{};
    if (!options.expiry) return seen_expiry(read) == 0 ? KeyChange{} : expiring(read, 0);
    auto at = expiry_of(*options.expiry, options.unit, "getex");
    if (!at) {
      state->error = at.error();
      return KeyChange{};
    }
    if (*at <= static_cast<int64_t>(now().wall_ms)) return KeyChange::erase();
    return expiring(read, static_cast<uint64_t>(*at));
  };
  plan.answer = [state](RespReply& reply) {
    state->error.empty() ? reply.bulk_or_null(state->value) : reply.error(state->error);
  };
  call.run(std::move(plan));
}

void append(RespCall& call) {
  KeyPlan plan = plan_of_key(call);
  plan.overwrites = false;
  auto size = std::make_shared<size_t>();
  plan.change = [size, more = std::move(call.words[2])](size_t, const Response& read) {
    if (is_other(read)) return KeyChange::fail(wrong_type_error);
    std::string value = seen_string(read).value_or("") + more;
    *size = value.size();
    return seen(read) == nullptr ? KeyChange::put(std::move(value)) : changed(read, std::move(value));
  };
  plan.answer = [size](RespReply& reply) { reply.integer(static_cast<int64_t>(*size)); };
  call.run(std::move(plan));
}

void mget(RespCall& call) {
  KeyPlan plan = plan_of_keys(call);
  plan.keeps_values = true;
  auto values = std::make_shared<std::vector<Text>>(plan.keys.size());
  plan.change = [values](size_t place, const Response& read) {
    (*values)[place] = seen_string(read);
    return KeyChange{};
  };
  plan.answer = [values](RespReply& reply) {
    reply.array(values->size());
    for (const Text& value : *values) reply.bulk_or_null(value);
  };
  call.run(std::move(plan));
}

void mset(RespCall& call) {
  if (call.words.size() % 2 == 0) return call.fail("ERR wrong number of arguments for 'mset' command");
  // Of a key that is named more than once the last value stays.
  std::map<std::string, std::string> pairs;
  for (size_t i = 1; i < call.words.size(); i += 2)
    pairs.insert_or_assign(std::move(call.words[i]), std::move(call.words[i + 1]));
  KeyPlan plan;
  plan.reads = false;
  auto values = std::make_shared<std::vector<std::string>>();
  for (auto& [key, value] : pairs) {
    plan.keys.push_back(key);
    values->push_back(std::move(value));
  }
  plan.change = [values](size_t place, const Response&) {
    return KeyChange::put(std::move((*values)[place]));
  };
  plan.answer = [](RespReply& reply) { reply.ok(); };
  call.run(std::move(plan));
}

constexpr RespCommand string_commands[] = {
    read_key("get", 2, get, {"1.0.0", "O(1)", "key", "The value."}),
    read_key("strlen", 2, length, {"2.2.0", "O(1)", "key", "How many bytes the value has."}),
    write_key("set", -3, set,
              {"1.0.0", "O(1)",
               "key value [condition=NX|XX] [GET] [expiration=EX seconds|PX milliseconds|EXAT "
               "unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
               "Writes a value, whatever was there."}),
    write_key("setex", 4, setex, {"2.0.0", "O(1)", "key seconds value", "Writes a value that expires."}),
    write_key("psetex", 4, psetex,
              {"2.6.0", "O(1)", "key milliseconds value", "Writes a value that expires."}),
    write_key("setnx", 3, setnx, {"1.0.0", "O(1)", "key value", "Writes a value if the key holds nothing."}),
    write_key("getset", 3, getset,
              {"1.0.0", "O(1)", "key value", "Writes a value and answers the one before."}),
    write_key("getdel", 2, getdel, {"6.2.0", "O(1)", "key", "Answers the value and deletes it."}),
    write_key("getex", -2, getex,
              {"6.2.0", "O(1)",
               "key [expiration=EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT "
               "unix-time-milliseconds|PERSIST]",
               "Answers the value and changes when it expires."}),
    write_key("append", 3, append,
              {"2.0.0", "O(N) in the value's bytes", "key value", "Adds bytes to the end of the value."}),
    read_key("mget", -2, mget, {"1.0.0", "O(N) in the keys", "key...", "The values of several keys."}, -1),
    {.name = "mset",
     .arity = -3,
     .operation = MeteredOperation::put,
     .writes = true,
     .first_key = 1,
     .last_key = -1,
     .key_step = 2,
     .run = mset,
     .docs = {"1.0.1", "O(N) in the keys", "(key_value=key value)...", "Writes several values."}},
};

}  // namespace

std::span<const RespCommand> resp_string_commands() { return string_commands; }

}  // namespace covey::server
