#include "replication/members.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>

#include "replication/bugs.h"
#include "replication/hash.h"

namespace covey {

Members::Members(const CoreOptions& options)
    : self_(options.self.node),
      partitions_(options.partitions),
      replicas_(options.replicas),
      shard_(options.shard),
      shards_(options.shards),
      suspect_after_us_(options.suspect_after_us) {
  members_[self_] = options.self;
}

namespace {

// Of two decisions the later holds; at the same time the graver.
bool is_later(const Member& a, const Member& b) {
  return std::tie(a.decided, a.standing, a.place) > std::tie(b.decided, b.standing, b.place);
}

}  // namespace

std::optional<Member> Members::merged(const Member& told, bool of_itself) const {
  const Member* known = find(told.node);
  Member next = known == nullptr ? told : *known;
  if (known != nullptr) {
    if (of_itself && told.node != self_) {
      next = told;
      std::tie(next.standing, next.decided, next.place) =
          std::tie(known->standing, known->decided, known->place);
    }
    if (is_later(told, next))
      std::tie(next.standing, next.decided, next.place) = std::tie(told.standing, told.decided, told.place);
    if (next == *known) return std::nullopt;
  }
  return next;
}

// Who is ready stays what it was, whoever is a target then.
void Members::set(const Member& member) {
  std::set<std::pair<PartitionId, NodeId>> ready;
  for (uint32_t value = shard_; value < partitions_; value += shards_) {
    PartitionId id{value};
    for (const auto& [node, known] : members_) {
      if (this->ready(node, id)) ready.insert({id, node});
    }
  }
  const bool stays = member.standing != Standing::removed || member.node == self_;
  members_.erase(member.node);
  removed_.erase(member.node);
  (stays ? members_ : removed_)[member.node] = member;
  if (!stays) verdicts_.erase(member.node);
  lives_hashes_.clear();
  places_.clear();
  placement_hash_ = 0;
  filling_.clear();
  departing_.clear();
  for (uint32_t value = shard_; value < partitions_; value += shards_) {
    PartitionId id{value};
    for (const auto& [node, known] : members_) told_ready(node, id, ready.contains({id, node}));
  }
}

const Member* Members::find(const NodeId& node) const {
  auto at = members_.find(node);
  if (at != members_.end()) return &at->second;
  at = removed_.find(node);
  return at == removed_.end() ? nullptr : &at->second;
}

uint64_t Members::placement_hash() const {
  if (placement_hash_ != 0) return placement_hash_;
  uint64_t sum = 0;
  for (const auto* members : {&members_, &removed_}) {
    for (const auto& [node, member] : *members) {
      uint64_t hash = hash_bytes(member.place, hash_bytes(member.zone, hash_bytes(node.name, 0x706c6163)));
      hash = hash_pair(hash, std::bit_cast<uint64_t>(member.weight));
      hash = hash_pair(hash, static_cast<uint64_t>(member.standing));
      sum += hash_pair(hash, member.decided.value);
    }
  }
  return placement_hash_ = sum == 0 ? 1 : sum;
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

void Members::set_verdict(const Verdict& verdict) {
  if (!removed_.contains(verdict.node)) verdicts_[verdict.node] = verdict;
}

Verdict Members::verdict(const NodeId& node) const {
  auto at = verdicts_.find(node);
  return at == verdicts_.end() ? Verdict{.node = node} : at->second;
}

Health Members::health(const NodeId& node) const {
  const auto at = verdicts_.find(node);
  return at == verdicts_.end() ? Health::alive : at->second.health;
}

MemberState Members::state(Now now, const NodeId& node) const {
  if (node == self_) return MemberState::self;
  const Health health = this->health(node);
  if (health == Health::dead) return MemberState::dead;
  if (!linked(node)) return MemberState::unreachable;
  const bool suspected = health == Health::suspected || !heard_lately(now, node);
  return suspected ? MemberState::suspected : MemberState::alive;
}

bool Members::alive(Now now, const NodeId& node) const {
  if (node == self_) return true;
  return linked(node) && heard_lately(now, node) && health(node) != Health::dead;
}

const Members::Place& Members::place(PartitionId id) const {
  auto [at, is_new] = places_.try_emplace(id.value);
  if (is_new) at->second = compute(id);
  return at->second;
}

Members::Place Members::compute(PartitionId id) const {
  Place out;
  std::vector<Member> staying, all;
  for (const auto& [node, member] : members_) {
    if (member.standing == Standing::member) staying.push_back(member);
    if (member.standing != Standing::removed) all.push_back(member);
  }
  out.preference = owners_of(id, staying, static_cast<uint32_t>(staying.size()));
  out.targets = out.preference;
  out.targets.resize(std::min<size_t>(out.targets.size(), replicas_));
  auto is_ready = [&](const NodeId& node) {
    return contains(out.targets, node) ? !filling_.contains({id, node}) : departing_.contains({id, node});
  };
  if (std::all_of(out.targets.begin(), out.targets.end(), is_ready)) {
    out.owners = out.keepers = out.targets;
    return out;
  }
  for (const NodeId& node : owners_of(id, all, static_cast<uint32_t>(all.size()))) {
    if (out.owners.size() < replicas_ && is_ready(node)) out.owners.push_back(node);
  }
  // Too few are ready: those that will be stand in the line as well.
  for (const NodeId& node : out.targets) {
    if (out.owners.size() < replicas_ && !is_ready(node)) out.owners.push_back(node);
  }
  out.keepers = out.owners;
  for (const NodeId& node : out.targets) {
    if (!contains(out.keepers, node)) out.keepers.push_back(node);
  }
  return out;
}

bool Members::owns(const NodeId& node, PartitionId id) const { return contains(place(id).owners, node); }
bool Members::keeps(const NodeId& node, PartitionId id) const { return contains(place(id).keepers, node); }

bool Members::is_target(const NodeId& node, PartitionId id) const {
  return contains(place(id).targets, node);
}

bool Members::ready(const NodeId& node, PartitionId id) const {
  return is_target(node, id) ? !filling_.contains({id, node}) : departing_.contains({id, node});
}

void Members::told_ready(const NodeId& node, PartitionId id, bool ready) {
  const bool target = is_target(node, id);
  auto& rule_breakers = target ? filling_ : departing_;
  const bool changed =
      ready == target ? rule_breakers.erase({id, node}) > 0 : rule_breakers.insert({id, node}).second;
  if (changed) places_.erase(id.value);
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
  for (const auto* members : {&members_, &removed_}) {
    for (const auto& [node, member] : *members) {
      if (node_tag(node.name) != actor.value >> 40) continue;
      if (found) return std::nullopt;  // two nodes share the tag: nobody can tell
      found = node;
    }
  }
  return found;
}

bool Members::life_is_over(Actor actor) const {
  auto node = node_of(actor);
  if (!node) return false;
  if (bug(Bug::void_running_life)) return true;
  if (*node == self_) return !own_actors_.contains(actor);
  if (removed_.contains(*node)) return true;
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
