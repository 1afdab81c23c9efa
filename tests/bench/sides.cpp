#include "tests/bench/sides.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <thread>
#include <utility>

namespace covey::bench {
namespace {

Load base_load(const Options& options, const Question& question) {
  Load load;
  load.operation = question.operation;
  load.connections = options.connections;
  load.pipeline = question.pipeline;
  load.keys = options.keys;
  load.value_bytes = options.value_bytes;
  load.seconds = options.seconds;
  load.warm_up_seconds = std::min(0.3, options.seconds / 4);
  load.seed = question.seed;
  return load;
}

Sample sample_of(const LoadResult& result) {
  const auto us = [&](double percent) {
    return static_cast<double>(result.latency_ns.percentile(percent)) / 1000;
  };
  return {result.per_second(), us(50), us(90), us(99), us(99.9), 0, result.failures, result.first_failure};
}

// `cpu_seconds` tells what the servers have used since they began.
template <class CpuSeconds>
Sample measure_load(const Load& load, const CpuSeconds& cpu_seconds) {
  const double before = cpu_seconds();
  const LoadResult result = run_load(load);
  Sample sample = sample_of(result);
  sample.cpu_us =
      (cpu_seconds() - before) * 1e6 / static_cast<double>(std::max<uint64_t>(1, result.all_operations));
  return sample;
}

void check_fill(const LoadResult& result, const char* what) {
  if (result.failures == 0) return;
  throw std::runtime_error(std::string("filling ") + what + ": " + std::to_string(result.failures) +
                           " writes failed, the first with: " + result.first_failure);
}

enum class CoveyProtocol { http, resp };

class CoveySide final : public Side {
 public:
  CoveySide(const Options& options, std::shared_ptr<CoveyCluster> cluster, CoveyProtocol protocol,
            std::string name, bool json_values = false)
      : options_(options),
        cluster_(std::move(cluster)),
        protocol_(protocol),
        name_(std::move(name)),
        json_values_(json_values) {}
  std::string name(const Question&) const override { return name_; }
  bool answers(const Question&) const override { return true; }
  void fill() override {
    Load load = load_for(
        {.operation = Operation::put, .replicas = static_cast<uint32_t>(cluster_->nodes()), .pipeline = 16});
    load.each_key_once = true;
    check_fill(run_load(load), "covey");
    cluster_->wait_until_equal(std::chrono::seconds(60));
  }
  Sample measure(const Question& question) override {
    return measure_load(load_for(question), [this] { return cluster_->cpu_seconds(); });
  }

 private:
  Load load_for(const Question& question) const {
    Load load = base_load(options_, question);
    load.json_values = json_values_;
    if (protocol_ == CoveyProtocol::resp) {
      load.ports = cluster_->resp_ports();
      load.protocol = [level = question.replicas] { return covey_resp(CoveyCluster::table, level); };
      return load;
    }
    load.ports = cluster_->http_ports();
    const std::string query =
        (question.operation == Operation::put ? "w=" : "r=") + std::to_string(question.replicas);
    load.protocol = [query] { return covey_http(CoveyCluster::table, query); };
    return load;
  }
  const Options& options_;
  const std::shared_ptr<CoveyCluster> cluster_;
  const CoveyProtocol protocol_;
  const std::string name_;
  const bool json_values_;
};

std::shared_ptr<CoveyCluster> start_covey(const Options& options, uint32_t nodes, Durability durability,
                                          const std::filesystem::path& directory, bool columns = false) {
  return std::make_shared<CoveyCluster>(CoveyOptions{.program = options.coveyd,
                                                     .nodes = nodes,
                                                     .durability = durability,
                                                     .threads = options.threads,
                                                     .columns = columns},
                                        directory);
}

// Servers of others, which this program's generator fills and asks.
template <class Servers>
class PeerSide : public Side {
 public:
  template <class... Arguments>
  PeerSide(const char* what, const Options& options, const Arguments&... arguments)
      : options_(options), servers_(arguments...), what_(what) {}
  void fill() override {
    Load load = load_for({.operation = Operation::put, .pipeline = 16});
    load.each_key_once = true;
    check_fill(run_load(load), what_);
  }
  Sample measure(const Question& question) override {
    return measure_load(load_for(question), [this] { return servers_.cpu_seconds(); });
  }

