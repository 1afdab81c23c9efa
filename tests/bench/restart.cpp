#include "tests/bench/restart.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "tests/bench/load.h"

namespace covey::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint64_t lines_in_batch = 5'000;

void write_rows(const CoveyCluster& cluster, uint64_t begin, uint64_t end, const Options& options,
                uint64_t seed) {
  Random random(seed);
  for (uint64_t first = begin; first < end; first += lines_in_batch) {
    std::string lines;
    for (uint64_t key = first; key < std::min(end, first + lines_in_batch); ++key) {
      lines.append("{\"key\":\"").append(key_text(key)).append("\",\"value\":");
      lines.append(json_value_text(random, options.value_bytes)).append("}\n");
    }
    cluster.post_batch(0, lines, "w=1");
  }
}

// The sum as it was answered, over all rows.
std::string sum_of_all(const CoveyCluster& cluster, uint64_t rows) {
  const std::string body =
      std::string(R"({"queries": [{"table": ")") + CoveyCluster::table +
      R"(", "aggregates": {"many": {"count": "*"}, "s": {"sum": "x"}, "i": {"sum": "n"}}}], "timeout_ms": 50000})";
  const auto end = Clock::now() + std::chrono::seconds(120);
  while (Clock::now() < end) {
    const auto answer = nlohmann::json::parse(cluster.aggregate(0, body), nullptr, false);
    if (!answer.is_object() || !answer.contains("results")) {
      const std::string code = answer.is_object() ? answer["error"]["code"].dump() : "";
      if (code != "\"timeout\"" && code != "\"unavailable\"")
        throw std::runtime_error("an aggregate was answered " + answer.dump());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    const auto& group = answer["results"][0]["groups"][0];
    if (group["many"] != rows) throw std::runtime_error("an aggregate has " + group["many"].dump() + " rows");
    return group["s"].dump() + " " + group["i"].dump();
  }
  throw std::runtime_error("no aggregate was answered");
}

Restart::Start start_again(CoveyCluster& cluster, const std::string& after, uint64_t rows, std::string& sum) {
  cluster.start(0);
  const auto ready = Clock::now();
  const std::string again = sum_of_all(cluster, rows);
  Restart::Start out{after, cluster.ready_seconds(), seconds_since(ready), cluster.process(0).cpu_seconds()};
  if (!sum.empty() && sum != again)
    throw std::runtime_error("after a start the sums were " + again + ", not " + sum);
  sum = again;
  std::fprintf(stderr, "  %s: %.2f s\n", after.c_str(), out.ready_seconds + out.seconds);
  return out;
}

uint64_t bytes_in(const fs::path& folder) {
  uint64_t bytes = 0;
  for (const auto& file : fs::directory_iterator(folder)) bytes += file.file_size();
  return bytes;
}

}  // namespace

Restart measure_restart(const Options& options) {
  TemporaryDirectory directory(options.directory);
  CoveyCluster cluster({.program = options.coveyd,
                        .nodes = 1,
                        .durability = Durability::interval,
                        .threads = options.threads,
                        .columns = true},
                       directory.path());
  const fs::path columns = directory.path() / "n1" / "columns";
  Restart out;
  out.rows = options.keys;
  std::fprintf(stderr, "restart: loading %llu rows on one node\n", static_cast<unsigned long long>(out.rows));
  const auto begin = Clock::now();
  write_rows(cluster, 0, options.keys, options, 1);
  out.load_per_second = static_cast<double>(options.keys) / seconds_since(begin);
  std::string sum = sum_of_all(cluster, out.rows);
  const auto stop = Clock::now();
  cluster.stop(0);
  out.stop_seconds = seconds_since(stop);
  out.checkpoint_bytes = bytes_in(columns);
  out.starts.push_back(start_again(cluster, "an orderly stop", out.rows, sum));
  cluster.kill(0);
  out.starts.push_back(start_again(cluster, "kill -9, nothing written since its checkpoints", out.rows, sum));
  const uint64_t changed = std::min<uint64_t>(options.keys, 100'000);
  write_rows(cluster, 0, changed, options, 2);
  sum = sum_of_all(cluster, out.rows);
  cluster.kill(0);
  out.starts.push_back(
      start_again(cluster, "kill -9 after " + std::to_string(changed) + " writes", out.rows, sum));
  cluster.kill(0);
  fs::remove_all(columns);
  out.starts.push_back(start_again(cluster, "kill -9, checkpoints removed", out.rows, sum));
  out.resident_mib = static_cast<double>(cluster.process(0).resident_bytes()) / (1 << 20);
  return out;
}

}  // namespace covey::bench
