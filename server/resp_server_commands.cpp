// What a client asks about the server: CONFIG GET, MEMORY USAGE.
#include <algorithm>

#include "server/glob.h"
#include "server/resp_docs.h"

namespace covey::server {
namespace {

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

// What is stored under the key, siblings included, and the key; not what the store needs beside that.
void memory_usage(RespCall& call) {
  const bool samples = call.words.size() == 5 && is_option(call.words[3], "samples");
  if (call.words.size() != 3 && !samples) return call.fail_syntax();
  if (samples) {
    const auto count = parse_integer(call.words[4]);
    if (!count) return call.fail(not_an_integer);
    if (*count < 0) return call.fail_syntax();
  }
  call.words[1] = call.words[2];
  call.read_key([](RespCall& told, const Response& read) {
    if (read.object.versions.empty()) return told.reply().null();
    told.reply().integer(static_cast<int64_t>(told.words[2].size() + value_bytes(read.object)));
  });
}

constexpr RespCommand memory_subcommands[] = {
    {.name = "memory|help", .arity = 2, .run = subcommand_help, .docs = help_docs},
    {.name = "memory|usage",
     .arity = -3,
     .operation = MeteredOperation::get,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .run = memory_usage,
     .docs = {"4.0.0", "O(N) in the bytes of the value", "key [SAMPLES count:integer]",
              "The bytes of a key and of what is stored under it."}},
};

constexpr RespCommand server_commands[] = {
    {.name = "memory",
     .arity = -2,
     .docs = {"4.0.0", "As its subcommands", "", "What keys take."},
     .subcommands = []() -> std::span<const RespCommand> { return memory_subcommands; }},
    {.name = "config",
     .arity = -2,
     .docs = {"2.0.0", "As its subcommands", "", "How the node is configured."},
     .subcommands = []() -> std::span<const RespCommand> { return config_subcommands; }},
};

}  // namespace

std::span<const RespCommand> resp_server_commands() { return server_commands; }

}  // namespace covey::server
