// One node's share of an aggregate: a pass over the columns of partitions that it owns, for itself or for a
// coordinator on another node.
#pragma once

#include <functional>

#include "server/aggregate_pass.h"
#include "server/shard_loop.h"

namespace covey::server {

// Calls `done` on the shard's thread, unless the node ends before.
void answer_partitions(ShardLoop& shard, PartitionsAsk ask, std::function<void(PartitionsAnswer&&)> done);

}  // namespace covey::server
