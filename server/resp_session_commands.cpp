// What concerns the connection itself.
#include <algorithm>

#include "server/resp_client_name.h"
#include "server/resp_commands.h"

namespace covey::server {
namespace {

void ping(RespCall& call) {
  if (call.words.size() > 2) return call.fail("ERR wrong number of arguments for 'ping' command");
  call.words.size() == 2 ? call.reply().bulk(call.words[1]) : call.reply().simple("PONG");
  call.done();
}

void echo(RespCall& call) {
  call.reply().bulk(call.words[1]);
  call.done();
}

void quit(RespCall& call) {
  call.connection().end_after_this();
  call.reply().ok();
  call.done();
}

void select_database(RespCall& call) {
  auto number = parse_integer(call.words[1]);
  if (!number) return call.fail(not_an_integer);
  if (*number != static_cast<int32_t>(*number))
    return call.fail("ERR value is out of range, value must between -2147483648 and 2147483647");
  if (*number != 0) return call.fail("ERR DB index is out of range");
  call.reply().ok();
  call.done();
}

void reset(RespCall& call) {
  call.connection().reset_session();
  call.reply().simple("RESET");
  call.done();
}

// The time that it takes tells nothing of the password but its length.
bool is_password(const Config& config, std::string_view name, std::string_view password) {
  if (name != "default") return false;
  const std::string& wanted = config.resp_password;
  if (wanted.empty()) return true;
  if (password.size() != wanted.size()) return false;
  int differences = 0;
  for (size_t i = 0; i < wanted.size(); ++i) differences |= wanted[i] ^ password[i];
  return differences == 0;
}

constexpr std::string_view wrong_password = "WRONGPASS invalid username-password pair or user is disabled.";

void authenticate(RespCall& call) {
  if (call.words.size() > 3) return call.fail_syntax();
  const bool named = call.words.size() == 3;
  if (!named && call.config().resp_password.empty()) {
    return call.fail(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
  }
  if (!is_password(call.config(), named ? call.words[1] : "default", call.words.back()))
    return call.fail(wrong_password);
  call.session().authenticated = true;
  call.reply().ok();
  call.done();
}

void write_hello(RespReply& reply, const RespSession& session) {
  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(redis_version);
  reply.bulk("proto");
  reply.integer(session.protocol);
  reply.bulk("id");
  reply.integer(static_cast<int64_t>(session.id));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

void hello(RespCall& call) {
  RespSession& session = call.session();
  const auto& words = call.words;
  int protocol = session.protocol;
  if (words.size() > 1) {
    auto number = parse_integer(words[1]);
    if (!number) return call.fail("ERR Protocol version is not an integer or out of range");
    if (*number < 2 || *number > 3) return call.fail("NOPROTO unsupported protocol version");
    protocol = static_cast<int>(*number);
  }
  bool authenticated = session.authenticated;
  std::optional<std::string> name;
  for (size_t i = 2; i < words.size(); ++i) {
    const size_t more = words.size() - i - 1;
    if (is_option(words[i], "auth") && more >= 2) {
      if (!is_password(call.config(), words[i + 1], words[i + 2])) return call.fail(wrong_password);
      authenticated = true;
      i += 2;
    } else if (is_option(words[i], "setname") && more >= 1) {
      if (!is_client_name(words[i + 1])) return call.fail(bad_client_name);
      name = words[++i];
    } else {
      return call.fail("ERR Syntax error in HELLO option '" + std::string(told(words[i], words[i].size())) +
                       "'");
    }
  }
  if (!authenticated) {
    return call.fail(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
        "<pass> option can be used to authenticate the client and select the RESP protocol version at the "
        "same "
        "time");
  }
  session.authenticated = true;
  if (name) session.name = *name;
  session.protocol = protocol;
  call.reply() = RespReply(protocol);
  write_hello(call.reply(), session);
  call.done();
}

constexpr RespCommand session_commands[] = {
    {.name = "ping",
     .arity = -1,
     .run = ping,
     .docs = {"1.0.0", "O(1)", "[message]", "Answers PONG, or the message."}},
    {.name = "echo", .arity = 2, .run = echo, .docs = {"1.0.0", "O(1)", "message", "Answers the message."}},
    {.name = "quit",
     .arity = -1,
     .before_authentication = true,
     .run = quit,
     .docs = {"1.0.0", "O(1)", "", "Ends the connection when all is answered."}},
    {.name = "select",
     .arity = 2,
     .run = select_database,
     .docs = {"1.0.0", "O(1)", "index", "Chooses the database: there is only 0. See COVEY.TABLE."}},
    {.name = "reset",
     .arity = 1,
     .before_authentication = true,
     .run = reset,
     .docs = {"6.2.0", "O(1)", "", "Sets all back that was set on this connection."}},
    {.name = "auth",
     .arity = -2,
     .before_authentication = true,
     .run = authenticate,
     .docs = {"1.0.0", "O(1)", "[username] password", "Tells the password of the node."}},
    {.name = "hello",
     .arity = -1,
     .before_authentication = true,
     .run = hello,
     .docs =
         {"6.0.0", "O(1)",
          "[arguments=protover:integer [AUTH (username_password=username password)] [SETNAME clientname]]",
          "Chooses the version of the protocol, and tells what the node is."}},
};

}  // namespace

std::span<const RespCommand> resp_session_commands() { return session_commands; }

}  // namespace covey::server
