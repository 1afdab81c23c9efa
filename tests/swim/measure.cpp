#include "tests/swim/measure.h"

#include <algorithm>

namespace covey::swim {
namespace {

constexpr uint64_t second_us = 1'000'000;
constexpr uint64_t settle_us = 10 * second_us;
constexpr uint64_t limit_us = 120 * second_us;

// A node hears that it is accused, and its refutation spreads: news that begins at one node.
void measure_news(Cluster& cluster, uint64_t interval_us, Measured& out) {
  const size_t node = 0;
  peer::Detection accusation;
  accusation.set_kind(static_cast<uint32_t>(DetectionKind::news));
  peer::NodeNews& news = *accusation.add_news();
  news.set_node(Cluster::name(node).name);
  news.set_health(static_cast<uint32_t>(Health::suspected));
  news.set_incarnation(cluster.detector(node).incarnation());
  cluster.detector(node).receive(cluster.now_us(), Cluster::name(1), accusation);
  const uint64_t wanted = cluster.detector(node).incarnation();
  const uint64_t began = cluster.now_us();
  size_t known = 1;  // nodes before this one know it
  const bool all = cluster.run_until(
      [&] {
        while (known < cluster.size() &&
               cluster.detector(known).of(Cluster::name(node)).incarnation >= wanted)
          ++known;
        return known == cluster.size();
      },
      limit_us);
  if (!all) return;
  out.told.push_back(cluster.now_us() - began);
  out.told_rounds.push_back((cluster.now_us() - began + interval_us - 1) / interval_us);
}

void measure_death(Cluster& cluster, size_t victim, Measured& out) {
  const uint64_t began = cluster.now_us();
  uint64_t suspected = 0, dead = 0;
  std::vector<bool> knows(cluster.size(), false);
  size_t missing = cluster.size() - 1;
  cluster.on_verdict = [&](size_t by, const Verdict& verdict) {
    if (verdict.node != Cluster::name(victim) || by == victim) return;
    if (verdict.health != Health::alive && suspected == 0) suspected = cluster.now_us();
    if (verdict.health != Health::dead || knows[by]) return;
    if (dead == 0) dead = cluster.now_us();
    knows[by] = true;
    --missing;
  };
  cluster.kill(victim);
  const bool all = cluster.run_until([&] { return missing == 0; }, limit_us);
  cluster.on_verdict = nullptr;
  if (suspected != 0) out.first_suspected.push_back(suspected - began);
  if (dead != 0) out.first_dead.push_back(dead - began);
  if (all)
    out.all_dead.push_back(cluster.now_us() - began);
  else
    ++out.never;
}

}  // namespace

Measured measure(const Setting& setting) {
  Measured out;
  Counts counted;
  for (size_t run = 0; run < setting.runs; ++run) {
    ClusterOptions options;
    options.nodes = setting.nodes;
    options.seed = setting.seed + run;
    options.loss_ppm = setting.loss_percent * 10'000;
    options.detector.lifeguard = setting.lifeguard;
    Cluster cluster(options);
    cluster.run_for(settle_us);
    for (size_t i = 0; i < setting.slow; ++i)
      cluster.set_slow(1 + i * (setting.nodes - 2) / setting.slow, setting.slowness);
    cluster.counts = {};
    cluster.run_for(setting.seconds * second_us);
    counted.bytes += cluster.counts.bytes;
    counted.messages += cluster.counts.messages;
    counted.healthy_suspicions += cluster.counts.healthy_suspicions;
    counted.healthy_deaths += cluster.counts.healthy_deaths;
    measure_news(cluster, options.detector.news_interval_us, out);
    cluster.run_for(second_us + 37'000 * run);  // at another moment of its interval in each
    measure_death(cluster, setting.nodes - 1, out);
  }
  for (auto* times : {&out.first_suspected, &out.first_dead, &out.all_dead, &out.told, &out.told_rounds})
    std::sort(times->begin(), times->end());
  const double seconds = static_cast<double>(setting.runs * setting.seconds);
  const double node_seconds = seconds * static_cast<double>(setting.nodes);
  out.bytes = static_cast<double>(counted.bytes) / node_seconds;
  out.messages = static_cast<double>(counted.messages) / node_seconds;
  out.suspected_an_hour = static_cast<double>(counted.healthy_suspicions) * 3600 / seconds;
  out.dead_an_hour = static_cast<double>(counted.healthy_deaths) * 3600 / seconds;
  return out;
}

uint64_t median(const std::vector<uint64_t>& ascending) {
  return ascending.empty() ? 0 : ascending[ascending.size() / 2];
}

}  // namespace covey::swim
