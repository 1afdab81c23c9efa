// FailureDetector: what is known of whom, and how it is told on.
//
// What is known of a node only rises: by incarnation, then alive, suspected, dead; accusers of one suspicion
// are united. So nodes that have heard the same hold the same, in whichever order it came.
#include <algorithm>

#include "replication/bugs.h"
#include "replication/failure_detector.h"
#include "replication/hash.h"
#include "replication/result.h"

namespace covey {
namespace {

constexpr size_t subjects_told_max = 2;  // suspected ones that a round of news goes to
// So many of the nodes that hear of a suspicion look for themselves, at most, on average.
constexpr size_t lookers = 2 * (confirmations_max + 1);

}  // namespace

const Verdict& FailureDetector::of(const NodeId& node) const {
  if (node == self_.node) return self_;
  auto at = entries_.find(node);
  COVEY_ASSERT(at != entries_.end());
  return at->second.verdict;
}

std::vector<FailureDetector::Send> FailureDetector::take_sends() { return std::exchange(sends_, {}); }

std::vector<Verdict> FailureDetector::take_verdicts() {
  std::vector<Verdict> out;
  for (const NodeId& node : std::exchange(changed_, {})) out.push_back(of(node));
  return out;
}

uint64_t FailureDetector::states_hash() const {
  auto one = [](const Verdict& verdict) {
    return hash_pair(hash_bytes(verdict.node.name, 0x737461746573),
                     verdict.incarnation * healths + static_cast<uint64_t>(verdict.health));
  };
  uint64_t sum = one(self_);
  for (const auto& [node, entry] : entries_) sum += one(entry.verdict);
  return sum;
}

SuspicionTimes FailureDetector::suspicion_times() const {
  return {options_.probe_interval_us, options_.suspicion_intervals,
          options_.lifeguard ? options_.suspicion_most : 1};
}

void FailureDetector::learn(const NodeId& node, Health health, uint64_t incarnation,
                            const std::vector<NodeId>& accusers) {
  if (node == self_.node) return learn_of_self(health, incarnation);
  auto at = entries_.find(node);
  if (at == entries_.end()) return;  // not of the group as this node knows it
  Entry& entry = at->second;
  const auto known = std::pair(entry.verdict.incarnation, entry.verdict.health);
  const auto told = std::pair(incarnation, health);
  if (told > known) return set(entry, health, incarnation, accusers);
  if (told < known || health != Health::suspected || !accuse(entry, accusers)) return;
  set_deadline(entry);
  news_.put(node);  // the others can do with less time too
}

void FailureDetector::learn_of_self(Health health, uint64_t incarnation) {
  if (incarnation + 1 >= incarnation_max) return;
  if (incarnation < self_.incarnation) {
    // Who takes this node for dead has missed that it refuted it, and may be nobody whom news is sent to.
    if (health == Health::dead) news_.put(self_.node);
    return;
  }
  if (health == Health::alive && incarnation == self_.incarnation) return;
  if (health == Health::alive) {
    self_.incarnation = incarnation;  // of an earlier start
  } else {
    if (!bug(Bug::refutation_keeps_incarnation)) self_.incarnation = incarnation + 1;
    ++stats_.refutations;
    feel(+1);
  }
  news_.put(self_.node);
  next_news_us_ = time_us_;  // there may be little time left
  changed_.insert(self_.node);
}

void FailureDetector::set(Entry& entry, Health health, uint64_t incarnation,
                          const std::vector<NodeId>& accusers) {
  Verdict& verdict = entry.verdict;
  const bool was_dead = verdict.health == Health::dead;
  if (verdict.health != health) {
    verdict.since_us = now_us_;
    if (health == Health::suspected) ++stats_.suspicions;
    if (health == Health::dead) ++stats_.deaths;
  }
  verdict.health = health;
  verdict.incarnation = incarnation;
  dead_ = dead_ + (health == Health::dead ? 1 : 0) - (was_dead ? 1 : 0);
  entry.accusers.clear();
  suspected_.erase(verdict.node);
  changed_.insert(verdict.node);
  news_.put(verdict.node);
  if (health != Health::suspected) return;
  suspected_.insert(verdict.node);
  entry.began_us = time_us_;
  accuse(entry, accusers);
  set_deadline(entry);
  // Whoever has its own evidence confirms it, or wakes the node that has to refute.
  const bool own = std::find(accusers.begin(), accusers.end(), self_.node) != accusers.end();
  if (options_.lifeguard && !own && urgent_.size() < probes_max && random_.below(living()) < lookers)
    urgent_.push_back(verdict.node);
}

// true: there are new ones among them.
bool FailureDetector::accuse(Entry& entry, const std::vector<NodeId>& accusers) {
  bool any = false;
  for (const NodeId& node : accusers) {
    if (entry.accusers.size() > confirmations_max) break;
    if (std::find(entry.accusers.begin(), entry.accusers.end(), node) != entry.accusers.end()) continue;
    entry.accusers.push_back(node);
    any = true;
  }
  return any;
}

void FailureDetector::set_deadline(Entry& entry) {
  const size_t confirmations = entry.accusers.empty() ? 0 : entry.accusers.size() - 1;
  entry.until_us = entry.began_us + suspicion_us(suspicion_times(), living(), confirmations);
}

void FailureDetector::run_suspicions() {
  if (bug(Bug::suspicion_never_ends)) return;
  std::vector<NodeId> over;
  for (const NodeId& node : suspected_) {
    if (time_us_ >= entries_.at(node).until_us) over.push_back(node);
  }
  for (const NodeId& node : over) {
    Entry& entry = entries_.at(node);
    set(entry, Health::dead, entry.verdict.incarnation, {});
  }
}

// News alone, while there is any: to a few at random, and to those whom it accuses.
void FailureDetector::spread() {
  std::vector<NodeId> targets = choose(options_.news_fanout, self_.node);
  size_t subjects = 0;
  for (const NodeId& node : suspected_) {
    if (!options_.lifeguard || subjects == subjects_told_max) break;
    if (!news_.fresh(node) || std::find(targets.begin(), targets.end(), node) != targets.end()) continue;
    targets.push_back(node);
    ++subjects;
  }
  for (const NodeId& node : targets) {
    if (!news_.empty()) send(node, DetectionKind::news, 0);
  }
}

peer::Detection& FailureDetector::send(const NodeId& to, DetectionKind kind, uint32_t sequence) {
  sends_.push_back({to, {}});
  peer::Detection& message = sends_.back().message;
  message.set_kind(static_cast<uint32_t>(kind));
  if (sequence != 0) message.set_sequence(sequence);
  add_news(to, message);
  return message;
}

void FailureDetector::fill(peer::NodeNews& news, const NodeId& node) const {
  const Verdict& verdict = of(node);
  news.set_node(node.name);
  news.set_incarnation(verdict.incarnation);
  news.set_health(static_cast<uint32_t>(verdict.health));
  if (verdict.health != Health::suspected) return;
  for (const NodeId& accuser : entries_.at(node).accusers) news.add_accusers(accuser.name);
}

void FailureDetector::add_news(const NodeId& to, peer::Detection& message) {
  // An accused node hears that first, whatever else there is ("buddy system").
  auto receiver = entries_.find(to);
  const bool accused =
      options_.lifeguard && receiver != entries_.end() && receiver->second.verdict.health != Health::alive;
  if (accused) fill(*message.add_news(), to);
  size_t room = options_.news_bytes_max;
  // The natural logarithm, about.
  const uint64_t limit = options_.news_multiple * static_cast<uint64_t>(std::bit_width(members())) * 7 / 10;
  news_.tell(limit, [&](const NodeId& node) {
    if (accused && node == to) return true;
    peer::NodeNews news;
    fill(news, node);
    const size_t bytes = news.ByteSizeLong() + 2;
    if (bytes > room) return false;
    room -= bytes;
    *message.add_news() = std::move(news);
    return true;
  });
}

void FailureDetector::send_states(const NodeId& to, bool answer_wanted) {
  sends_.push_back({to, {}});
  peer::Detection& message = sends_.back().message;
  message.set_kind(static_cast<uint32_t>(DetectionKind::states));
  message.set_answer_wanted(answer_wanted);
  fill(*message.add_news(), self_.node);
  for (const auto& [node, entry] : entries_) fill(*message.add_news(), node);
}

// Different ones that are not dead, at random; of a large group perhaps fewer than there are.
std::vector<NodeId> FailureDetector::choose(size_t count, const NodeId& except) {
  std::vector<NodeId> out;
  auto take = [&](const NodeId& node) {
    if (node == except || entries_.at(node).verdict.health == Health::dead) return;
    if (std::find(out.begin(), out.end(), node) == out.end()) out.push_back(node);
  };
  constexpr size_t small_group = 32;
  if (order_.size() <= small_group) {
    std::vector<NodeId> all = order_;
    for (size_t i = all.size(); i > 0 && out.size() < count; --i) {
      std::swap(all[i - 1], all[random_.below(i)]);
      take(all[i - 1]);
    }
    return out;
  }
  for (size_t tries = 0; tries < 8 * count && out.size() < count; ++tries)
    take(order_[random_.below(order_.size())]);
  return out;
}

}  // namespace covey
