// The servers that are compared, each started on free ports in a directory of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/durability.h"
#include "tests/bench/process.h"

namespace covey::bench {

const char* to_text(Durability durability);

struct CoveyOptions {
  std::string program;
  uint32_t nodes = 1;
  Durability durability = Durability::sync;
  uint64_t cache_mb = 64;
  uint32_t threads = 1;
  bool columns = false;  // the table declares "x" as float64 and "n" as int64
};

// A cluster whose every node holds every key (replicas = nodes), with a table in which the last write
// wins: what a redis SET does.
class CoveyCluster {
 public:
  CoveyCluster(const CoveyOptions& options, const std::filesystem::path& directory);
  static constexpr const char* table = "default";  // so that redis-benchmark writes the same keys
  static constexpr uint32_t partitions = 64;

  void start(size_t node);  // waits until it is ready; the seconds of that are in ready_seconds()
  void stop(size_t node);   // in order
  void kill(size_t node);   // at once
  // The directory of a node that does not run is emptied: as if its disk had been lost.
  void wipe(size_t node) const;
  // From each node's next start on; 0: none, absent: the default.
  void limit_transfers(std::optional<uint64_t> bytes_per_second);
  double ready_seconds() const { return ready_seconds_; }
  const std::vector<uint16_t>& http_ports() const { return http_ports_; }
  const std::vector<uint16_t>& resp_ports() const { return resp_ports_; }
  Process& process(size_t node) { return processes_.at(node); }
  double cpu_seconds() const;  // of all nodes
  size_t nodes() const { return http_ports_.size(); }

  // By name with labels, as /metrics prints them.
  std::map<std::string, double> metrics(size_t node) const;
  double metric(size_t node, const std::string& name) const;
  // POST of lines to the batch call of the table. Throws if a line failed.
  void post_batch(size_t node, const std::string& lines, const std::string& query) const;
  std::string aggregate(size_t node, const std::string& body) const;  // the answer, whatever it is
  std::string get(size_t node, const std::string& key, const std::string& query) const;
  std::vector<std::string> state_hashes(
      size_t node) const;  // of all partitions: equal where objects are equal
  void wait_until_equal(std::chrono::seconds timeout) const;  // no partition diverged on any node

 private:
  CoveyOptions options_;
  std::filesystem::path directory_;
  std::vector<uint16_t> http_ports_;
  std::vector<uint16_t> resp_ports_;
  std::vector<uint16_t> peer_ports_;
  std::map<size_t, Process> processes_;
  double ready_seconds_ = 0;
};

// One redis-server that takes the writes, and replicas of it.
class RedisServers {
 public:
  RedisServers(uint32_t nodes, Durability durability, const std::filesystem::path& directory);
  uint16_t port() const { return ports_.front(); }
  double cpu_seconds() const;  // of all servers

 private:
  std::vector<uint16_t> ports_;
  std::vector<Process> processes_;
};

// keydb-servers that all take writes and send them to each other ("active replication").
class KeyDbServers {
 public:
  KeyDbServers(uint32_t nodes, Durability durability, const std::filesystem::path& directory);
  const std::vector<uint16_t>& ports() const { return ports_; }
  double cpu_seconds() const;  // of all servers

 private:
  std::vector<uint16_t> ports_;
  std::vector<Process> processes_;
};

class EtcdServers {
 public:
  EtcdServers(uint32_t nodes, const std::filesystem::path& directory);
  const std::vector<uint16_t>& ports() const { return ports_; }
  double cpu_seconds() const;  // of all servers

 private:
  std::vector<uint16_t> ports_;
  std::vector<Process> processes_;
};

}  // namespace covey::bench
