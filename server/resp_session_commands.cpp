// What concerns the connection itself.
#include <algorithm>

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

bool is_client_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

constexpr std::string_view bad_client_name =
    "ERR Client names cannot contain spaces, newlines or special characters.";

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
      return call.fail("ERR Syntax error in HELLO option '" + words[i] + "'");
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

std::string client_line(RespCall& call) {
  const RespSession& session = call.session();
  const uint64_t age_s = (now().tick_us - session.begun_us) / 1'000'000;
  return "id=" + std::to_string(session.id) + " addr=" + call.connection().peer_address() +
         " laddr=" + call.connection().own_address() + " name=" + session.name +
         " age=" + std::to_string(age_s) + " idle=0 flags=N db=0 resp=" + std::to_string(session.protocol) +
         " lib-name=" + session.library_name + " lib-ver=" + session.library_version +
         " covey-table=" + session.table + "\n";
}

void set_client_info(RespCall& call) {
  RespSession& session = call.session();
  const std::string& value = call.words[3];
  const bool names = is_option(call.words[2], "lib-name");
  if (!names && !is_option(call.words[2], "lib-ver"))
    return call.fail("ERR Unrecognized option '" + call.words[2] + "'");
  if (!is_client_name(value))
    return call.fail("ERR " + lower_case(call.words[2]) +
                     " cannot contain spaces, newlines or special characters.");
  (names ? session.library_name : session.library_version) = value;
  call.reply().ok();
  call.done();
}

void client(RespCall& call) {
  RespSession& session = call.session();
  const std::string what = lower_case(call.words[1]);
  const auto has = [&](size_t words) {
    if (call.words.size() == words) return true;
    call.fail("ERR wrong number of arguments for 'client|" + what + "' command");
    return false;
  };
  if (what == "id") {
    if (!has(2)) return;
    call.reply().integer(static_cast<int64_t>(session.id));
  } else if (what == "getname") {
    if (!has(2)) return;
    session.name.empty() ? call.reply().null() : call.reply().bulk(session.name);
  } else if (what == "setname") {
    if (!has(3)) return;
    if (!is_client_name(call.words[2])) return call.fail(bad_client_name);
    session.name = call.words[2];
    call.reply().ok();
  } else if (what == "info") {
    if (!has(2)) return;
    call.reply().text(client_line(call));
  } else if (what == "setinfo") {
    if (has(4)) set_client_info(call);
    return;
  } else {
    return call.fail("ERR unknown subcommand '" + call.words[1].substr(0, 128) + "'. Try CLIENT HELP.");
  }
  call.done();
}

constexpr RespCommand commands[] = {
    {.name = "ping", .arity = -1, .run = ping},
    {.name = "echo", .arity = 2, .run = echo},
    {.name = "quit", .arity = -1, .before_authentication = true, .run = quit},
    {.name = "select", .arity = 2, .run = select_database},
    {.name = "reset", .arity = 1, .before_authentication = true, .run = reset},
    {.name = "auth", .arity = -2, .before_authentication = true, .run = authenticate},
    {.name = "hello", .arity = -1, .before_authentication = true, .run = hello},
    {.name = "client", .arity = -2, .run = client},
};

}  // namespace

std::span<const RespCommand> resp_session_commands() { return commands; }

}  // namespace covey::server
