// The parts of a core, for its own sources alone.
#pragma once

#include "replication/coordinator.h"
#include "replication/core.h"
#include "replication/detection.h"
#include "replication/gossip.h"
#include "replication/lives.h"
#include "replication/member_set.h"
#include "replication/repair.h"
#include "replication/scrub.h"
#include "replication/shard.h"
#include "replication/table_set.h"
#include "replication/upkeep.h"

namespace covey {

struct Core::Parts {
  Parts(CoreOptions options, Store& store)
      : shard(std::move(options), store),
        members(shard),
        lives(shard, members),
        coordinator(shard, lives),
        repair(shard, lives),
        tables(shard, coordinator),
        gossip(shard, lives, repair, tables),
        upkeep(shard, lives, coordinator, repair),
        scrub(shard, repair),
        detection(shard, coordinator) {}
  Shard shard;
  MemberSet members;
  Lives lives;
  Coordinator coordinator;
  Repair repair;
  TableSet tables;
  Gossip gossip;
  Upkeep upkeep;
  Scrub scrub;
  Detection detection;
};

}  // namespace covey
