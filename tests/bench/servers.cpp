#include "tests/bench/servers.h"

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "client/http.h"

namespace covey::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr std::chrono::seconds start_timeout{60};

std::string local(uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

client::HttpResponse exchange(uint16_t port, const client::HttpRequest& request) {
  client::HttpConnection connection(*client::parse_endpoint(local(port)));
  auto response = connection.exchange(request, Clock::now() + std::chrono::seconds(60));
  if (!response)
    throw std::runtime_error(request.method + " " + request.target + ": " + response.error().message);
  return std::move(*response);
}

double cpu_of(const std::vector<Process>& processes) {
  double sum = 0;
  for (const Process& process : processes) sum += process.cpu_seconds();
  return sum;
}

// What redis-server and keydb-server are started with; `data` is made.
std::vector<std::string> redis_command(const char* program, uint16_t port, Durability durability,
                                       const fs::path& data) {
  const char* fsync = durability == Durability::sync       ? "always"
                      : durability == Durability::interval ? "everysec"
                                                           : "no";
  fs::create_directory(data);
  return {program,
          "--port",
          std::to_string(port),
          "--bind",
          "127.0.0.1",
          "--dir",
          data.string(),
          "--save",
          "",
          "--appendonly",
          "yes",
          "--appendfsync",
          fsync,
          "--repl-diskless-sync-delay",
          "0"};
}

}  // namespace

const char* to_text(Durability durability) {
  return durability == Durability::sync ? "sync" : durability == Durability::interval ? "interval" : "none";
}

CoveyCluster::CoveyCluster(const CoveyOptions& options, const fs::path& directory)
    : options_(options),
      directory_(directory),
      http_ports_(free_ports(options.nodes)),
      resp_ports_(free_ports(options.nodes)),
      peer_ports_(free_ports(options.nodes)) {
  std::vector<std::string> seeds;
  for (const uint16_t port : peer_ports_) seeds.push_back(local(port));
  Json definition = {{"name", table}, {"conflicts", "lww"}};
  if (options.columns) {
    definition["columns"] = {{{"name", "x"}, {"type", "float64"}}, {{"name", "n"}, {"type", "int64"}}};
  }
  for (uint32_t i = 0; i < options.nodes; ++i) {
    const std::string name = "n" + std::to_string(i + 1);
    const Json config = {
        {"node", name},
        {"data_dir", (directory / name).string()},
        {"threads", options.threads},
        {"listen",
         {{"http", local(http_ports_[i])}, {"resp", local(resp_ports_[i])}, {"peer", local(peer_ports_[i])}}},
        {"cluster",
         {{"name", "bench"}, {"partitions", partitions}, {"replicas", options.nodes}, {"seeds", seeds}}},
        {"consistency", {{"timeout_ms", 5000}}},
        {"durability", {{"mode", to_text(options.durability)}}},
        {"storage", {{"cache_mb", options.cache_mb}}},
        {"tables", Json::array({definition})},
    };
    std::ofstream(directory / (name + ".json")) << config.dump(2);
  }
  for (uint32_t i = 0; i < options.nodes; ++i) {
    const std::string name = "n" + std::to_string(i + 1);
    processes_.emplace(i, Process({options_.program, "--config", (directory_ / (name + ".json")).string()},
                                  directory_ / (name + ".log")));
  }
  for (uint32_t i = 0; i < options.nodes; ++i) {
    processes_.at(i).wait_until(
        [&] { return processes_.at(i).output().find("ready: node") != std::string::npos; }, start_timeout);
  }
  wait_until_equal(start_timeout);
}

void CoveyCluster::start(size_t node) {
  const std::string name = "n" + std::to_string(node + 1);
  const fs::path log = directory_ / (name + ".log");
  fs::remove(log);
  const auto begin = Clock::now();
  Process process({options_.program, "--config", (directory_ / (name + ".json")).string()}, log);
  process.wait_until([&] { return process.output().find("ready: node") != std::string::npos; },
                     start_timeout);
  ready_seconds_ = std::chrono::duration<double>(Clock::now() - begin).count();
  processes_.emplace(node, std::move(process));
}

double CoveyCluster::cpu_seconds() const {
  double sum = 0;
  for (const auto& [node, process] : processes_) sum += process.cpu_seconds();
  return sum;
}

void CoveyCluster::stop(size_t node) {
  processes_.at(node).stop(std::chrono::seconds(30));
  processes_.erase(node);
}

void CoveyCluster::kill(size_t node) {
  processes_.at(node).kill();
  processes_.erase(node);
}

void CoveyCluster::wipe(size_t node) const { fs::remove_all(directory_ / ("n" + std::to_string(node + 1))); }

void CoveyCluster::limit_transfers(std::optional<uint64_t> bytes_per_second) {
  for (size_t node = 0; node < nodes(); ++node) {
    const fs::path file = directory_ / ("n" + std::to_string(node + 1) + ".json");
    Json config = Json::parse(std::ifstream(file));
    config.erase("limits");
    if (bytes_per_second) config["limits"] = {{"transfer_bytes_per_second", *bytes_per_second}};
    std::ofstream(file) << config.dump(2);
  }
}

std::map<std::string, double> CoveyCluster::metrics(size_t node) const {
  std::istringstream lines(exchange(http_ports_.at(node), {.target = "/metrics"}).body);
  std::map<std::string, double> values;
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
    values[line.substr(0, space)] = std::strtod(line.c_str() + space, nullptr);
  }
  return values;
}

double CoveyCluster::metric(size_t node, const std::string& name) const {
  const auto all = metrics(node);
  const auto found = all.find(name);
  if (found == all.end()) throw std::runtime_error("/metrics of coveyd has no " + name);
  return found->second;
}

