// The lives of nodes: hello and welcome, which actor the next write is minted with, and the closing of holes
// that lost disks and ended lives left behind.
//
// A life may be gone on with only if every other member has confirmed that it knows no dot of it that this
// node has forgotten; else the fallback actor is taken. So a dot is never given twice, whatever was restored
// or copied.
#pragma once

#include <map>
#include <set>

#include "replication/member_set.h"
#include "replication/shard.h"

namespace covey {

class Lives {
 public:
  Lives(Shard& shard, MemberSet& members) : shard_(shard), members_(members) {}

  void start(const Identity& identity);
  void link_up(const NodeId& peer);
  // All members that this node knows, to a peer that knows others; not more often than it can answer.
  void tell_members(Now now, const NodeId& peer);
  // The same to all peers, at once.
  void say_hello_to_all();
  void tick(Now now);
  void receive(Now now, const NodeId& from, uint64_t incarnation, const peer::Hello& hello);
  void receive(const NodeId& from, const peer::Welcome& welcome);

  // The actor for a write that is to be accepted now: from then on this life's one.
  Actor mint_actor();
  Actor actor() const { return settled_ || confirmed_or_new() ? main_ : fallback_; }
  // Whether its life may go on is not decided: some member has not said what it knows of it.
  bool unconfirmed() const { return !settled_ && !confirmed_or_new(); }
  uint64_t life() const { return actor().value & ((uint64_t{1} << 40) - 1); }
  uint64_t incarnation() const { return incarnation_; }
  // Of what this node knows of the lives that write to the partition; 0: not of all.
  uint64_t hash(PartitionId id) const {
    return shard_.members.lives_hash(id.value % shard_.members.lives_classes());
  }

  // Another member has told since this start that it knows, and has stored, that this node was removed.
  bool removal_known() const {
    const Member& own = shard_.members.own();
    return own.standing == Standing::removed && own.decided == known_removed_at_;
  }

  // None of this node's copies counts in strict reads any more until the other owners have filled it.
  [[nodiscard]] Result<Done, StoreError> refill_all();

  // Closes the holes in one partition's clock when all members agree that nobody has them.
  void close_holes(Now now, Partition& partition);
  // Adds closed dots to an edit. Objects here whose contexts name them are written once more under a new dot:
  // what such a context has overwritten may still stand at replicas that only ever learn the dot as closed.
  [[nodiscard]] Result<Done, StoreError> add_voids(Replica::Edit& edit, Partition& partition,
                                                   const DotSet& voids);

 private:
  bool confirmed_or_new() const;
  void fall_back();
  void exceed(uint64_t incarnation);
  void say_hello(const NodeId& peer);
  uint64_t same_since(Now now, const Partition& partition, Actor actor, uint64_t highest);
  bool all_tell_the_same(const Partition& partition, Actor actor, uint64_t since_us) const;
  std::map<Actor, uint64_t> highest_named(const Partition& partition) const;

  Shard& shard_;
  MemberSet& members_;
  Actor main_;
  Actor fallback_;
  bool needs_confirmation_ = false;
  bool settled_ = false;  // a write was minted with main_
  Hlc known_removed_at_;  // the last decision of which another member told that it knows it
  bool forgot_ = false;   // a peer knows dots of main_ that this node does not: told to the operator once
  uint64_t incarnation_ = 0;
  std::map<std::pair<PartitionId, Actor>, std::pair<uint64_t, uint64_t>>
      still_;                                      // the dots that the clock has, since (tick us)
  std::map<NodeId, std::set<uint32_t>> welcomed_;  // which of the peer's shards
  std::map<NodeId, uint32_t> shards_of_;
  std::map<NodeId, uint64_t> hello_at_us_;
  uint64_t lives_hash_seen_ = 0;
  uint64_t lives_hash_since_us_ = 0;
};

}  // namespace covey
