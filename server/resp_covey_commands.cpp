// What Redis does not have: siblings, contexts, levels and tables.
#include "replication/context_token.h"
#include "server/errors.h"
#include "server/resp_commands.h"
#include "server/text.h"
#include "server/typed_answer.h"

namespace covey::server {
namespace {

// false: it was told what a level is.
bool take_level(RespCall& call, const std::string& word, Level& level) {
  auto parsed = parse_level(lower_case(word), call.config().replicas);
  if (parsed) {
    level = *parsed;
    return true;
  }
  call.fail("ERR a level is one, quorum, all or a number from 1 to " +
            std::to_string(call.config().replicas));
  return false;
}

void write_sibling(RespReply& reply, ShardLoop& shard, const Version& version) {
  reply.map(4);
  reply.bulk("value");
  reply.bulk(version.value);
  reply.bulk("dot");
  reply.bulk(shard.core().dot_text(version.dot));
  reply.bulk("time");
  reply.bulk(iso_time(version.time.ms()));
  reply.bulk("expires_ms");
  reply.integer(static_cast<int64_t>(version.expires_ms));
}

// A counter as its number, a set as its elements, a hash as its fields.
void write_typed(RespReply& reply, const Object& object, Type type) {
  const Version& latest = newest_of(object, type);
  reply.map(4);
  reply.bulk("type");
  reply.bulk(text_of(type));
  reply.bulk("value");
  if (type == Type::counter) {
    reply.bulk(text_of(counter_value(object)));
  } else if (type == Type::set) {
    const auto all = members(object);
    reply.set(all.size());
    for (const std::string_view member : all) reply.bulk(member);
  } else {
    const auto all = fields(object);
    reply.map(all.size());
    for (const auto& [name, value] : all) {
      reply.bulk(name);
      reply.bulk(value);
    }
  }
  reply.bulk("time");
  reply.bulk(iso_time(latest.time.ms()));
  reply.bulk("expires_ms");
  reply.integer(static_cast<int64_t>(latest.expires_ms));
}

void write_siblings(RespReply& reply, ShardLoop& shard, const Object& object) {
  const auto registers = registers_of(object, type_of(object));
  const auto types = types_in(object);
  reply.array(registers.size() + types.size());
  for (const Version* version : registers) write_sibling(reply, shard, *version);
  for (const Type type : types) write_typed(reply, object, type);
}

// {siblings: [{value, dot, time, expires_ms} or {type, value, time, expires_ms}], context}
void covey_get(RespCall& call) {
  if (call.words.size() == 4 && is_option(call.words[2], "r")) {
    if (!take_level(call, call.words[3], call.read_level)) return;
  } else if (call.words.size() != 2) {
    return call.fail_syntax();
  }
  KeyPlan plan;
  plan.keys.push_back(call.words[1]);
  plan.keeps_values = true;
  auto read = std::make_shared<Response>();
  plan.change = [read](size_t, const Response& response) {
    *read = response;
    return KeyChange{};
  };
  plan.answer = [read, &call](RespReply& reply) {
    const auto& object = read->object;
    reply.map(2);
    reply.bulk("siblings");
    write_siblings(reply, call.shard(), object);
    reply.bulk("context");
    reply.bulk(seal_context(call.shard().node().token, call.table(), call.words[1], read->context,
                            [&] { return dots_of(object); }));
  };
  call.run(std::move(plan));
}

// {dot, context, siblings, acks}
void covey_set(RespCall& call) {
  std::optional<Context> context;
  for (size_t i = 3; i < call.words.size(); i += 2) {
    if (i + 1 == call.words.size()) return call.fail_syntax();
    if (is_option(call.words[i], "w")) {
      if (!take_level(call, call.words[i + 1], call.write_level)) return;
    } else if (is_option(call.words[i], "context")) {
      context = open_context(call.shard().node().token, call.table(), call.words[1], call.words[i + 1]);
      if (!context)
        return call.fail("ERR the context is not one that this cluster gave out for this key: read the key");
    } else {
      return call.fail_syntax();
    }
  }
  KeyPlan plan;
  plan.keys.push_back(call.words[1]);
  plan.reads = false;
  plan.overwrites = false;
  plan.change = [value = std::move(call.words[2]), context](size_t, const Response&) {
    KeyChange change = KeyChange::put(value);
    change.context = context;
    return change;
  };
  auto result = std::make_shared<Response>();
  plan.wrote = [result](size_t, const Response& response) { *result = response; };
  plan.answer = [result, &call](RespReply& reply) {
    reply.map(4);
    reply.bulk("dot");
    reply.bulk(call.shard().core().dot_text(result->dot));
    reply.bulk("context");
    reply.bulk(seal_context(call.shard().node().token, call.table(), call.words[1], result->context,
                            [&] { return DotSet{result->dot}; }));
    reply.bulk("siblings");
    reply.integer(result->siblings);
    reply.bulk("acks");
    reply.integer(result->received);
  };
  call.run(std::move(plan));
}

void level(RespCall& call) {
  RespSession& session = call.session();
  const bool reads = is_option(call.words[1], "read");
  if (!reads && !is_option(call.words[1], "write")) return call.fail_syntax();
  if (!take_level(call, call.words[2], reads ? session.read_level : session.write_level)) return;
  call.reply().ok();
  call.done();
}

void table(RespCall& call) {
  if (call.shard().table(call.words[1]) == nullptr)
    return call.fail("ERR " + no_such_table(call.words[1]).message);
  call.session().table = call.words[1];
  call.reply().ok();
  call.done();
}

constexpr RespCommand covey_commands[] = {
    read_key("covey.get", -2, covey_get,
             {"0.1.0", "O(1)", "key [R level]", "All siblings, and the context that covers them."}),
    write_key("covey.set", -3, covey_set,
              {"0.1.0", "O(1)", "key value [CONTEXT context] [W level]",
               "Writes a value that overwrites what the context covers."}),
    write_key("covey.incr", -3, covey_incr,
              {"0.1.0", "O(1)", "key increment [TOKEN token]", "Adds to a counter, once for each token."}),
    {.name = "covey.level",
     .arity = 3,
     .run = level,
     .docs = {"0.1.0", "O(1)", "(access=READ|WRITE) level",
              "How many replicas the commands that follow wait for."}},
    {.name = "covey.table",
     .arity = 2,
     .run = table,
     .docs = {"0.1.0", "O(1)", "table", "The table of the commands that follow."}},
};

}  // namespace

std::span<const RespCommand> resp_covey_commands() { return covey_commands; }

}  // namespace covey::server
