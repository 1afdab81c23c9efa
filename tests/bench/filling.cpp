#include "tests/bench/filling.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/convergence.h"
#include "tests/bench/load.h"
#include "tests/bench/throughput.h"

namespace covey::bench {
namespace {

using Clock = std::chrono::steady_clock;

void need(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string("copying bytes as a measure: ") + what + " failed");
}

// One process that reads a file and sends it over a TCP connection of the loopback, one that writes it to
// another file and syncs that at the end: nothing that fills a copy can be faster here.
double copy_seconds(const std::filesystem::path& directory, double bytes) {
  std::string block(1 << 20, '\0');
  Random random(1);
  for (size_t i = 0; i + 8 <= block.size(); i += 8) {
    const uint64_t word = random.next();
    block.replace(i, 8, reinterpret_cast<const char*>(&word), 8);
  }
  const auto blocks = static_cast<size_t>(bytes / static_cast<double>(block.size())) + 1;
  const int from = ::open((directory / "from").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  need(from >= 0, "open");
  for (size_t i = 0; i < blocks; ++i)
    need(::write(from, block.data(), block.size()) == static_cast<ssize_t>(block.size()), "write");
  need(::fdatasync(from) == 0 && ::lseek(from, 0, SEEK_SET) == 0, "fdatasync");
  auto [reader, writer] = connected_pair();
  const int to = ::open((directory / "to").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  need(to >= 0, "open");
  const auto begin = Clock::now();
  std::thread sender([from, writer = writer] {
    std::string buffer(1 << 18, '\0');
    for (ssize_t got; (got = ::read(from, buffer.data(), buffer.size())) > 0;) {
      for (ssize_t sent = 0; sent < got;) {
        const ssize_t now =
            ::send(writer, buffer.data() + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
        if (now <= 0) break;
        sent += now;
      }
    }
    ::close(writer);
  });
  std::string buffer(1 << 18, '\0');
  bool written = true;
  for (ssize_t got; (got = ::read(reader, buffer.data(), buffer.size())) > 0;)
    written = written && ::write(to, buffer.data(), static_cast<size_t>(got)) == got;
  sender.join();
  written = written && ::fdatasync(to) == 0;
  const double seconds = seconds_since(begin);
  for (const int file : {from, reader, to}) ::close(file);
  std::filesystem::remove(directory / "from");
  std::filesystem::remove(directory / "to");
  need(written, "write");
  return seconds;
}

double wait_until_filled(const CoveyCluster& cluster, size_t node) {
  const auto begin = Clock::now();
  while (cluster.metric(node, "covey_partitions_not_ready") != 0) {
    if (seconds_since(begin) > 600) throw std::runtime_error("the node was not filled within ten minutes");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return seconds_since(begin);
}

// Until no log tells the other node what it lacks: what is lost then comes from the filling alone.
void wait_until_logs_are_empty(const CoveyCluster& cluster) {
  const auto begin = Clock::now();
  for (size_t node = 0; node < cluster.nodes();) {
    if (cluster.metric(node, "covey_dot_log_entries") == 0) {
      ++node;
      continue;
    }
    if (seconds_since(begin) > 300) throw std::runtime_error("the logs were not collected in five minutes");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Until what loading or a start has left to do in the background is done.
void wait_until_idle(const CoveyCluster& cluster) {
  constexpr double idle_cpu_seconds = 0.05;
  for (double before = -1, now = cluster.cpu_seconds(); now - before > idle_cpu_seconds;) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    before = std::exchange(now, cluster.cpu_seconds());
  }
}

class Clients {
 public:
  Clients(const Options& options, const CoveyCluster& cluster) : options_(options), cluster_(cluster) {}
  double per_second(Operation operation) const {
    Load load;
    load.operation = operation;
    load.connections = options_.connections;
    load.keys = options_.keys;
    load.value_bytes = options_.value_bytes;
    load.seconds = options_.seconds;
    load.warm_up_seconds = 0.2;
    load.ports = {cluster_.http_ports().front()};
    const std::string query = operation == Operation::put ? "w=1" : "r=1";
    load.protocol = [query] { return covey_http(CoveyCluster::table, query); };
    const LoadResult result = run_load(load);
    if (result.failures > 0)
      throw std::runtime_error("while filling, a client was told: " + result.first_failure);
    return result.per_second();
  }

 private:
  const Options& options_;
  const CoveyCluster& cluster_;
};

void measure_cost(const Options& options, CoveyCluster& cluster, Filling& out) {
  const Clients clients(options, cluster);
  std::vector<double> puts_without, gets_without, puts_during, gets_during, seconds;
  out.rounds = options.rounds;
  for (uint32_t round = 0; round < options.rounds; ++round) {
    wait_until_idle(cluster);
    puts_without.push_back(clients.per_second(Operation::put));
    gets_without.push_back(clients.per_second(Operation::get));
    cluster.wait_until_equal(std::chrono::seconds(60));
    wait_until_logs_are_empty(cluster);
    cluster.stop(1);
    cluster.wipe(1);
    wait_until_idle(cluster);
    cluster.start(1);
    const auto begin = Clock::now();
    while (cluster.metric(1, "covey_repair_objects_received_total") == 0) {
      if (seconds_since(begin) > 60) throw std::runtime_error("the filling did not begin within a minute");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    puts_during.push_back(clients.per_second(Operation::put));
    gets_during.push_back(clients.per_second(Operation::get));
    if (cluster.metric(1, "covey_partitions_not_ready") == 0) ++out.over_too_early;
    wait_until_filled(cluster, 1);
    seconds.push_back(seconds_since(begin));
    cluster.wait_until_equal(std::chrono::seconds(60));
    std::fprintf(stderr, "  limited, %.2f s: puts %.0f without, %.0f during; gets %.0f, %.0f\n",
                 seconds.back(), puts_without.back(), puts_during.back(), gets_without.back(),
                 gets_during.back());
  }
  out.limited_seconds = median(seconds);
  out.puts_without = median(puts_without);
  out.gets_without = median(gets_without);
  out.puts_during = median(puts_during);
  out.gets_during = median(gets_during);
}

}  // namespace

Filling measure_filling(const Options& options) {
  TemporaryDirectory directory(options.directory);
  CoveyCluster cluster(
      {.program = options.coveyd, .nodes = 2, .durability = Durability::interval, .threads = options.threads},
      directory.path());
  Filling out;
  out.keys = options.keys;
  out.bytes =
      static_cast<double>(options.keys) * (static_cast<double>(key_text(0).size()) + options.value_bytes);
  std::fprintf(stderr, "filling: loading %llu keys on two nodes\n",
               static_cast<unsigned long long>(out.keys));
  load_keys(cluster, 2, 0, options.keys, options.value_bytes, 1, "w=2");
  cluster.wait_until_equal(std::chrono::seconds(300));
  wait_until_logs_are_empty(cluster);
  out.copy_seconds = copy_seconds(directory.path(), out.bytes);

  cluster.stop(1);
  cluster.wipe(1);
  cluster.limit_transfers(0);
  cluster.stop(0);
  const EngineAlone engine = fill_by_engine_alone(directory.path() / "n1" / "db", directory.path());
  out.engine_seconds = engine.seconds;
  out.engine_cpu_us = engine.cpu_seconds * 1e6 / static_cast<double>(options.keys);
  cluster.start(0);
  wait_until_idle(cluster);
  const double cpu_before = cluster.cpu_seconds();
  cluster.start(1);
  out.unlimited_seconds = wait_until_filled(cluster, 1);
  out.unlimited_cpu_us = (cluster.cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(options.keys);
  cluster.wait_until_equal(std::chrono::seconds(60));
  std::fprintf(stderr, "  %.2f s without a limit, RocksDB alone %.2f s, a plain copy %.2f s\n",
               out.unlimited_seconds, out.engine_seconds, out.copy_seconds);

  cluster.stop(1);
  cluster.limit_transfers(std::nullopt);
  cluster.stop(0);
  cluster.start(0);
  cluster.start(1);
  cluster.wait_until_equal(std::chrono::seconds(60));
  measure_cost(options, cluster, out);
  return out;
}

}  // namespace covey::bench
