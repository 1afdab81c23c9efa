#include "replication/members.h"

#include <algorithm>
#include <numeric>

#include "replication/bugs.h"
#include "replication/hash.h"

namespace covey {

Members::Members(const CoreOptions& options)
    : self_(options.self.node),
      replicas_(options.replicas),
      shard_(options.shard),
      shards_(options.shards),
      suspect_after_us_(options.suspect_after_us) {
  members_[self_] = options.self;
}

bool Members::add(const Member& member) {
  if (member.node == self_) return false;
  lives_hashes_.clear();
  auto [at, is_new] = members_.try_emplace(member.node, member);
  if (!is_new) {
    if (at->second == member) return false;
    at->second = member;
  }
  preference_.clear();
  return true;
}

const Member* Members::find(const NodeId& node) const {
  auto at = members_.find(node);
  return at == members_.end() ? nullptr : &at->second;
}

void Members::heard(Now now, const NodeId& node) {
  Reach& reach = reach_[node];
  reach.ever_heard = true;
  reach.heard_us = now.tick_us;
}

void Members::link(Now now, const NodeId& node, bool up) {
  Reach& reach = reach_[node];
  reach.linked = up;
  if (up) {
    reach.ever_heard = true;
    reach.heard_us = now.tick_us;
  }
}

bool Members::linked(const NodeId& node) const {
  auto at = reach_.find(node);
  return at != reach_.end() && at->second.linked && at->second.ever_heard;
}

bool Members::heard_lately(Now now, const NodeId& node) const {
  auto at = reach_.find(node);
  return at != reach_.end() && now.tick_us <= at->second.heard_us + suspect_after_us_;
}

void Members::set_verdict(const Verdict& verdict) { verdicts_[verdict.node] = verdict; }

Verdict Members::verdict(const NodeId& node) const {
  auto at = verdicts_.find(node);
  return at == verdicts_.end() ? Verdict{.node = node} : at->second;
}

MemberState Members::state(Now now, const NodeId& node) const {
  if (node == self_) return MemberState::self;
  const Health health = verdict(node).health;
  if (health == Health::dead) return MemberState::dead;
  if (!linked(node)) return MemberState::unreachable;
  const bool suspected = health == Health::suspected || !heard_lately(now, node);
  return suspected ? MemberState::suspected : MemberState::alive;
}

bool Members::alive(Now now, const NodeId& node) const {
  if (node == self_) return true;
  return linked(node) && heard_lately(now, node) && verdict(node).health != Health::dead;
}

const std::vector<NodeId>& Members::preference(PartitionId partition) const {
  auto [at, is_new] = preference_.try_emplace(partition);
  if (is_new) {
    std::vector<Member> list;
    for (const auto& [node, member] : members_) list.push_back(member);
    at->second = owners_of(partition, list, static_cast<uint32_t>(list.size()));
  }
  return at->second;
}

std::vector<NodeId> Members::owners(PartitionId partition) const {
  const auto& order = preference(partition);
  size_t count = std::min<size_t>(order.size(), replicas_);
  return {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count)};
}

bool Members::owns(const NodeId& node, PartitionId partition) const {
  const auto& order = preference(partition);
  size_t count = std::min<size_t>(order.size(), replicas_);
  return std::find(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), node) !=
         order.begin() + static_cast<std::ptrdiff_t>(count);
}

bool Members::accept_incarnation(const NodeId& node, uint32_t shard, uint64_t incarnation) const {
  if (bug(Bug::stale_life_accepted)) return true;
  auto at = lives_.find(node);
  if (at == lives_.end()) return true;
  auto life = at->second.by_shard.find(shard);
  return life == at->second.by_shard.end() || incarnation >= life->second.incarnation;
}

std::optional<uint64_t> Members::begin_life(const NodeId& node, uint32_t shard, uint32_t shards,
                                            PeerLife life) {
  lives_hashes_.clear();
  Lives& known = lives_[node];
  if (known.shards != shards) {
    // Another number of shards: another start. Only a later one may say so.
    uint64_t highest = 0;
    for (const auto& [index, earlier] : known.by_shard) highest = std::max(highest, earlier.incarnation);
    if (life.incarnation <= highest) return highest;
    known.by_shard.clear();
    known.shards = shards;
  }
  PeerLife& present = known.by_shard[shard];
  if (life.incarnation < present.incarnation) return present.incarnation;
  if (life.incarnation == present.incarnation && life.actors != present.actors)
    return present.incarnation + 1;
  present = std::move(life);
  return std::nullopt;
}

std::optional<NodeId> Members::node_of(Actor actor) const {
  std::optional<NodeId> found;
  for (const auto& [node, member] : members_) {
    if (node_tag(node.name) != actor.value >> 40) continue;
    if (found) return std::nullopt;  // two nodes share the tag: nobody can tell
    found = node;
  }
  return found;
}

bool Members::life_is_over(Actor actor) const {
  auto node = node_of(actor);
  if (!node) return false;
  if (bug(Bug::void_running_life)) return true;
  if (*node == self_) return !own_actors_.contains(actor);
  auto at = lives_.find(*node);
  if (at == lives_.end() || at->second.by_shard.size() != at->second.shards) return false;
  // A node of as many shards writes to this shard's partitions with that shard's actors alone.
  if (at->second.shards == shards_) return !at->second.by_shard.at(shard_).actors.contains(actor);
  return std::none_of(at->second.by_shard.begin(), at->second.by_shard.end(),
                      [&](const auto& shard) { return shard.second.actors.contains(actor); });
}

uint32_t Members::lives_classes() const {
  uint64_t classes = shards_;
  for (const auto& [node, lives] : lives_) {
    if (lives.shards > 0 && members_.contains(node)) classes = std::lcm(classes, uint64_t{lives.shards});
  }
  constexpr uint64_t classes_max = 4096;  // beyond it nothing is agreed on: holes stay open, no harm else
  return static_cast<uint32_t>(std::min(classes, classes_max));
}

uint64_t Members::lives_hash(uint32_t residue) const {
  auto [at, is_new] = lives_hashes_.try_emplace(residue, 0);
  if (!is_new) return at->second;
  uint64_t sum = 0;
  auto mix = [&](const NodeId& node, const std::set<Actor>& actors) {
    for (Actor actor : actors) sum += hash_pair(hash_bytes(node.name, 0x6c697665), actor.value);
  };
  mix(self_, own_actors_);
  for (const auto& [node, member] : members_) {
    if (node == self_) continue;
    auto lives = lives_.find(node);
    if (lives == lives_.end() || lives->second.by_shard.size() != lives->second.shards) return 0;
    mix(node, lives->second.by_shard.at(residue % lives->second.shards).actors);
  }
  return at->second = sum == 0 ? 1 : sum;
}

}  // namespace covey
