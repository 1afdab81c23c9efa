#include "server/config.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "server/config_reader.h"
#include "server/table_definition.h"
#include "server/text.h"

namespace covey::server {
namespace {

constexpr const char* address_form = "an address like \"127.0.0.1:7101\" or \"[::1]:7101\"";
constexpr uint64_t mib = 1024 * 1024;

bool is_name(const std::string& text) {
  auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), allowed);
}

std::string name(ConfigReader& in, const char* key) {
  constexpr const char* form = "1 to 64 characters of A-Z a-z 0-9 _ -";
  std::string value = in.text(key, form);
  if (!is_name(value)) in.fail(key, std::string("must be ") + form);
  return value;
}

std::string address(ConfigReader& in, const char* key, bool required) {
  if (!required && !in.has(key)) return in.text_or(key, "", address_form);
  std::string value = in.text(key, address_form);
  if (!parse_host_port(value))
    in.fail(key, std::string("must be ") + address_form + ", not \"" + value + "\"");
  return value;
}

void read_addresses(ConfigReader& root, Config& config) {
  ConfigReader listen = root.required_object("listen");
  config.listen_http = address(listen, "http", true);
  config.listen_peer = address(listen, "peer", true);
  config.listen_resp = address(listen, "resp", false);
  listen.finish();
  ConfigReader advertise = root.object("advertise");
  config.advertise_http = address(advertise, "http", false);
  config.advertise_peer = address(advertise, "peer", false);
  advertise.finish();
}

void read_cluster(ConfigReader& root, Config& config) {
  ConfigReader in = root.required_object("cluster");
  config.cluster_name = name(in, "name");
  config.cluster_secret = in.text_or("secret", "", "a text that all nodes of the cluster share");
  config.partitions = static_cast<uint32_t>(in.number_or("partitions", 64, 1, 65536));
  if ((config.partitions & (config.partitions - 1)) != 0) {
    in.fail("partitions", "must be a power of two from 1 to 65536, not " + std::to_string(config.partitions));
  }
  config.replicas = static_cast<uint32_t>(in.number_or("replicas", 3, 1, 16));
  config.seeds = in.texts_or_none("seeds", address_form);
  for (size_t i = 0; i < config.seeds.size(); ++i) {
    auto seed = parse_host_port(config.seeds[i]);
    if (!seed || seed->port == 0) {
      in.fail("seeds/" + std::to_string(i),
              std::string("must be ") + address_form + ", not \"" + config.seeds[i] + "\"");
    }
  }
  in.finish();
}

Level level(ConfigReader& in, const char* key, uint32_t replicas) {
  const nlohmann::json* value = in.find(key);
  if (value == nullptr) return Level{};
  std::string text = value->is_string() ? value->get<std::string>() : value->dump();
  auto parsed = parse_level(text, replicas);
  if (!parsed) {
    in.fail(key, "must be \"one\", \"quorum\", \"all\" or a number from 1 to the replicas (" +
                     std::to_string(replicas) + "), not " + value->dump());
  }
  return *parsed;
}

