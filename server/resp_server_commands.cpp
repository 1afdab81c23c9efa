// What a client asks about the server: INFO, CONFIG GET.
#include <unistd.h>

#include <algorithm>

#include "server/glob.h"
#include "server/resp_docs.h"

namespace covey::server {
namespace {

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

// What is true of covey of Redis' own settings, for clients and exporters that ask. Not the password.
struct Setting {
  std::string_view name;
  std::string (*value)(const Config& config);
};

std::string part_of_address(const std::string& address, bool port) {
  const size_t colon = address.rfind(':');
  return port ? address.substr(colon + 1) : address.substr(0, colon);
}

std::string zero(const Config&) { return "0"; }
std::string no(const Config&) { return "no"; }
std::string nothing(const Config&) { return ""; }

constexpr Setting settings[] = {
    {"appendfsync",
     [](const Config& config) -> std::string {
       if (config.durability == Durability::none) return "no";
       return config.durability == Durability::sync ? "always" : "everysec";
     }},
    {"appendonly", [](const Config&) -> std::string { return "yes"; }},
    {"bind", [](const Config& config) { return part_of_address(config.listen_resp, false); }},
    {"cluster-enabled", no},
    {"databases", [](const Config&) -> std::string { return "1"; }},
    {"dir", [](const Config& config) { return config.data_dir; }},
    {"io-threads", [](const Config& config) { return std::to_string(config.threads); }},
    {"latency-monitor-threshold", zero},
    {"maxclients", [](const Config& config) { return std::to_string(config.connections_max); }},
    {"maxmemory", zero},
    {"maxmemory-policy", [](const Config&) -> std::string { return "noeviction"; }},
    {"notify-keyspace-events", nothing},
    {"port", [](const Config& config) { return part_of_address(config.listen_resp, true); }},
    {"protected-mode", no},
    {"proto-max-bulk-len", [](const Config& config) { return std::to_string(config.value_bytes_max); }},
    {"replicaof", nothing},
    {"save", nothing},
    {"slowlog-log-slower-than", [](const Config&) -> std::string { return "-1"; }},
    {"tcp-keepalive", zero},
    {"timeout", zero},
    {"tls-port", zero},
    {"unixsocket", nothing},
};

// What is named without a pattern is called as the client does.
void config_get(RespCall& call) {
  std::vector<std::pair<std::string_view, const Setting*>> told;
  for (const Setting& setting : settings) {
    const auto pattern = std::find_if(call.words.begin() + 2, call.words.end(), [&](const std::string& word) {
      return matches_glob(lower_case(word), setting.name);
    });
    if (pattern == call.words.end()) continue;
    told.emplace_back(is_option(*pattern, setting.name) ? *pattern : setting.name, &setting);
  }
  call.reply().map(told.size());
  for (const auto& [name, setting] : told) {
    call.reply().bulk(name);
    call.reply().bulk(setting->value(call.config()));
  }
  call.done();
}

constexpr RespCommand config_subcommands[] = {
    {.name = "config|get",
     .arity = -3,
     .run = config_get,
     .docs = {"2.0.0", "O(N) in the patterns", "parameter:pattern...",
              "The settings whose names match any of the patterns."}},
    {.name = "config|help", .arity = 2, .run = subcommand_help, .docs = help_docs},
};

constexpr RespCommand commands[] = {
    {.name = "info",
     .arity = -1,
     .run = info,
     .docs = {"1.0.0", "O(1)", "[section...]", "What the node is and how it is set up."}},
    {.name = "config",
     .arity = -2,
     .docs = {"2.0.0", "As its subcommands", "", "How the node is configured."},
     .subcommands = []() -> std::span<const RespCommand> { return config_subcommands; }},
};

}  // namespace

std::span<const RespCommand> resp_server_commands() { return commands; }

}  // namespace covey::server
