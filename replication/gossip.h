// Anti-entropy: replicas compare clocks, a few bytes a partition, and send exactly the updates that the other
// lacks.
//
//   digest (one hash over all shared partitions) -> equal: done
//     -> unequal: digest with an entry a partition -> clocks of those that differ -> pushes, both ways
//
// Each message keeps the invariants by itself, so loss, repetition and reordering only cost time.
#pragma once

#include <map>

#include "replication/lives.h"
#include "replication/repair.h"
#include "replication/shard.h"
#include "replication/table_set.h"

namespace covey {

class Gossip {
 public:
  Gossip(Shard& shard, Lives& lives, Repair& repair, TableSet& tables)
      : shard_(shard), lives_(lives), repair_(repair), tables_(tables) {}

  void tick(Now now);
  void link_up(Now now, const NodeId& peer) {
    send_digest(now, peer, {.summary_only = true, .answer = false});
  }
  void receive(Now now, const NodeId& from, const peer::Digest& message);
  void receive(Now now, const NodeId& from, const peer::ClockTell& message);
  void receive(Now now, const NodeId& from, const peer::Push& message);

  // To those of whom a copy has just taken everything, so that they tell what they have meanwhile.
  void tell_filled();

  bool quiet() const { return pushes_.empty(); }

 private:
  struct DigestKind {
    bool summary_only;
    bool answer;
  };
  struct Pushing {
    uint64_t number = 0;
    uint64_t until_us = 0;  // then it counts as lost
    bool more = false;
  };
  using Target = std::pair<NodeId, PartitionId>;

  void send_digest(Now now, const NodeId& peer, DigestKind kind);
  bool may_tell(Now now, const NodeId& peer, Partition& partition);
  void tell_clock(const NodeId& peer, const Partition& partition, bool answer_wanted, uint64_t push_received);
  struct Summary {
    uint64_t hash = 0x73756d;
    bool durable = true;
  };
  std::map<uint32_t, Summary> summaries_with(const NodeId& peer) const;
  bool differs_from(Now now, const NodeId& from, const peer::Digest& message);
  uint32_t flags_of(const Partition& partition) const;
  bool both_keep(const NodeId& peer, PartitionId id) const;
  void note_equal(Now now, const NodeId& peer, Partition& partition, bool durable,
                  const peer::Digest& message);
  void note_heard(const NodeId& from, Partition& partition);
  std::vector<NodeId> owners_in(const peer::Digest& message, PartitionId id) const;
  uint64_t lives_hash_in(const peer::Digest& message, PartitionId id) const;
  void note_holdings(Now now, const NodeId& from, const peer::Digest& message);
  void compare(Now now, const NodeId& from, const peer::Digest& message, int index);
  void alarm(Now now, const NodeId& peer, Partition& partition);
  void push(Now now, const NodeId& peer, Partition& partition);
  bool fill_push(Partition& partition, const DotSet& lacking, peer::Push& message, bool& more);

  Shard& shard_;
  Lives& lives_;
  Repair& repair_;
  TableSet& tables_;
  uint64_t next_round_us_ = 0;
  NodeId last_peer_;
  uint64_t next_push_ = 1;
  std::map<NodeId, uint64_t>
      answered_us_;  // when a digest of the peer was answered with an entry a partition
  std::map<Target, Pushing> pushes_;
};

}  // namespace covey
