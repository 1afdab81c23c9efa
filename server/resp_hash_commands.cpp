// Hashes: fields that different nodes write at the same time are merged one by one.
#include <iterator>
#include <map>

#include "replication/number.h"
#include "server/glob.h"
#include "server/resp_commands.h"
#include "server/resp_value.h"

namespace covey::server {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

// Reads the hash that is words[1], which may be absent.
void read_hash(RespCall& call, std::function<void(RespReply&, const Fields&)> answer) {
  auto take = [](const Object& object) {
    Fields all;
    for (auto& [name, value] : fields(object)) all.emplace(name, std::move(value));
    return all;
  };
  read_typed<Fields>(call, Type::hash, take, std::move(answer));
}

void set_fields(RespCall& call, std::string_view name, void (*answer)(RespReply&, const Changed&)) {
  if (call.words.size() % 2 != 0)
    return call.fail("ERR wrong number of arguments for '" + std::string(name) + "' command");
  std::vector<Change> changes;
  for (size_t i = 2; i < call.words.size(); i += 2)
    changes.push_back({ChangeKind::set_field, std::move(call.words[i]), std::move(call.words[i + 1])});
  change_key(call, std::move(changes), answer);
}

void hset(RespCall& call) {
  set_fields(call, "hset", [](RespReply& reply, const Changed& changed) { reply.integer(changed.added); });
}

void hmset(RespCall& call) {
  set_fields(call, "hmset", [](RespReply& reply, const Changed&) { reply.ok(); });
}

void hsetnx(RespCall& call) {
  Change change{ChangeKind::set_field_if_absent, std::move(call.words[2]), std::move(call.words[3])};
  change_key(call, {std::move(change)},
             [](RespReply& reply, const Changed& changed) { reply.integer(changed.added); });
}

void hdel(RespCall& call) {
  std::vector<Change> changes;
  for (size_t i = 2; i < call.words.size(); ++i)
    changes.push_back({ChangeKind::remove_field, std::move(call.words[i]), {}});
  change_key(call, std::move(changes),
             [](RespReply& reply, const Changed& changed) { reply.integer(changed.removed); });
}

void hincrby(RespCall& call) {
  if (!parse_integer(call.words[3])) return call.fail(not_an_integer);
  Change change{ChangeKind::increment_field, std::move(call.words[2]), std::move(call.words[3])};
  change_key(call, {std::move(change)},
             [](RespReply& reply, const Changed& changed) {
               reply.integer(parse_integer(changed.value).value_or(0));
             },
             {.not_a_number = "ERR hash value is not an integer"});
}

void hincrbyfloat(RespCall& call) {
  if (!parse_number(call.words[3])) return call.fail("ERR value is not a valid float");
  Change change{ChangeKind::increment_field_float, std::move(call.words[2]), std::move(call.words[3])};
  change_key(call, {std::move(change)},
             [](RespReply& reply, const Changed& changed) { reply.bulk(changed.value); },
             {.not_a_number = "ERR hash value is not a float",
              .overflow = "ERR increment would produce NaN or Infinity"});
}

std::optional<std::string> field_of(const Fields& hash, const std::string& name) {
  auto found = hash.find(name);
  return found == hash.end() ? std::nullopt : std::optional(found->second);
}

void hget(RespCall& call) {
  std::string name = std::move(call.words[2]);
  read_hash(call, [name](RespReply& reply, const Fields& hash) { reply.bulk_or_null(field_of(hash, name)); });
}

void hmget(RespCall& call) {
  std::vector<std::string> names(std::make_move_iterator(call.words.begin() + 2),
                                 std::make_move_iterator(call.words.end()));
  read_hash(call, [names = std::move(names)](RespReply& reply, const Fields& hash) {
    reply.array(names.size());
    for (const std::string& name : names) reply.bulk_or_null(field_of(hash, name));
  });
}

void hgetall(RespCall& call) {
  read_hash(call, [](RespReply& reply, const Fields& hash) {
    reply.map(hash.size());
    for (const auto& [name, value] : hash) {
      reply.bulk(name);
      reply.bulk(value);
    }
  });
}

void hkeys(RespCall& call) {
  read_hash(call, [](RespReply& reply, const Fields& hash) {
    reply.array(hash.size());
    for (const auto& [name, value] : hash) reply.bulk(name);
  });
}

void hvals(RespCall& call) {
  read_hash(call, [](RespReply& reply, const Fields& hash) {
    reply.array(hash.size());
    for (const auto& [name, value] : hash) reply.bulk(value);
  });
}

void hlen(RespCall& call) {
  read_hash(call,
            [](RespReply& reply, const Fields& hash) { reply.integer(static_cast<int64_t>(hash.size())); });
}

void hexists(RespCall& call) {
  std::string name = std::move(call.words[2]);
  read_hash(call, [name](RespReply& reply, const Fields& hash) { reply.integer(hash.contains(name)); });
}

void hstrlen(RespCall& call) {
  std::string name = std::move(call.words[2]);
  read_hash(call, [name](RespReply& reply, const Fields& hash) {
    reply.integer(static_cast<int64_t>(field_of(hash, name).value_or("").size()));
  });
}

void hscan(RespCall& call) {
  ElementScan scan;
  if (!scan.parse(call)) return;
  read_hash(call, [scan](RespReply& reply, const Fields& hash) {
    if (!scan.wrong.empty() && !hash.empty()) return reply.error(scan.wrong);
    std::vector<std::string_view> shown;
    for (const auto& [name, value] : hash) {
      if (!matches_glob(scan.pattern, name)) continue;
      shown.push_back(name);
      shown.push_back(value);
    }
    reply.array(2);
    reply.bulk("0");
    reply.array(shown.size());
    for (const std::string_view text : shown) reply.bulk(text);
  });
}

constexpr RespCommand hash_commands[] = {
    write_key(
        "hset", -4, hset,
        {"2.0.0", "O(N) in the hash's fields", "key (field_value=field value)...", "Sets fields of a hash."}),
    write_key("hmset", -4, hmset,
              {"2.0.0", "O(N) in the hash's fields", "key (field_value=field value)...",
               "As HSET, and answers OK."}),
    write_key("hsetnx", 4, hsetnx,
              {"2.0.0", "O(N) in the hash's fields", "key field value",
               "Sets a field of a hash if it is not there."}),
    write_key("hdel", -3, hdel,
              {"2.0.0", "O(N) in the hash's fields", "key field...", "Removes fields from a hash."}),
    write_key("hincrby", 4, hincrby,
              {"2.0.0", "O(N) in the hash's fields", "key field increment", "Adds to a field of a hash."}),
    write_key("hincrbyfloat", 4, hincrbyfloat,
              {"2.6.0", "O(N) in the hash's fields", "key field increment:double",
               "Adds a float to a field of a hash."}),
    read_key("hget", 3, hget, {"2.0.0", "O(N) in the hash's fields", "key field", "A field of a hash."}),
    read_key("hmget", -3, hmget,
             {"2.0.0", "O(N) in the hash's fields", "key field...", "Several fields of a hash."}),
    read_key("hgetall", 2, hgetall,
             {"2.0.0", "O(N) in the hash's fields", "key", "All fields of a hash with their values."}),
    read_key("hkeys", 2, hkeys,
             {"2.0.0", "O(N) in the hash's fields", "key", "The names of all fields of a hash."}),
    read_key("hvals", 2, hvals,
             {"2.0.0", "O(N) in the hash's fields", "key", "The values of all fields of a hash."}),
    read_key("hlen", 2, hlen, {"2.0.0", "O(N) in the hash's fields", "key", "How many fields a hash has."}),
    read_key("hexists", 3, hexists,
             {"2.0.0", "O(N) in the hash's fields", "key field", "Whether a hash has a field."}),
    read_key("hstrlen", 3, hstrlen,
             {"3.2.0", "O(N) in the hash's fields", "key field", "How many bytes a field of a hash has."}),
    read_key("hscan", -3, hscan,
             {"2.8.0", "O(N) in the hash's fields", "key cursor [MATCH pattern] [COUNT count]",
              "The fields of a hash that match, all at once."}),
};

}  // namespace

std::span<const RespCommand> resp_hash_commands() { return hash_commands; }

}  // namespace covey::server
