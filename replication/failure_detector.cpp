// FailureDetector: probing.
#include "replication/failure_detector.h"

#include <algorithm>

#include "replication/result.h"

namespace covey {
namespace {

// More time than this between two inputs is time in which this node did not run.
constexpr uint64_t step_max_us = 100'000;
constexpr uint64_t greeting_intervals = 10;  // of probing, between two pings to the dead

}  // namespace

FailureDetector::FailureDetector(NodeId self, const DetectorOptions& options, uint64_t incarnation,
                                 uint64_t seed)
    : options_(options),
      self_{std::move(self), Health::alive, incarnation, 0},
      random_(seed),
      sequence_(static_cast<uint32_t>(random_.below(1 << 14))) {
  COVEY_ASSERT(options.probe_interval_us > options.probe_timeout_us && incarnation < incarnation_max);
  next_probe_us_ = random_.below(options.probe_interval_us);  // not all nodes at the same time
  news_.put(self_.node);
  changed_.insert(self_.node);
}

void FailureDetector::add(uint64_t now_us, const NodeId& node) {
  advance(now_us);
  if (node == self_.node || entries_.size() + 1 >= members_max) return;
  auto [at, is_new] = entries_.try_emplace(node);
  if (!is_new) return;
  at->second.verdict = {node, Health::alive, 0, now_us};
  order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(random_.below(order_.size() + 1)), node);
  changed_.insert(node);
  // Whoever is new is told of this node.
  news_.put(self_.node);
}

void FailureDetector::remove(const NodeId& node) {
  auto at = entries_.find(node);
  if (at == entries_.end()) return;
  if (at->second.verdict.health == Health::dead) --dead_;
  entries_.erase(at);
  suspected_.erase(node);
  changed_.erase(node);
  news_.forget(node);
  std::erase(order_, node);
  std::erase(urgent_, node);
  std::erase_if(probes_, [&](const Probe& probe) { return probe.target == node; });
}

void FailureDetector::advance(uint64_t now_us) {
  const uint64_t passed = now_us_ == 0 || now_us < now_us_ ? 0 : now_us - now_us_;
  now_us_ = now_us;
  if (passed > options_.probe_interval_us) feel(+1);
  time_us_ += options_.lifeguard ? std::min(passed, step_max_us) : passed;
}

void FailureDetector::feel(int change) {
  if (!options_.lifeguard) return;
  const int health = static_cast<int>(local_health_) + change;
  local_health_ = static_cast<uint32_t>(std::clamp(health, 0, static_cast<int>(options_.local_health_max)));
}

void FailureDetector::tick(uint64_t now_us) {
  advance(now_us);
  run_probes();
  run_relays();
  run_suspicions();
  for (const NodeId& node : std::exchange(urgent_, {})) probe(node);
  if (time_us_ >= next_probe_us_) {
    next_probe_us_ = time_us_ + stretched(options_.probe_interval_us);
    probe_next();
  }
  if (time_us_ >= next_news_us_ && !news_.empty()) {
    next_news_us_ = time_us_ + options_.news_interval_us;
    spread();
  }
  if (time_us_ >= next_greeting_us_) {
    next_greeting_us_ = time_us_ + greeting_intervals * options_.probe_interval_us;
    greet_dead();
  }
  if (time_us_ >= next_compare_us_) {
    // The first one soon, and not all nodes at once.
    const uint64_t wait =
        next_compare_us_ == 0 ? options_.compare_interval_us / 8 : options_.compare_interval_us;
    if (next_compare_us_ != 0) {
      for (const NodeId& node : choose(1, self_.node))
        send(node, DetectionKind::compare, 0).set_states_hash(states_hash());
    }
    next_compare_us_ = time_us_ + wait / 2 + random_.below(wait);
  }
}

// Each node once before any again; then in another order, so that the longest time between two probes of a
// node is bounded and no pattern stays. (SWIM, "round-robin probe target selection".)
void FailureDetector::probe_next() {
  for (size_t seen = 0; seen < order_.size(); ++seen) {
    if (next_ >= order_.size()) {
      next_ = 0;
      for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random_.below(i)]);
    }
    const NodeId& node = order_[next_++];
    if (entries_.at(node).verdict.health == Health::dead) continue;
    return probe(node);
  }
}

void FailureDetector::probe(const NodeId& node) {
  auto at = entries_.find(node);
  if (at == entries_.end() || at->second.verdict.health == Health::dead || probes_.size() >= probes_max)
    return;
  if (std::any_of(probes_.begin(), probes_.end(), [&](const Probe& probe) { return probe.target == node; }))
    return;
  Probe begun;
  begun.target = node;
  begun.sequence = ++sequence_;
  begun.ask_us = time_us_ + stretched(options_.probe_timeout_us);
  begun.end_us = time_us_ + stretched(options_.probe_interval_us);
  ++stats_.probes;
  send(node, DetectionKind::ping, begun.sequence);
  probes_.push_back(std::move(begun));
}

void FailureDetector::ask_others(Probe& probe) {
  probe.asked = true;
  probe.helpers = choose(options_.asked_max, probe.target);
  for (const NodeId& helper : probe.helpers) {
    ++stats_.indirect_probes;
    send(helper, DetectionKind::ask, probe.sequence).set_subject(probe.target.name);
  }
}

