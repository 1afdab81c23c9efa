// What a client asks about the server: COMMAND, INFO, CONFIG GET.
#include <unistd.h>

#include <algorithm>

#include "server/glob.h"
#include "server/resp_commands.h"

namespace covey::server {
namespace {

void write_command(RespReply& reply, const RespCommand& command) {
  reply.array(6);
  reply.bulk(command.name);
  reply.integer(command.arity);
  reply.array(1);
  reply.simple(command.writes ? "write" : "readonly");
  reply.integer(command.first_key);
  reply.integer(command.last_key);
  reply.integer(command.key_step);
}

void command_info(RespCall& call) {
  call.reply().array(call.words.size() - 2);
  for (size_t i = 2; i < call.words.size(); ++i) {
    const RespCommand* known = find_resp_command(call.words[i]);
    if (known == nullptr) {
      call.reply().null_array();
    } else {
      write_command(call.reply(), *known);
    }
  }
}

void command(RespCall& call) {
  RespReply& reply = call.reply();
  const auto all = resp_commands();
  const std::string what = call.words.size() > 1 ? lower_case(call.words[1]) : "";
  const bool alone = call.words.size() == 2;
  if (what.empty() || (what == "info" && alone)) {
    reply.array(all.size());
    for (const RespCommand& one : all) write_command(reply, one);
  } else if (what == "info") {
    command_info(call);
  } else if (what == "docs") {
    reply.map(0);
  } else if (what == "count" && alone) {
    reply.integer(static_cast<int64_t>(all.size()));
  } else if (what == "list" && alone) {
    reply.array(all.size());
    for (const RespCommand& one : all) reply.bulk(one.name);
  } else {
    return call.fail("ERR unknown subcommand or wrong number of arguments for '" +
                     call.words[1].substr(0, 128) + "'. Try COMMAND HELP.");
  }
  call.done();
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(":").append(value).append("\r\n");
}

std::string server_section(RespCall& call) {
  const NodeContext& node = call.shard().node();
  std::string out = "# Server\r\n";
  append_line(out, "redis_version", redis_version);
  append_line(out, "redis_mode", "standalone");
  append_line(out, "process_id", std::to_string(::getpid()));
  append_line(out, "run_id", node.instance);
  const size_t colon = node.config.listen_resp.rfind(':');
  append_line(out, "tcp_port", node.config.listen_resp.substr(colon + 1));
  append_line(out, "uptime_in_seconds", std::to_string((now().tick_us - node.started_us) / 1'000'000));
  append_line(out, "covey_node", node.config.node);
  append_line(out, "covey_cluster", node.config.cluster_name);
  append_line(out, "covey_replicas", std::to_string(node.config.replicas));
  append_line(out, "covey_read_level", call.session().read_level.text());
  append_line(out, "covey_write_level", call.session().write_level.text());
  append_line(out, "covey_table", call.session().table);
  return out;
}

std::string clients_section(RespCall& call) {
  const NodeContext& node = call.shard().node();
  std::string out = "# Clients\r\n";
  append_line(out, "connected_clients", std::to_string(node.connections.load()));
  append_line(out, "maxclients", std::to_string(node.config.connections_max));
  return out;
}

void info(RespCall& call) {
  struct Section {
    std::string_view name;
    std::string (*text)(RespCall&);
  };
  static constexpr Section sections[] = {
      {"server", server_section},
      {"clients", clients_section},
      {"replication", [](RespCall&) { return std::string("# Replication\r\nrole:master\r\n"); }}};
  std::string out;
  for (const Section& section : sections) {
    const bool wanted = call.words.size() == 1 ||
                        std::any_of(call.words.begin() + 1, call.words.end(), [&](const auto& word) {
                          return is_option(word, section.name) || is_option(word, "all") ||
                                 is_option(word, "default") || is_option(word, "everything");
                        });
    if (!wanted) continue;
    if (!out.empty()) out.append("\r\n");
    out.append(section.text(call));
  }
  call.reply().text(out);
  call.done();
}

void config(RespCall& call) {
  if (!is_option(call.words[1], "get")) {
    return call.fail("ERR unknown subcommand '" + call.words[1].substr(0, 128) + "'. Try CONFIG HELP.");
  }
  if (call.words.size() < 3) return call.fail("ERR wrong number of arguments for 'config|get' command");
  const Config& config = call.config();
  const std::pair<std::string_view, std::string> known[] = {
      {"appendonly", "yes"},
      {"databases", "1"},
      {"maxclients", std::to_string(config.connections_max)},
      {"port", config.listen_resp.substr(config.listen_resp.rfind(':') + 1)},
      {"proto-max-bulk-len", std::to_string(config.value_bytes_max)},
      {"save", ""},
  };
  std::vector<const std::pair<std::string_view, std::string>*> told;
  for (const auto& setting : known) {
    if (std::any_of(call.words.begin() + 2, call.words.end(),
                    [&](const auto& pattern) { return matches_glob(lower_case(pattern), setting.first); }))
      told.push_back(&setting);
  }
  call.reply().map(told.size());
  for (const auto* setting : told) {
    call.reply().bulk(setting->first);
    call.reply().bulk(setting->second);
  }
  call.done();
}

constexpr RespCommand commands[] = {
    {.name = "command", .arity = -1, .run = command},
    {.name = "info", .arity = -1, .run = info},
    {.name = "config", .arity = -2, .run = config},
};

}  // namespace

std::span<const RespCommand> resp_server_commands() { return commands; }

}  // namespace covey::server
