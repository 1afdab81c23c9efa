// One node's share of an aggregate: a pass over the columns of partitions that it owns, for itself or for a
// coordinator on another node.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gpu/partials.h"
#include "server/aggregate_request.h"
#include "server/aggregator.h"
#include "server/shard_loop.h"

namespace covey::server {

struct PartitionsAsk {
  std::shared_ptr<const agg::Plan> plan;
  std::shared_ptr<const ColumnTable> table;
  std::vector<KeySet> key_sets;
  agg::DeviceChoice device = agg::DeviceChoice::kAuto;
  std::vector<uint32_t> partitions;
  std::optional<agg::Refinement> refinement;  // nullopt: the first round
  bool encoded = false;                       // the partials are to travel
  std::shared_ptr<const std::atomic<bool>> cancelled;
};

// Why a partition was not answered. A load ends by itself, soon.
inline constexpr const char* reason_loading = "its columns are being loaded";

struct PartitionsAnswer {
  std::optional<agg::Error> error;  // then nothing else counts
  bool busy = false;                // too much waits there; likewise
  agg::Partials partials;           // or, as the ask says
  agg::Refined refined;
  std::string bytes;                                         // of either
  std::vector<std::pair<uint32_t, std::string>> unanswered;  // partitions and why
  uint64_t conflicted_keys = 0;
  uint64_t lag_ms = 0;         // for how long an owner has been known to differ, at most
  uint64_t stand_in_rows = 0;  // keys that this node holds for owners that could not be reached
  double queue_us = 0, apply_us = 0;
  agg::EngineProfile profile;
};

// Calls `done` on the shard's thread, unless the node ends before.
void answer_partitions(ShardLoop& shard, PartitionsAsk ask, std::function<void(PartitionsAnswer&&)> done);

}  // namespace covey::server