 protected:
  virtual Load load_for(const Question& question) const = 0;
  const Options& options_;
  Servers servers_;

 private:
  const char* const what_;
};

class RedisSide final : public PeerSide<RedisServers> {
 public:
  RedisSide(const Options& options, uint32_t nodes, Durability durability,
            const std::filesystem::path& directory)
      : PeerSide("redis", options, nodes, durability, directory) {}
  std::string name(const Question& question) const override {
    return waits(question) == 0 ? "redis" : "redis, WAIT " + std::to_string(waits(question));
  }
  // Reading from two of its servers and comparing is nothing that redis does.
  bool answers(const Question& question) const override {
    return question.operation == Operation::put || question.replicas == 1;
  }
  uint16_t port() const { return servers_.port(); }

 private:
  static uint32_t waits(const Question& question) {
    return question.operation == Operation::put ? question.replicas - 1 : 0;
  }
  Load load_for(const Question& question) const override {
    Load load = base_load(options_, question);
    load.ports = {servers_.port()};
    load.protocol = [replicas = waits(question)] { return resp(replicas); };
    return load;
  }
};

class KeyDbSide final : public PeerSide<KeyDbServers> {
 public:
  KeyDbSide(const Options& options, uint32_t nodes, Durability durability,
            const std::filesystem::path& directory)
      : PeerSide("keydb", options, nodes, durability, directory) {}
  std::string name(const Question&) const override { return "keydb, active replication"; }
  // Each server answers for itself.
  bool answers(const Question& question) const override { return question.replicas == 1; }
  // The servers go on sending each other what they have acknowledged: the next side is not to pay for that.
  Sample measure(const Question& question) override {
    const Sample sample = PeerSide::measure(question);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (double used = 0; std::chrono::steady_clock::now() < end;) {
      const double before = std::exchange(used, servers_.cpu_seconds());
      if (used - before < 0.05) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    return sample;
  }

 private:
  Load load_for(const Question& question) const override {
    Load load = base_load(options_, question);
    load.ports = servers_.ports();
    load.protocol = [] { return resp(0); };
    return load;
  }
};

// redis' own load generator, against a redis-server or a coveyd that another side has started and filled: it
// knows neither tables nor levels.
class RedisBenchmarkSide final : public Side {
 public:
  RedisBenchmarkSide(const Options& options, uint16_t port, std::string server,
                     const std::filesystem::path& directory)
      : options_(options), port_(port), server_(std::move(server)), directory_(directory) {}
  std::string name(const Question&) const override { return server_ + ", by redis-benchmark"; }
  bool answers(const Question& question) const override { return question.replicas == 1; }
  void fill() override {
    Load load = base_load(options_, {.operation = Operation::put, .pipeline = 16});
    load.ports = {port_};
    load.protocol = [] { return resp(0); };
    load.each_key_once = true;
    check_fill(run_load(load), name({}).c_str());
  }
  Sample measure(const Question& question) override {
    // It counts requests and not seconds.
    const auto rate = rates_.try_emplace({question.operation, question.pipeline}, 20'000.0).first;
    const auto requests = static_cast<uint64_t>(std::max(1000.0, rate->second * options_.seconds));
    const bool put = question.operation == Operation::put;
    const std::string text =
        output_of({"redis-benchmark", "-p", std::to_string(port_), "-t", put ? "set" : "get", "-n",
                   std::to_string(requests), "-c", std::to_string(options_.connections), "-P",
                   std::to_string(question.pipeline), "-d", std::to_string(options_.value_bytes), "-r",
                   std::to_string(options_.keys), "--csv"},
                  directory_);
    // "SET","requests a second","mean","min","p50","p95","p99","max", the latencies in milliseconds
    const std::string name = put ? "\"SET\"" : "\"GET\"";
    const size_t line = text.find(name);
    double figures[7] = {};
    if (line == std::string::npos ||
        std::sscanf(text.c_str() + line + name.size(),
                    ",\"%lf\",\"%lf\",\"%lf\",\"%lf\",\"%lf\",\"%lf\",\"%lf\"", figures, figures + 1,
                    figures + 2, figures + 3, figures + 4, figures + 5, figures + 6) != 7) {
      throw std::runtime_error("redis-benchmark printed: " + text);
    }
    Sample sample;
    sample.per_second = rate->second = figures[0];
    sample.p50_us = figures[3] * 1000;
    sample.p99_us = figures[5] * 1000;
    return sample;
  }

 private:
  const Options& options_;
  const uint16_t port_;
  const std::string server_;
  const std::filesystem::path directory_;
  std::map<std::pair<Operation, uint32_t>, double> rates_;  // by operation and pipeline, of the last round
};

class EtcdSide final : public PeerSide<EtcdServers> {
 public:
  EtcdSide(const Options& options, uint32_t nodes, const std::filesystem::path& directory)
      : PeerSide("etcd", options, nodes, directory) {}
  std::string name(const Question& question) const override {
    if (question.operation == Operation::put) return "etcd";
    return question.replicas == 1 ? "etcd, serializable" : "etcd, linearizable";
  }
  // A majority is the only W that etcd knows, and so the fair comparison.
  bool answers(const Question& question) const override {
    return question.operation == Operation::put ? question.replicas == 2 : question.replicas <= 2;
  }

