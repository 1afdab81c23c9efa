#include "tests/bench/trial.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/bench/load.h"

namespace covey::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t contended_keys_max = 10'000;

Load covey_load(const Options& options, Operation operation, uint16_t port) {
  Load load;
  load.operation = operation;
  load.ports = {port};
  load.protocol = [] { return covey_resp(CoveyCluster::table, 1); };
  load.value_bytes = options.value_bytes;
  load.keys = options.keys;
  load.seconds = options.seconds;
  return load;
}

LoadResult without_failure(LoadResult result, const char* what) {
  if (result.failures > 0)
    throw std::runtime_error(std::string(what) + ": a request was answered " + result.first_failure);
  return result;
}

// Partitions whose objects are not the same on all nodes.
uint64_t unequal(const CoveyCluster& cluster) {
  std::vector<std::vector<std::string>> states;
  for (size_t node = 0; node < cluster.nodes(); ++node) states.push_back(cluster.state_hashes(node));
  uint64_t out = 0;
  for (size_t i = 0; i < states[0].size(); ++i) {
    out += std::all_of(states.begin(), states.end(), [&](const auto& of) { return of[i] == states[0][i]; })
               ? 0
               : 1;
  }
  return out;
}

// Of the process' threads that flush memtables and compact tables.
double storage_cpu_seconds(pid_t process) {
  double ticks = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream file(task.path() / "stat");
    std::string line;
    if (!std::getline(file, line)) continue;  // it has ended
    const size_t name_end = line.rfind(')');
    if (line.find("(rocksdb:") == std::string::npos || name_end == std::string::npos) continue;
    std::istringstream fields(line.substr(name_end + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    ticks += user + system;
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// `load` makes the load of one operation at one of the servers' ports.
Tail::Row gets_beside_puts(const Options& options, const std::function<Load(Operation)>& load) {
  Load puts = load(Operation::put);
  puts.connections = 8;
  puts.pipeline = 16;
  puts.seconds = options.seconds + 0.5;
  Load gets = load(Operation::get);
  gets.connections = options.connections;
  gets.seed = 2;
  auto written = std::async(std::launch::async, [&] { return run_load(puts); });
  const LoadResult read = without_failure(run_load(gets), "gets");
  const LoadResult wrote = without_failure(written.get(), "puts");
  const auto us = [&](double percent) {
    return static_cast<double>(read.latency_ns.percentile(percent)) / 1000;
  };
  return {{}, wrote.per_second(), read.per_second(), us(50), us(99), us(99.9), 0};
}

}  // namespace

Contention measure_contention(const Options& options) {
  TemporaryDirectory directory(options.directory);
  const CoveyCluster cluster(
      {.program = options.coveyd, .nodes = 3, .durability = Durability::interval, .threads = options.threads},
      directory.path());
  Contention out;
  out.keys = std::min(options.keys, contended_keys_max);
  out.partitions = CoveyCluster::partitions;
  std::fprintf(stderr, "contention: writing %llu keys on three nodes at once\n",
               static_cast<unsigned long long>(out.keys));
  for (uint32_t round = 0; round < options.rounds; ++round) {
    std::vector<std::future<LoadResult>> loads;
    for (size_t node = 0; node < cluster.nodes(); ++node) {
      Load load = covey_load(options, Operation::put, cluster.resp_ports()[node]);
      load.keys = out.keys;
      load.connections = std::max(1u, options.connections / 3);
      load.seed = round * 3 + node;
      loads.push_back(std::async(std::launch::async, [load] { return run_load(load); }));
    }
    double per_second = 0;
    for (auto& load : loads) per_second += without_failure(load.get(), "puts").per_second();
    const auto last_answer = Clock::now();
    out.puts_per_second = std::max(out.puts_per_second, per_second);
    out.different = std::max(out.different, unequal(cluster));
    while (unequal(cluster) != 0) {
      if (seconds_since(last_answer) > 60)
        throw std::runtime_error("three nodes were not equal after a minute");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    out.equal_seconds.push_back(seconds_since(last_answer));
    std::fprintf(stderr, "  equal after %.2f s\n", out.equal_seconds.back());
  }
  return out;
}

Tail measure_tail(const Options& options) {
  TemporaryDirectory directory(options.directory);
  Tail out;
  out.keys = options.keys;
  // Long enough for several memtables to be written and compacted.
  Options longer = options;
  longer.seconds = out.seconds = options.seconds * 5;
  std::fprintf(stderr, "tail: gets beside puts, %.3g seconds each\n", out.seconds);
  {
    CoveyCluster cluster({.program = options.coveyd,
                          .nodes = 1,
                          .durability = Durability::interval,
                          .threads = options.threads},
                         directory.path());
    const auto load = [&](Operation operation) {
      return covey_load(longer, operation, cluster.resp_ports().front());
    };
    Load fill = load(Operation::put);
    fill.each_key_once = true;
    fill.pipeline = 16;
    without_failure(run_load(fill), "filling");
    const double before = storage_cpu_seconds(cluster.process(0).id());
    Tail::Row row = gets_beside_puts(longer, load);
    row.side = "covey";
    row.storage_cpu_seconds = storage_cpu_seconds(cluster.process(0).id()) - before;
    out.rows.push_back(std::move(row));
  }
  if (!options.wants(options.peers, "redis") || !find_program("redis-server")) return out;
  const RedisServers redis(1, Durability::interval, directory.path());
  const auto load = [&](Operation operation) {
    Load one = covey_load(longer, operation, redis.port());
    one.protocol = [] { return resp(0); };
    return one;
  };
  Load fill = load(Operation::put);
  fill.each_key_once = true;
  fill.pipeline = 16;
  without_failure(run_load(fill), "filling");
  Tail::Row row = gets_beside_puts(longer, load);
  row.side = "redis";
  out.rows.push_back(std::move(row));
  return out;
}

}  // namespace covey::bench
