// What the parts of one core share.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "replication/core.h"
#include "replication/members.h"
#include "replication/outbox.h"
#include "replication/random.h"
#include "replication/refusal.h"
#include "replication/replica.h"
#include "replication/wall_clocks.h"

namespace covey {

struct Shard {
  Shard(CoreOptions given, Store& the_store)
      : options(std::move(given)),
        store(the_store),
        members(options),
        replica(options, store, stats),
        outbox(options.wait_for_durable, options.shard),
        random(options.seed) {}

  const CoreOptions options;
  Store& store;
  CoreStats stats;
  Members members;
  WallClocks clocks;
  Replica replica;
  Outbox outbox;
  Random random;
  Hlc last_time;  // given out or heard of
  bool writes_refused = false;
  uint64_t stand_in_bytes = 0;  // as of the last round of upkeep, with what was taken since

  // What an object may come to here: also what all nodes have written apart from each other has to find room
  // in a message.
  uint64_t object_bytes_max() const {
    return std::min(options.object_bytes_max, options.merged_bytes_max / members.all().size());
  }
  bool owns(PartitionId id) const { return members.owns(members.self(), id); }
  bool keeps(PartitionId id) const { return members.keeps(members.self(), id); }
  // Holds writes of others for its owners; one that was an owner itself and hands over is none.
  bool stands_in(const Partition& partition) const {
    return !keeps(partition.id) && !partition.ready && !partition.left && !partition.clock.empty();
  }
  // Whether this node may take a write for a partition that it does not keep.
  bool may_stand_in(PartitionId id, uint64_t bytes) {
    if (keeps(id)) return true;
    const Partition* partition = replica.find(id);
    if (partition != nullptr && (partition->ready || partition->left)) return true;
    if (stand_in_bytes + bytes > options.stand_in_bytes_max) {
      ++stats.stand_ins_refused;
      return false;
    }
    stand_in_bytes += bytes;
    return true;
  }
  bool mine(PartitionId id) const {
    return id.value < options.partitions && id.value % options.shards == options.shard;
  }
  // The classes of partitions (Members::lives_classes) that lie in this shard, ascending.
  std::vector<uint32_t> classes() const {
    std::vector<uint32_t> residues;
    const uint32_t all = members.lives_classes();
    for (uint32_t residue = options.shard; residue < all; residue += options.shards)
      residues.push_back(residue);
    return residues;
  }
  Placing placing(PartitionId id) const {
    return {.keeps_log = !keeps(id) || members.keepers(id).size() > 1};
  }

  // A time later than all that this shard knows. Remote times may lead the local clock by `lead_ms_max` at
  // most: one clock in the far future must not take all others along.
  Hlc next_time(Now now, Hlc at_least) {
    // This clock was ahead and has been set right: what it gave then does not go on for as long.
    if (last_time.ms() > now.wall_ms + lead_ms_max) last_time = Hlc{};
    Hlc time = std::max({Hlc::from_ms(now.wall_ms), Hlc{last_time.value + 1}, Hlc{at_least.value + 1}});
    if (time.ms() <= now.wall_ms + lead_ms_max) last_time = time;
    return time;
  }
  void heard_time(Now now, Hlc time) {
    if (time.ms() <= now.wall_ms + lead_ms_max) last_time = std::max(last_time, time);
  }

  // To be called whenever a copy of this node became ready, or is it no more.
  void told_ready(const Partition& partition) {
    members.told_ready(members.self(), partition.id, partition.ready);
  }

  void store_failed(const StoreError& error) { outbox.alarm("storage: " + error.message); }

  static constexpr uint64_t lead_ms_max = WallClocks::difference_ms_max;
};

}  // namespace covey