void FailureDetector::fail(const Probe& probe) {
  ++stats_.probes_failed;
  feel(+1);
  // Those who were asked would have told that they are there: their silence is a sign of a fault here.
  if (!probe.helpers.empty()) feel(+1);
  const Entry& entry = entries_.at(probe.target);
  if (entry.verdict.health == Health::dead) return;
  learn(probe.target, Health::suspected, entry.verdict.incarnation, {self_.node});
}

void FailureDetector::run_probes() {
  std::vector<Probe> ended;
  for (Probe& probe : probes_) {
    if (!probe.asked && time_us_ >= probe.ask_us) ask_others(probe);
    if (time_us_ >= probe.end_us) ended.push_back(probe);
  }
  std::erase_if(probes_, [&](const Probe& probe) { return time_us_ >= probe.end_us; });
  for (const Probe& probe : ended) fail(probe);
}

void FailureDetector::run_relays() {
  for (Relay& relay : relays_) {
    if (relay.nacked || time_us_ < relay.nack_us) continue;
    relay.nacked = true;
    send(relay.asker, DetectionKind::nack, relay.their_sequence);
  }
  std::erase_if(relays_, [&](const Relay& relay) { return time_us_ >= relay.end_us; });
}

// A dead node is told that it is, so that it refutes it if it can be reached again.
void FailureDetector::greet_dead() {
  if (dead_ == 0) return;
  std::vector<NodeId> dead;
  for (const auto& [node, entry] : entries_) {
    if (entry.verdict.health == Health::dead) dead.push_back(node);
  }
  send(dead[random_.below(dead.size())], DetectionKind::ping, 0);
}

void FailureDetector::answer_ask(const NodeId& from, const peer::Detection& message) {
  const NodeId subject{message.subject()};
  if (!entries_.contains(subject)) {
    send(from, DetectionKind::nack, message.sequence());
    return;
  }
  if (relays_.size() >= relays_max) return;
  Relay relay;
  relay.asker = from;
  relay.their_sequence = message.sequence();
  relay.sequence = ++sequence_;
  relay.nack_us = time_us_ + options_.probe_timeout_us;
  relay.end_us = time_us_ + options_.probe_interval_us;
  send(subject, DetectionKind::ping, relay.sequence);
  relays_.push_back(std::move(relay));
}

void FailureDetector::take_ack(const NodeId&, uint32_t sequence) {
  auto relay = std::find_if(relays_.begin(), relays_.end(),
                            [&](const Relay& one) { return one.sequence == sequence; });
  if (relay != relays_.end()) {
    send(relay->asker, DetectionKind::ack, relay->their_sequence);
    relays_.erase(relay);
    return;
  }
  auto probe = std::find_if(probes_.begin(), probes_.end(),
                            [&](const Probe& one) { return one.sequence == sequence; });
  if (probe == probes_.end()) return;
  probes_.erase(probe);
  feel(-1);
}

void FailureDetector::take_nack(const NodeId& from, uint32_t sequence) {
  for (Probe& probe : probes_) {
    if (probe.sequence == sequence) std::erase(probe.helpers, from);
  }
}

void FailureDetector::disconnected(uint64_t now_us, const NodeId& node) {
  advance(now_us);
  if (!entries_.contains(node) || urgent_.size() >= probes_max) return;
  urgent_.push_back(node);
}

void FailureDetector::connected(uint64_t now_us, const NodeId& node) {
  advance(now_us);
  if (entries_.contains(node)) send(node, DetectionKind::compare, 0).set_states_hash(states_hash());
}

void FailureDetector::receive(uint64_t now_us, const NodeId& from, const peer::Detection& message) {
  advance(now_us);
  const bool is_member = entries_.contains(from);
  for (const peer::NodeNews& news : message.news()) {
    if (news.health() >= healths || news.incarnation() >= incarnation_max) {
      ++stats_.malformed;
      continue;
    }
    if (!is_member && news.node() != self_.node.name) continue;
    std::vector<NodeId> accusers;
    for (const std::string& name : news.accusers()) {
      if (accusers.size() <= confirmations_max) accusers.push_back({name});
    }
    learn({news.node()}, static_cast<Health>(news.health()), news.incarnation(), accusers);
  }
  if (!is_member && message.kind() != static_cast<uint32_t>(DetectionKind::ping)) return;
  switch (static_cast<DetectionKind>(message.kind())) {
    case DetectionKind::ping:
      send(from, DetectionKind::ack, message.sequence());
      break;
    case DetectionKind::ask:
      answer_ask(from, message);
      break;
    case DetectionKind::ack:
      take_ack(from, message.sequence());
      break;
    case DetectionKind::nack:
      take_nack(from, message.sequence());
      break;
    case DetectionKind::news:
      break;
    case DetectionKind::compare:
      if (message.states_hash() != states_hash()) send_states(from, true);
      break;
    case DetectionKind::states:
      if (message.answer_wanted()) send_states(from, false);
      break;
    default:
      ++stats_.malformed;
  }
}

}  // namespace covey
