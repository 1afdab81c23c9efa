// CLIENT: what is known of this connection and of the others.
#include <algorithm>
#include <map>
#include <set>

#include "replication/number.h"
#include "server/client_connection.h"
#include "server/resp_client_name.h"
#include "server/resp_docs.h"

namespace covey::server {
namespace {

void answer_ok(RespCall& call) {
  call.reply().ok();
  call.done();
}

void id(RespCall& call) {
  call.reply().integer(static_cast<int64_t>(call.session().id));
  call.done();
}

void getname(RespCall& call) {
  const std::string& name = call.session().name;
  name.empty() ? call.reply().null() : call.reply().bulk(name);
  call.done();
}

void setname(RespCall& call) {
  if (!is_client_name(call.words[2])) return call.fail(bad_client_name);
  call.session().name = call.words[2];
  answer_ok(call);
}

void setinfo(RespCall& call) {
  RespSession& session = call.session();
  const std::string& value = call.words[3];
  const bool names = is_option(call.words[2], "lib-name");
  if (!names && !is_option(call.words[2], "lib-ver"))
    return call.fail("ERR Unrecognized option '" + std::string(told(call.words[2])) + "'");
  if (!is_client_name(value))
    return call.fail("ERR " + lower_case(call.words[2]) +
                     " cannot contain spaces, newlines or special characters.");
  (names ? session.library_name : session.library_version) = value;
  answer_ok(call);
}

void client_info(RespCall& call) {
  call.reply().text(call.connection().line());
  call.done();
}

// Which of them CLIENT LIST is to tell.
struct Wanted {
  bool none = false;       // of its type: all here are normal
  std::set<uint64_t> ids;  // empty: all
  bool of(uint64_t id) const { return !none && (ids.empty() || ids.contains(id)); }
};

// The error in Redis' words; empty: none.
std::string read_wanted(const std::vector<std::string>& words, Wanted& out) {
  if (words.size() == 2) return {};
  if (is_option(words[2], "type") && words.size() == 4) {
    const std::string type = lower_case(words[3]);
    const auto known = {"normal", "master", "replica", "slave", "pubsub"};
    if (std::find(known.begin(), known.end(), type) == known.end())
      return "ERR Unknown client type '" + std::string(told(words[3])) + "'";
    out.none = type != "normal";
    return {};
  }
  if (!is_option(words[2], "id") || words.size() < 4) return "ERR syntax error";
  for (size_t i = 3; i < words.size(); ++i) {
    auto number = parse_integer(words[i]);
    if (!number) return "ERR Invalid client ID";
    out.ids.insert(static_cast<uint64_t>(*number));
  }
  return {};
}

void client_list(RespCall& call) {
  Wanted wanted;
  const std::string wrong = read_wanted(call.words, wanted);
  if (!wrong.empty()) return call.fail(wrong);
  using Lines = std::map<uint64_t, std::string>;  // by the connections' numbers
  auto lines_of_shard = [wanted](ShardLoop& shard) {
    Lines lines;
    for (const ClientConnection* connection : shard.connections()) {
      const uint64_t id = connection->client_id();
      if (id != 0 && wanted.of(id)) lines.emplace(id, connection->line());
    }
    return lines;
  };
  auto then = [asked = call.shared_from_this()](std::vector<Lines>&& all) {
    Lines lines;
    for (Lines& some : all) lines.merge(some);
    std::string text;
    for (const auto& [id, line] : lines) text.append(line);
    asked->reply().text(text);
    asked->done();
  };
  gather<Lines>(call.shard(), lines_of_shard, then);
}

// Nothing is ever evicted.
void no_evict(RespCall& call) {
  if (!is_option(call.words[2], "on") && !is_option(call.words[2], "off")) return call.fail_syntax();
  answer_ok(call);
}

void reply(RespCall& call) {
  using Replies = RespConnection::Replies;
  const std::string& wanted = call.words[2];
  if (is_option(wanted, "on")) {
    call.connection().set_replies(Replies::on);
  } else if (is_option(wanted, "off")) {
    call.connection().set_replies(Replies::off);
  } else if (is_option(wanted, "skip")) {
    call.connection().set_replies(Replies::skip_next);
  } else {
    return call.fail_syntax();
  }
  answer_ok(call);  // which is not sent, unless they are on
}

constexpr RespCommand client_subcommands[] = {
    {.name = "client|getname",
     .arity = 2,
     .run = getname,
     .docs = {"2.6.9", "O(1)", "", "The name of this connection."}},
    {.name = "client|help", .arity = 2, .run = subcommand_help, .docs = help_docs},
    {.name = "client|id",
     .arity = 2,
     .run = id,
     .docs = {"5.0.0", "O(1)", "", "The number of this connection, which no other of this node has."}},
    {.name = "client|info",
     .arity = 2,
     .run = client_info,
     .docs = {"6.2.0", "O(1)", "", "What CLIENT LIST tells of this connection."}},
    {.name = "client|list",
     .arity = -2,
     .run = client_list,
     .docs = {"2.4.0", "O(N) in the connections",
              "[TYPE (client-type=NORMAL|MASTER|REPLICA|PUBSUB)] [ID client-id:integer...]",
              "A line for each connection of a Redis client to this node."}},
    {.name = "client|no-evict",
     .arity = 3,
     .run = no_evict,
     .docs = {"7.0.0", "O(1)", "(enabled=ON|OFF)", "Nothing: no client is ever evicted."}},
    {.name = "client|reply",
     .arity = 3,
     .run = reply,
     .docs = {"3.2.0", "O(1)", "(on_off_skip=ON|OFF|SKIP)",
              "Whether this connection's commands are answered: SKIP means not the next one."}},
    {.name = "client|setinfo",
     .arity = 4,
     .run = setinfo,
     .docs = {"7.2.0", "O(1)", "(attr=LIB-NAME libname|LIB-VER libver)",
              "Tells the client library's name or version."}},
    {.name = "client|setname",
     .arity = 3,
     .run = setname,
     .docs = {"2.6.9", "O(1)", "connection-name", "Names this connection."}},
};

constexpr RespCommand client_commands[] = {
    {.name = "client",
     .arity = -2,
     .docs = {"2.4.0", "As its subcommands", "", "What concerns connections."},
     .subcommands = []() -> std::span<const RespCommand> { return client_subcommands; }},
};

}  // namespace

std::span<const RespCommand> resp_client_commands() { return client_commands; }

}  // namespace covey::server
