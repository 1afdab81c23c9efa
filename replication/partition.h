// One replica's copy of one partition: what is kept in memory. Keys and objects are in the store.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "replication/dot_set.h"
#include "replication/store.h"
#include "replication/types.h"

namespace covey {

// What a peer told of its copy, last.
struct PeerCopy {
  Clock clock;                // as of its message: for finding what it lacks
  Clock durable_clock;        // what it can't forget: for collecting the log
  uint64_t members_hash = 0;  // of its view of lives when it told: see lives.h
  uint64_t told_us = 0;
};

// Sums over a partition's stored objects.
struct Counts {
  uint64_t state_hash = 0;
  uint64_t objects = 0;
  uint64_t bytes = 0;
  auto operator<=>(const Counts&) const = default;
};

// What is persisted, in the same batch as what it describes.
struct PartitionRecord {
  PartitionId id;
  Clock clock;
  DotSet voids;             // dots that no member has, closed here; some owner may not know
  Actor minted_actor;       // whose counter `minted` counts
  uint64_t minted = 0;      // the highest counter that this node gave out here; outlives a dropped clock
  uint64_t state_hash = 0;  // sum of object_hash over all objects
  uint64_t objects = 0;     // keys that hold a version
  uint64_t bytes = 0;       // sum of content_bytes over all objects
  uint64_t log = 0;         // entries in the dot log
  uint64_t residual = 0;    // objects stored with a context
  bool ready = false;       // has all that any owner had when this copy began: counts in strict reads
  bool left = false;        // was ready when this node ceased to keep it: it lacks what was written since
};

struct Partition : PartitionRecord {
  // In memory alone.
  bool bytes_known = true;  // false: written by a format that did not count them
  Lsn last_write;           // everything above is durable when the store has told this
  Clock durable_clock;      // the newest clock known to be durable
  std::optional<std::pair<Lsn, Clock>> becoming_durable;
  Clock settled;  // dots known here for at least one gossip interval: in nobody's send queue any more
  Clock settling;
  uint64_t settling_since_us = 0;
  DotSet logged;              // dots that the log has, of those that came since the start
  DotSet unsearched;          // those known at the start that the log may have
  uint64_t log_since_us = 0;  // tick since which the log has entries or was collected last; 0: it has none
  Clock stripped_at;          // bases when residual contexts were stripped last
  uint64_t stripped_us = 0;   // the tick of that
  std::string strip_from;     // where that goes on; empty: from the first
  std::map<NodeId, PeerCopy> copies;
  std::set<NodeId>
      synced_with;  // nodes whose copy this one has had all of, since they knew that it is filled
  // While it is not ready, of members that place alike: who has told of this partition, and whom those that
  // are ready take for its owners.
  std::set<NodeId> told;
  std::map<NodeId, std::vector<NodeId>> vouched;
  std::set<NodeId> heard;  // while it is ready and this node is no target: who has told of it since the start
  void forget_told() {
    synced_with.clear();
    told.clear();
    vouched.clear();
  }
  // While a repair that takes over a clock is under way, or interrupted: keys written beside it, up to one
  // more than may be.
  std::optional<std::set<TableKey>> written;
  std::set<NodeId> stand_ins;  // nodes that told of holding this partition without owning it
  std::map<NodeId, std::pair<DotSet, uint64_t>>
      unlogged;       // peer -> dots it can't tell from its log, since (tick us)
  NodeId asked_last;  // of those
  uint64_t diverged_since_us = 0;
  uint64_t clock_told_until_us = 0;  // one exchange at a time: until then its clock is told to no other owner
  uint64_t alarmed_us = 0;
};

std::string encode_partition(const PartitionRecord& partition);
// nullopt: not written by this format.
std::optional<Partition> decode_partition(PartitionId id, std::string_view bytes);

}  // namespace covey
