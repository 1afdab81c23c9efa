#include "tests/swim/swim_cluster.h"

#include <algorithm>
#include <utility>

namespace covey::swim {
namespace {

constexpr uint64_t tick_us = 10'000;
// A frame's head, and what the envelope adds for a small incarnation (server/peer_frame.h,
// replication/peer.proto).
constexpr uint64_t frame_bytes = 12 + 2 + 3;

size_t index_of(const NodeId& node) { return std::stoul(node.name.substr(1)) - 1; }

}  // namespace

Cluster::Cluster(const ClusterOptions& options) : options_(options), random_(options.seed) {
  nodes_.resize(options.nodes);
  for (size_t i = 0; i < nodes_.size(); ++i) start(i);
}

void Cluster::start(size_t index) {
  Node& node = nodes_[index];
  node.up = true;
  node.hangs_until_us = node.deaf_until_us = 0;
  node.waiting.clear();
  node.detector =
      std::make_unique<FailureDetector>(name(index), options_.detector, node.starts++, random_.next());
  for (size_t other = 0; other < nodes_.size(); ++other) {
    if (other != index) node.detector->add(now_us_, name(other));
  }
}

void Cluster::restart(size_t index) {
  start(index);
  for (size_t other = 0; other < nodes_.size(); ++other) {
    if (other == index || !nodes_[other].up) continue;
    nodes_[other].detector->connected(now_us_, name(index));
    nodes_[index].detector->connected(now_us_, name(other));
  }
}

void Cluster::kill(size_t index) {
  nodes_[index].up = false;
  nodes_[index].waiting.clear();
}

void Cluster::break_connections(size_t index) {
  for (size_t other = 0; other < nodes_.size(); ++other) {
    if (other != index && nodes_[other].up) nodes_[other].detector->disconnected(now_us_, name(index));
  }
}

void Cluster::hang(size_t index, uint64_t us) { nodes_[index].hangs_until_us = now_us_ + us; }

void Cluster::set_slow(size_t index, Slowness slowness) { nodes_[index].slowness = slowness; }

void Cluster::cut(std::vector<size_t> one_side) {
  for (Node& node : nodes_) node.other_side = false;
  for (size_t index : one_side) nodes_[index].other_side = true;
}

void Cluster::run_for(uint64_t us) {
  run_until([] { return false; }, us);
}

bool Cluster::run_until(const std::function<bool()>& done, uint64_t limit_us) {
  const uint64_t end = now_us_ + limit_us;
  while (!done()) {
    if (next_tick_us_ > end) return false;
    while (!arrivals_.empty() && arrivals_.top().at_us < next_tick_us_) {
      Arrival arrival = arrivals_.top();
      arrivals_.pop();
      now_us_ = arrival.at_us;
      handle(arrival.from, arrival.to, *arrival.message);
    }
    now_us_ = next_tick_us_;
    next_tick_us_ += tick_us;
    tick_all();
  }
  return true;
}

void Cluster::tick_all() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (!node.up || hangs(node)) continue;
    if (node.slowness.deaf_us > 0 && now_us_ >= node.deaf_until_us + node.slowness.hears_us)
      node.deaf_until_us = now_us_ + node.slowness.deaf_us;
    if (now_us_ >= node.deaf_until_us) hear(i);
    node.detector->tick(now_us_);
    perform(i);
  }
}

void Cluster::hear(size_t index) {
  Node& node = nodes_[index];
  for (auto& [from, message] : std::exchange(node.waiting, {})) {
    node.detector->receive(now_us_, name(from), message);
    perform(index);
  }
}

void Cluster::handle(size_t from, size_t to, const peer::Detection& message) {
  Node& node = nodes_[to];
  if (!node.up) return;
  if (hangs(node) || now_us_ < node.deaf_until_us) {
    node.waiting.emplace_back(from, message);
    return;
  }
  node.detector->receive(now_us_, name(from), message);
  perform(to);
}

void Cluster::perform(size_t index) {
  Node& node = nodes_[index];
  for (FailureDetector::Send& send : node.detector->take_sends()) {
    ++counts.messages;
    counts.bytes += frame_bytes + send.message.ByteSizeLong();
    const size_t to = index_of(send.to);
    if (nodes_[to].other_side != node.other_side) continue;
    if (random_.below(1'000'000) < options_.loss_ppm) continue;
    const uint64_t delay =
        options_.delay_min_us + random_.below(options_.delay_max_us - options_.delay_min_us + 1);
    arrivals_.push({now_us_ + delay, ++arrivals_seen_, index, to,
                    std::make_shared<peer::Detection>(std::move(send.message))});
  }
  for (const Verdict& verdict : node.detector->take_verdicts()) {
    judge(index, verdict);
    if (on_verdict) on_verdict(index, verdict);
  }
}

void Cluster::judge(size_t by, const Verdict& verdict) {
  const size_t about = index_of(verdict.node);
  Node& node = nodes_[about];
  if (about == by || !node.up || node.other_side != nodes_[by].other_side) return;
  const bool slow = node.slowness.deaf_us > 0;
  if (verdict.health == Health::suspected) {
    ++counts.false_suspicions;
    if (!slow && std::exchange(node.suspected_incarnation, verdict.incarnation) != verdict.incarnation)
      ++counts.healthy_suspicions;
  } else if (verdict.health == Health::dead) {
    ++counts.false_deaths;
    if (!slow && std::exchange(node.dead_incarnation, verdict.incarnation) != verdict.incarnation)
      ++counts.healthy_deaths;
  }
}

size_t Cluster::holding(size_t node, Health health) {
  size_t count = 0;
  for (size_t by = 0; by < nodes_.size(); ++by)
    count += by != node && nodes_[by].up && seen(by, node) == health ? 1 : 0;
  return count;
}

bool Cluster::all_hold(size_t node, Health health) {
  for (size_t by = 0; by < nodes_.size(); ++by) {
    if (by != node && nodes_[by].up && seen(by, node) != health) return false;
  }
  return true;
}

bool Cluster::all_alive_and_equal() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].up) return false;
    if (detector(i).states_hash() != detector(0).states_hash()) return false;
    for (size_t j = 0; j < nodes_.size(); ++j) {
      if (i != j && seen(i, j) != Health::alive) return false;
    }
  }
  return true;
}

}  // namespace covey::swim