void CoveyCluster::post_batch(size_t node, const std::string& lines, const std::string& query) const {
  client::HttpRequest request{.method = "POST", .target = std::string("/v1/kv/") + table + "?" + query};
  request.body = lines;
  const auto response = exchange(http_ports_.at(node), request);
  if (response.status != 200)
    throw std::runtime_error("a batch was answered " + response.body.substr(0, 500));
  const size_t failed = response.body.find("\"error\"");
  if (failed != std::string::npos) {
    const size_t begin = response.body.rfind('\n', failed) + 1;
    throw std::runtime_error("a line of a batch was answered " + response.body.substr(begin, 500));
  }
}

std::string CoveyCluster::aggregate(size_t node, const std::string& body) const {
  client::HttpRequest request{.method = "POST", .target = "/v1/aggregate"};
  request.body = body;
  return exchange(http_ports_.at(node), request).body;
}

std::string CoveyCluster::get(size_t node, const std::string& key, const std::string& query) const {
  const std::string path = std::string("/v1/kv/") + table + "/" + key;
  return exchange(http_ports_.at(node), {.target = path + "?" + query}).body;
}

std::vector<std::string> CoveyCluster::state_hashes(size_t node) const {
  const auto cluster = Json::parse(exchange(http_ports_.at(node), {.target = "/v1/cluster"}).body);
  std::vector<std::string> out;
  for (const Json& partition : cluster.at("ring")) out.push_back(partition.at("state_hash"));
  return out;
}

void CoveyCluster::wait_until_equal(std::chrono::seconds timeout) const {
  const auto end = Clock::now() + timeout;
  for (size_t node = 0; node < nodes();) {
    if (metric(node, "covey_partitions_diverged") == 0 && metric(node, "covey_partitions_not_ready") == 0) {
      ++node;
      continue;
    }
    if (Clock::now() > end) throw std::runtime_error("the nodes did not become equal in time");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

RedisServers::RedisServers(uint32_t nodes, Durability durability, const fs::path& directory)
    : ports_(free_ports(nodes)) {
  for (uint32_t i = 0; i < nodes; ++i) {
    const fs::path data = directory / ("redis" + std::to_string(i + 1));
    std::vector<std::string> arguments = redis_command("redis-server", ports_[i], durability, data);
    if (i > 0) arguments.insert(arguments.end(), {"--replicaof", "127.0.0.1 " + std::to_string(ports_[0])});
    processes_.emplace_back(arguments, directory / ("redis" + std::to_string(i + 1) + ".log"));
  }
  for (uint32_t i = 0; i < nodes; ++i) {
    // Said by a replica once it has the main server's data; by the main server once it listens.
    const char* word =
        i == 0 ? "Ready to accept connections" : "MASTER <-> REPLICA sync: Finished with success";
    processes_[i].wait_until([&] { return processes_[i].output().find(word) != std::string::npos; },
                             start_timeout);
  }
}

KeyDbServers::KeyDbServers(uint32_t nodes, Durability durability, const fs::path& directory)
    : ports_(free_ports(nodes)) {
  for (uint32_t i = 0; i < nodes; ++i) {
    const std::string name = "keydb" + std::to_string(i + 1);
    std::vector<std::string> arguments =
        redis_command("keydb-server", ports_[i], durability, directory / name);
    arguments.insert(arguments.end(), {"--active-replica", "yes", "--multi-master", "yes"});
    for (uint32_t other = 0; other < nodes; ++other) {
      if (other != i)
        arguments.insert(arguments.end(), {"--replicaof", "127.0.0.1", std::to_string(ports_[other])});
    }
    processes_.emplace_back(arguments, directory / (name + ".log"));
  }
  for (Process& process : processes_) {
    // One of these is said once for each of the others.
    const auto finished = [&process] {
      const std::string text = process.output();
      uint32_t count = 0;
      for (const std::string_view word : {"MASTER <-> REPLICA sync: Finished with success",
                                          "Successful partial resynchronization with master"}) {
        for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
      }
      return count;
    };
    process.wait_until([&] { return finished() >= nodes - 1; }, start_timeout);
  }
}

double RedisServers::cpu_seconds() const { return cpu_of(processes_); }
double KeyDbServers::cpu_seconds() const { return cpu_of(processes_); }
double EtcdServers::cpu_seconds() const { return cpu_of(processes_); }

EtcdServers::EtcdServers(uint32_t nodes, const fs::path& directory) : ports_(free_ports(nodes)) {
  const std::vector<uint16_t> peers = free_ports(nodes);
  std::string cluster;
  for (uint32_t i = 0; i < nodes; ++i) {
    cluster += (i == 0 ? "" : ",") + ("e" + std::to_string(i + 1)) + "=http://" + local(peers[i]);
  }
  for (uint32_t i = 0; i < nodes; ++i) {
    const std::string name = "e" + std::to_string(i + 1);
    const std::string client = "http://" + local(ports_[i]);
    const std::string peer = "http://" + local(peers[i]);
    processes_.emplace_back(
        std::vector<std::string>{"etcd", "--name", name, "--data-dir", (directory / name).string(),
                                 "--log-level", "error", "--listen-client-urls", client,
                                 "--advertise-client-urls", client, "--listen-peer-urls", peer,
                                 "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
                                 "--quota-backend-bytes", "4000000000"},
        directory / (name + ".log"));
  }
  for (uint32_t i = 0; i < nodes; ++i) {
    processes_[i].wait_until(
        [&] {
          if (!accepts_connections(ports_[i])) return false;
          return exchange(ports_[i], {.target = "/health"}).body.find("true") != std::string::npos;
        },
        start_timeout);
  }
}

}  // namespace covey::bench
