// A node's configuration file: JSON with comments. docs/configuration.md tells every key; config.cpp reads
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/health.h"
#include "replication/level.h"
#include "replication/request.h"
#include "replication/result.h"
#include "storage/durability.h"

namespace covey::server {

struct TableConfig {
  std::string name;
  std::string definition;  // JSON, as server/table_definition normalizes it
};

struct Config {
  std::string node;
  std::string data_dir;
  std::string zone;
  double weight = 1.0;
  uint32_t threads = 1;

  // "host:port"; port 0 lets the system choose. resp empty: none.
  std::string listen_http;
  std::string listen_peer;
  std::string listen_resp;
  // What other nodes and clients are told; empty: as listened to.
  std::string advertise_http;
  std::string advertise_peer;

  std::string resp_password;  // of the Redis protocol; empty: none is asked for

  std::string cluster_name;
  std::string cluster_secret;  // empty: derived from the name
  uint32_t partitions = 64;
  uint32_t replicas = 3;
  std::vector<std::string> seeds;

  Level read_level;
  Level write_level;
  bool sloppy = true;
  uint32_t timeout_ms = 1000;

  Durability durability = Durability::sync;
  uint32_t sync_interval_ms = 1000;

  uint64_t cache_bytes = 64ull << 20;
  uint64_t object_cache_bytes = 256ull << 20;  // of all shards together
  uint64_t write_buffer_bytes = 64ull << 20;
  uint64_t free_space_bytes = 256ull << 20;

  std::string backup_directory;          // below it each node has a folder of its name; empty: no backups
  uint32_t backup_keep = 7;              // backups; 0: all
  uint64_t backup_bytes_per_second = 0;  // 0: as fast as the disks are

  uint64_t aggregation_memory_bytes = 2048ull << 20;
  uint64_t aggregation_share_bytes = 256ull << 20;   // of one node's partial results
  uint64_t aggregation_answer_bytes = 512ull << 20;  // of all that other nodes send for one request
  uint32_t checkpoint_seconds = 300;                 // between two checkpoints of columns; 0: none
  bool gpu_enabled = true;
  int gpu_device = 0;
  uint64_t gpu_memory_bytes = 0;  // 0: nine tenths of what is free

  uint32_t gossip_interval_ms = 200;
  uint32_t suspect_ms = 1000;
  DetectorOptions detector;

  size_t value_bytes_max = 1024 * 1024;
  uint32_t elements_max = 10'000;  // of a set, a hash, a counter
  size_t batch_bytes_max = 64 * 1024 * 1024;
  size_t connections_max = 4096;
  size_t peer_buffer_bytes_max = 16 * 1024 * 1024;
  uint64_t stand_in_bytes_max = 1024ull << 20;  // of the whole node
  uint64_t log_entries_max = 1'000'000;         // of one partition
  uint64_t transfer_bytes_per_second = 0;       // of the whole node; 0: no limit

  std::string log_level = "info";
  bool log_json = false;

  std::vector<TableConfig> tables;
};

// What is wrong and what is allowed, beginning with the file and the line or the JSON path.
struct ConfigError {
  std::string message;
};

// `file` only names the text in errors. ${NAME} in strings is replaced from the environment.
[[nodiscard]] Result<Config, ConfigError> parse_config(const std::string& file, std::string_view text);
[[nodiscard]] Result<Config, ConfigError> read_config(const std::string& file);

// "127.0.0.1:7101", "[::1]:7101", "name:7101".
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
std::optional<HostPort> parse_host_port(std::string_view text);

}  // namespace covey::server
