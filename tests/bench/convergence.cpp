#include "tests/bench/convergence.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "replication/base64.h"
#include "tests/bench/load.h"

namespace covey::bench {
namespace {

using Clock = std::chrono::steady_clock;

double sum(const CoveyCluster& cluster, const char* metric) {
  double total = 0;
  for (size_t node = 0; node < cluster.nodes(); ++node) total += cluster.metric(node, metric);
  return total;
}

double object_bytes(const CoveyCluster& cluster) {
  return sum(cluster, "covey_gossip_sent_bytes_total") + sum(cluster, "covey_repair_sent_bytes_total");
}

double objects_sent(const CoveyCluster& cluster) {
  return sum(cluster, "covey_gossip_objects_sent_total") + sum(cluster, "covey_repair_objects_sent_total");
}

// The same seed gives a key the same value.
std::string value_of(uint64_t key, uint64_t seed, uint32_t bytes) {
  Random random(key * 1'000'003 + seed);
  return value_text(random, bytes);
}

void wait_for_changes(const CoveyCluster& cluster, size_t node, uint64_t changed, uint64_t seed,
                      uint32_t value_bytes) {
  const auto end = Clock::now() + std::chrono::seconds(120);
  const uint64_t step = std::max<uint64_t>(1, changed / 200);
  for (uint64_t key = 0; key < changed;) {
    if (cluster.get(node, key_text(key), "r=1&sloppy=false") == value_of(key, seed, value_bytes)) {
      key += step;
      continue;
    }
    if (Clock::now() > end)
      throw std::runtime_error("a change did not reach the node that was away: " + key_text(key));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

void load_keys(const CoveyCluster& cluster, size_t nodes, uint64_t begin, uint64_t end, uint32_t value_bytes,
               uint64_t seed, const std::string& query) {
  const uint64_t lines_in_batch = std::clamp<uint64_t>((8 << 20) / value_bytes, 1, 5'000);
  size_t turn = 0;
  for (uint64_t first = begin; first < end; first += lines_in_batch) {
    std::string lines;
    for (uint64_t key = first; key < std::min(end, first + lines_in_batch); ++key) {
      // Not as JSON, so that exactly value_bytes are stored.
      lines.append("{\"key\":\"").append(key_text(key)).append("\",\"value_base64\":\"");
      lines.append(base64_encode(value_of(key, seed, value_bytes))).append("\"}\n");
    }
    cluster.post_batch(turn++ % nodes, lines, query);
  }
}

Convergence measure_convergence(const Options& options) {
  TemporaryDirectory directory(options.directory);
  CoveyCluster cluster(
      {.program = options.coveyd, .nodes = 3, .durability = Durability::interval, .threads = options.threads},
      directory.path());
  Convergence out;
  out.keys = options.keys;
  out.changed = std::max<uint64_t>(1, options.keys / 100);
  out.differing_bytes =
      static_cast<double>(out.changed) * (static_cast<double>(key_text(0).size()) + options.value_bytes);
  std::fprintf(stderr, "convergence: loading %llu keys on three nodes\n",
               static_cast<unsigned long long>(out.keys));
  load_keys(cluster, 3, 0, options.keys, options.value_bytes, 1, "w=3");
  cluster.wait_until_equal(std::chrono::seconds(300));

  const double idle_seconds = std::max(1.0, options.seconds * 2);
  const double idle_before = sum(cluster, "covey_peer_sent_bytes_total");
  const auto idle_begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(idle_seconds));
  const double idle_bytes = sum(cluster, "covey_peer_sent_bytes_total") - idle_before;
  constexpr double pairs = 3;
  out.idle_bytes_per_second_and_partition =
      idle_bytes / seconds_since(idle_begin) / CoveyCluster::partitions / pairs;

  cluster.stop(2);
  constexpr uint64_t seed_of_changes = 2;
  load_keys(cluster, 2, 0, out.changed, options.value_bytes, seed_of_changes, "w=2&sloppy=false");
  double peer_before = 0;
  double objects_before = 0;
  double sent_before = 0;
  for (size_t node = 0; node < 2; ++node) {
    peer_before += cluster.metric(node, "covey_peer_sent_bytes_total");
    objects_before += cluster.metric(node, "covey_gossip_sent_bytes_total") +
                      cluster.metric(node, "covey_repair_sent_bytes_total");
  }
  for (size_t node = 0; node < 2; ++node) {
    sent_before += cluster.metric(node, "covey_gossip_objects_sent_total") +
                   cluster.metric(node, "covey_repair_objects_sent_total");
  }
  cluster.start(2);
  const auto begin = Clock::now();
  out.ready_seconds = cluster.ready_seconds();
  wait_for_changes(cluster, 2, out.changed, seed_of_changes, options.value_bytes);
  cluster.wait_until_equal(std::chrono::seconds(120));
  out.equal_seconds = seconds_since(begin);
  out.peer_bytes = sum(cluster, "covey_peer_sent_bytes_total") - peer_before;
  out.objects_sent = objects_sent(cluster) - sent_before;
  out.object_bytes = object_bytes(cluster) - objects_before;
  return out;
}

Memory measure_memory(const Options& options) {
  TemporaryDirectory directory(options.directory);
  constexpr uint64_t cache_mb = 64;
  CoveyCluster cluster({.program = options.coveyd,
                        .nodes = 1,
                        .durability = Durability::interval,
                        .cache_mb = cache_mb,
                        .threads = options.threads},
                       directory.path());
  Memory out;
  out.keys = options.keys;
  out.cache_bytes = cache_mb << 20;
  std::fprintf(stderr, "memory: loading %llu keys on one node\n", static_cast<unsigned long long>(out.keys));
  const auto begin = Clock::now();
  load_keys(cluster, 1, 0, options.keys, options.value_bytes, 1, "w=1");
  out.load_per_second = static_cast<double>(options.keys) / seconds_since(begin);
  out.resident_bytes = cluster.process(0).resident_bytes();
  cluster.stop(0);
  cluster.start(0);
  out.ready_seconds = cluster.ready_seconds();
  out.resident_after_start_bytes = cluster.process(0).resident_bytes();
  return out;
}

}  // namespace covey::bench
