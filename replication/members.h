// Who belongs to the cluster, who answers, and which life each node is in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "replication/core.h"

namespace covey {

// A peer's present life as one of its shards told it.
struct PeerLife {
  uint64_t incarnation = 0;
  std::set<Actor> actors;  // that it may write with
};

inline bool contains(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

class Members {
 public:
  explicit Members(const CoreOptions& options);

  // What holds of a member once this was told: of itself a node tells everything, of others what is new and
  // what was decided later. nullopt: nothing is new.
  std::optional<Member> merged(const Member& told, bool of_itself) const;
  void set(const Member& member);
  void add(const Member& told, bool of_itself) {
    if (auto news = merged(told, of_itself)) set(*news);
  }
  const std::map<NodeId, Member>& all() const { return members_; }  // not removed; self among them always
  const std::map<NodeId, Member>& removed() const { return removed_; }
  const Member* find(const NodeId& node) const;  // also one that was removed
  const Member& own() const { return members_.at(self_); }
  // Equal at nodes that place alike.
  uint64_t placement_hash() const;
  bool is_self(const NodeId& node) const { return node == self_; }
  const NodeId& self() const { return self_; }

  void heard(Now now, const NodeId& node);
  void link(Now now, const NodeId& node, bool up);
  MemberState state(Now now, const NodeId& node) const;
  // Connected, heard of late and not dead: worth asking. Suspicion alone is no reason not to: most are
  // refuted.
  bool alive(Now now, const NodeId& node) const;
  bool linked(const NodeId& node) const;
  // The cluster's word on it, from the failure detector, which speaks of members alone; this shard may not
  // have met one yet. Whoever is removed is forgotten and what is still said of it ignored: should it come
  // back, it is judged anew.
  void set_verdict(const Verdict& verdict);
  Verdict verdict(const NodeId& node) const;

  // Placement. A partition's *targets* are the first `replicas` members in its order of preference. Its
  // owners are the first that are ready, and are counted in R and W: the targets, once they are ready, and
  // until then also those that owned it before. Owners and targets together are its keepers: they take all
  // writes.
  const std::vector<NodeId>& preference(PartitionId id) const { return place(id).preference; }
  const std::vector<NodeId>& targets(PartitionId id) const { return place(id).targets; }
  const std::vector<NodeId>& owners(PartitionId id) const { return place(id).owners; }
  const std::vector<NodeId>& keepers(PartitionId id) const { return place(id).keepers; }
  bool owns(const NodeId& node, PartitionId id) const;
  bool keeps(const NodeId& node, PartitionId id) const;
  bool is_target(const NodeId& node, PartitionId id) const;
  // The owners are not the targets: the partition moves.
  bool moves(PartitionId id) const {
    const Place& of = place(id);
    return of.keepers.size() != of.targets.size();  // which has all targets
  }
  // Whether a copy has all that was acknowledged before it began. Targets of whom nothing else was told are
  // ready, other nodes are not; who becomes a target anew is not.
  bool ready(const NodeId& node, PartitionId id) const;
  void told_ready(const NodeId& node, PartitionId id, bool ready);

  // Lives. False: the message is of an earlier life of that shard.
  bool accept_incarnation(const NodeId& node, uint32_t shard, uint64_t incarnation) const;
  // A hello. nullopt: accepted; else the incarnation known already, which the sender has to exceed.
  std::optional<uint64_t> begin_life(const NodeId& node, uint32_t shard, uint32_t shards, PeerLife life);
  void set_own_life(std::set<Actor> actors) {
    own_actors_ = std::move(actors);
    lives_hashes_.clear();
  }
  // A life that will never write again: its node is known and lives another, and no other node could have it.
  bool life_is_over(Actor actor) const;
  // Equal at two nodes that know the same lives of all members, of the shards that hold the partitions p with
  // p % lives_classes() == residue; 0 while some member has not told its own.
  uint64_t lives_hash(uint32_t residue) const;
  // Nodes may have different numbers of shards: the least number that all of them divide.
  uint32_t lives_classes() const;
  // "n1" for an actor of a known node.
  std::optional<NodeId> node_of(Actor actor) const;

 private:
  struct Reach {
    bool linked = false;
    bool ever_heard = false;
    uint64_t heard_us = 0;
  };
  struct Lives {
    uint32_t shards = 0;
    std::map<uint32_t, PeerLife> by_shard;
  };
  struct Place {
    std::vector<NodeId> preference;  // all members that neither leave nor are removed
    std::vector<NodeId> targets;     // the first of them
    std::vector<NodeId> owners;
    std::vector<NodeId> keepers;
  };
  const Place& place(PartitionId id) const;
  Place compute(PartitionId id) const;
  bool heard_lately(Now now, const NodeId& node) const;
  Health health(const NodeId& node) const;  // of its verdict

  NodeId self_;
  uint32_t partitions_;
  uint32_t replicas_;
  uint32_t shard_;
  uint32_t shards_;
  uint64_t suspect_after_us_;
  std::map<NodeId, Member> members_;
  std::map<NodeId, Member> removed_;  // so that old news does not bring them back
  std::map<NodeId, Reach> reach_;
  std::map<NodeId, Verdict> verdicts_;  // at most FailureDetector::members_max
  std::map<NodeId, Lives> lives_;
  std::set<Actor> own_actors_;
  mutable std::map<uint32_t, uint64_t> lives_hashes_;   // by residue; forgotten when a life changes
  mutable std::unordered_map<uint32_t, Place> places_;  // by partition
  // Where readiness is not as a rule: targets that are not ready, and other nodes that are.
  std::set<std::pair<PartitionId, NodeId>> filling_;
  std::set<std::pair<PartitionId, NodeId>> departing_;
  mutable uint64_t placement_hash_ = 0;  // 0: to be computed
};

}  // namespace covey