 private:
  Load load_for(const Question& question) const override {
    Load load = base_load(options_, question);
    load.ports = servers_.ports();
    load.protocol = [serializable = question.replicas == 1] { return etcd_grpc(serializable); };
    return load;
  }
};

}  // namespace

std::vector<std::unique_ptr<Side>> start_sides(const Options& options, uint32_t nodes, Durability durability,
                                               const std::filesystem::path& directory) {
  const auto wanted = [&](const char* peer) {
    if (!options.wants(options.peers, peer)) return false;
    const std::string name = peer;
    const bool program =
        name == "rocksdb" || find_program(name == "redis" || name == "keydb" ? name + "-server" : name);
    if (!program) std::fprintf(stderr, "%s is not installed: left out\n", peer);
    return program;
  };
  std::vector<std::unique_ptr<Side>> sides;
  const auto covey = start_covey(options, nodes, durability, directory);
  sides.push_back(std::make_unique<CoveySide>(options, covey, CoveyProtocol::resp, "covey"));
  if (options.http)
    sides.push_back(std::make_unique<CoveySide>(options, covey, CoveyProtocol::http, "covey, HTTP"));
  const bool redis_benchmark = nodes == 1 && wanted("redis-benchmark");
  if (redis_benchmark) {
    const uint16_t port = covey->resp_ports().front();
    sides.push_back(std::make_unique<RedisBenchmarkSide>(options, port, "covey", directory));
  }
  if (wanted("redis")) {
    auto redis = std::make_unique<RedisSide>(options, nodes, durability, directory);
    const uint16_t port = redis->port();
    sides.push_back(std::move(redis));
    if (redis_benchmark)
      sides.push_back(std::make_unique<RedisBenchmarkSide>(options, port, "redis", directory));
  }
  if (nodes == 3 && wanted("keydb"))
    sides.push_back(std::make_unique<KeyDbSide>(options, nodes, durability, directory));
  // etcd has no mode but that of syncing each write.
  if (nodes == 3 && durability == Durability::sync && wanted("etcd")) {
    sides.push_back(std::make_unique<EtcdSide>(options, nodes, directory));
  }
  if (nodes == 1 && wanted("rocksdb")) add_in_process_sides(options, durability, directory, sides);
  return sides;
}

std::vector<std::unique_ptr<Side>> start_column_sides(const Options& options, uint32_t nodes,
                                                      Durability durability,
                                                      const std::filesystem::path& directory) {
  std::vector<std::unique_ptr<Side>> sides;
  for (const bool columns : {true, false}) {
    const std::filesystem::path own = directory / (columns ? "columns" : "none");
    std::filesystem::create_directory(own);
    sides.push_back(
        std::make_unique<CoveySide>(options, start_covey(options, nodes, durability, own, columns),
                                    CoveyProtocol::http, columns ? "two columns" : "no columns", true));
  }
  return sides;
}

}  // namespace covey::bench