void read_consistency(ConfigReader& root, Config& config) {
  ConfigReader in = root.object("consistency");
  config.read_level = level(in, "read", config.replicas);
  config.write_level = level(in, "write", config.replicas);
  config.sloppy = in.boolean_or("sloppy", true);
  config.timeout_ms = static_cast<uint32_t>(in.number_or("timeout_ms", 1000, 1, 60'000));
  in.finish();
}

void read_storage(ConfigReader& root, Config& config) {
  ConfigReader durability = root.object("durability");
  config.durability = static_cast<Durability>(durability.choice_or("mode", 0, {"sync", "interval", "none"}));
  config.sync_interval_ms = static_cast<uint32_t>(durability.number_or("interval_ms", 1000, 1, 60'000));
  durability.finish();
  ConfigReader storage = root.object("storage");
  config.cache_bytes = storage.number_or("cache_mb", 64, 8, 1024 * 1024) * mib;
  config.object_cache_bytes = storage.number_or("object_cache_mb", 256, 0, 1024 * 1024) * mib;
  config.write_buffer_bytes = storage.number_or("write_buffer_mb", 64, 4, 65536) * mib;
  config.free_space_bytes = storage.number_or("free_space_mb", 256, 0, 1024ull * 1024 * 1024) * mib;
  storage.finish();
}

void read_backup(ConfigReader& root, Config& config) {
  ConfigReader in = root.object("backup");
  config.backup_directory = in.text_or("directory", "", "a directory outside data_dir");
  config.backup_keep = static_cast<uint32_t>(in.number_or("keep", 7, 0, 10'000));
  config.backup_bytes_per_second = in.number_or("rate_mb", 0, 0, 1024 * 1024) * mib;
  if (!config.backup_directory.empty()) {
    const auto inner = std::filesystem::path(config.backup_directory + "/").lexically_normal();
    const auto outer = std::filesystem::path(config.data_dir + "/").lexically_normal();
    if (inner.string().starts_with(outer.string()))
      in.fail("directory", "must not be within data_dir: both would be lost together");
  }
  in.finish();
}

void read_limits(ConfigReader& root, Config& config) {
  ConfigReader in = root.object("limits");
  config.value_bytes_max = in.number_or("value_bytes", mib, 1, 8 * mib);
  config.elements_max = static_cast<uint32_t>(in.number_or("elements", 10'000, 1, 50'000));
  config.batch_bytes_max = in.number_or("batch_bytes", 64 * mib, 1024, 1024 * mib);
  config.connections_max = in.number_or("connections", 4096, 1, 1'000'000);
  config.peer_buffer_bytes_max = in.number_or("peer_buffer_bytes", 16 * mib, mib, 4096 * mib);
  config.stand_in_bytes_max = in.number_or("stand_in_bytes", 1024 * mib, 0, 1024ull * 1024 * mib);
  config.log_entries_max = in.number_or("log_entries", 1'000'000, 16, 1'000'000'000);
  config.transfer_bytes_per_second =
      in.number_or("transfer_bytes_per_second", 32 * mib, 0, 1024ull * 1024 * mib);
  if (config.transfer_bytes_per_second != 0 && config.transfer_bytes_per_second < mib)
    in.fail("transfer_bytes_per_second", "must be 0, for no limit, or at least " + std::to_string(mib));
  in.finish();
}

void read_rest(ConfigReader& root, Config& config) {
  ConfigReader gossip = root.object("gossip");
  config.gossip_interval_ms = static_cast<uint32_t>(gossip.number_or("interval_ms", 200, 10, 60'000));
  config.suspect_ms = static_cast<uint32_t>(gossip.number_or("suspect_ms", 1000, 50, 600'000));
  gossip.finish();
  ConfigReader detector = root.object("detector");
  const uint64_t probe_ms = detector.number_or("probe_ms", 400, 20, 600'000);
  const uint64_t timeout_ms =
      detector.number_or("timeout_ms", std::min<uint64_t>(120, probe_ms / 2), 5, 300'000);
  if (timeout_ms >= probe_ms)
    detector.fail("timeout_ms", "must be less than probe_ms (" + std::to_string(probe_ms) + ")");
  config.detector.probe_interval_us = probe_ms * 1000;
  config.detector.probe_timeout_us = timeout_ms * 1000;
  config.detector.asked_max = static_cast<uint32_t>(detector.number_or("helpers", 3, 0, 16));
  config.detector.suspicion_intervals = static_cast<uint32_t>(detector.number_or("suspicion", 2, 1, 100));
  config.detector.suspicion_most = static_cast<uint32_t>(detector.number_or("suspicion_most", 6, 1, 100));
  detector.finish();
  ConfigReader aggregation = root.object("aggregation");
  config.aggregation_memory_bytes = aggregation.number_or("memory_mb", 2048, 1, 16 * 1024 * 1024) * mib;
  config.aggregation_share_bytes = aggregation.number_or("share_mb", 256, 1, 64 * 1024) * mib;
  config.aggregation_answer_bytes = aggregation.number_or("answer_mb", 512, 1, 64 * 1024) * mib;
  config.checkpoint_seconds =
      static_cast<uint32_t>(aggregation.number_or("checkpoint_seconds", 300, 0, 86400));
  aggregation.finish();
  ConfigReader gpu = root.object("gpu");
  config.gpu_enabled = gpu.boolean_or("enabled", true);
  config.gpu_device = static_cast<int>(gpu.number_or("device", 0, 0, 255));
  config.gpu_memory_bytes = gpu.number_or("memory_mb", 0, 0, 16 * 1024 * 1024) * mib;
  gpu.finish();
  ConfigReader resp = root.object("resp");
  config.resp_password = resp.text_or("password", "", "a text that Redis clients must send with AUTH");
  resp.finish();
  ConfigReader log = root.object("log");
  const std::vector<std::string> levels = {"trace", "debug", "info", "warning", "error"};
  config.log_level = levels[log.choice_or("level", 2, levels)];
  config.log_json = log.choice_or("format", 0, {"text", "json"}) == 1;
  log.finish();
}

void read_tables(ConfigReader& root, Config& config) {
  const nlohmann::json* tables = root.find("tables");
  if (tables == nullptr) return;
  if (!tables->is_array()) root.fail("tables", "must be an array of tables");
  for (size_t i = 0; i < tables->size(); ++i) {
    std::string path = "tables/" + std::to_string(i);
    nlohmann::json table = (*tables)[i];
    if (!table.is_object() || !table.contains("name") || !table["name"].is_string()) {
      root.fail(path, "must be an object with a \"name\"");
    }
    std::string table_name = table["name"].get<std::string>();
    if (!is_table_name(table_name)) root.fail(path + "/name", table_name_form);
    for (const TableConfig& other : config.tables) {
      if (other.name == table_name) root.fail(path + "/name", "is the name of another table above");
    }
    table.erase("name");
    auto definition = parse_table_definition(table);
    if (!definition) root.fail(path, definition.error());
    config.tables.push_back({table_name, definition->text});
  }
}

Config read_root(const nlohmann::json& whole) {
  Config config;
  ConfigReader root(whole, "");
  config.node = name(root, "node");
  config.data_dir = root.text("data_dir", "the directory that holds this node's data");
  if (config.data_dir.empty()) root.fail("data_dir", "must not be empty");
  config.zone = root.text_or("zone", "", "any text; replicas are spread over zones");
  if (config.zone.size() > 64) root.fail("zone", "must have at most 64 bytes");
  config.weight = root.real_or("weight", 1.0, 0.0, 1000.0);
  uint64_t cores = std::max(1u, std::thread::hardware_concurrency());
  config.threads =
      static_cast<uint32_t>(root.number_or("threads", std::clamp<uint64_t>(cores / 2, 1, 16), 1, 256));
  read_addresses(root, config);
  read_cluster(root, config);
  if (config.threads > config.partitions) {
    root.fail("threads", "must not be more than the partitions (" + std::to_string(config.partitions) + ")");
  }
  read_consistency(root, config);
  read_storage(root, config);
  read_backup(root, config);
  read_limits(root, config);
  read_rest(root, config);
  read_tables(root, config);
  root.finish();
  return config;
}

}  // namespace

std::optional<HostPort> parse_host_port(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  auto port = parse_number(text.substr(colon + 1));
  if (!port || *port > 65535) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  return HostPort{std::string(host), static_cast<uint16_t>(*port)};
}

Result<Config, ConfigError> parse_config(const std::string& file, std::string_view text) {
  try {
    return read_root(parse_config_json(text));
  } catch (const ConfigFault& fault) {
    return ConfigError{file + ": " + fault.message};
  }
}

Result<Config, ConfigError> read_config(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return ConfigError{file + ": cannot be opened: " + std::strerror(errno)};
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || in.bad()) return ConfigError{file + ": cannot be read"};
  return parse_config(file, text.str());
}

}  // namespace covey::server
