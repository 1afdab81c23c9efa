// Passes over the columns, on the aggregator's thread: those that wait at the same time are made as one.
//
// Passes join if they are of one table, siblings policy and device, and are no later round of an exact
// quantile (those look at ranges of their own). Each partition is scanned once for all who want it, and each
// gets what a pass of its own would have left. What fails for one only is that one's error.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gpu/partials.h"
#include "server/aggregate_request.h"
#include "server/aggregate_verify.h"
#include "server/aggregator.h"

namespace covey::server {

// Whether somebody still wants an answer. Any thread.
class Cancellation {
 public:
  // A scan that several want: it stops when none of them does any more.
  struct Scan {
    std::atomic<size_t> wanted{0};
    std::atomic<bool> stopped{false};
    void leave() {
      if (--wanted == 0) stopped = true;
    }
  };
  void cancel();
  bool cancelled() const;
  // The scan under way; at most one at a time.
  void join(std::shared_ptr<Scan> scan);

 private:
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  std::shared_ptr<Scan> scan_;
};

struct PartitionsAsk {
  std::shared_ptr<const agg::Plan> plan;
  std::shared_ptr<const ColumnTable> table;
  std::vector<KeySet> key_sets;
  agg::DeviceChoice device = agg::DeviceChoice::kAuto;
  std::vector<uint32_t> partitions;
  std::optional<agg::Refinement> refinement;  // nullopt: the first round
  bool encoded = false;                       // the partials are to travel
  bool witnessed = false;                     // witnesses are wanted, too
  bool witness_only = false;                  // and nothing else
  double until_us = 0;                        // of steady_us(): not begun any more then; 0: no end
  std::shared_ptr<Cancellation> cancellation;
};

// Why a partition was not answered. A load ends by itself, soon.
inline constexpr const char* reason_loading = "its columns are being loaded";

struct PartitionsAnswer {
  std::optional<agg::Error> error;  // then nothing else counts
  bool busy = false;                // too much waits there; likewise
  bool lost = false;                // the answer can't be had from there; likewise
  agg::Partials partials;           // or, as the ask says
  agg::Refined refined;
  std::string bytes;                                         // of either
  std::vector<std::pair<uint32_t, std::string>> unanswered;  // partitions and why
  uint64_t conflicted_keys = 0;
  uint64_t lag_ms = 0;             // for how long an owner has been known to differ, at most
  std::vector<uint32_t> stood_in;  // partitions that this node holds for owners that could not be reached
  uint64_t stand_in_rows = 0;      // rows of the table in them
  double queue_us = 0, apply_us = 0;
  agg::EngineProfile profile;
  uint64_t shared_with = 0;  // other queries that its pass answered
  std::vector<PartitionWitness> witnesses;
};

struct Pass {
  std::shared_ptr<const PartitionsAsk> ask;
  uint32_t partitions = 0;  // of the cluster
  std::shared_ptr<PartitionsAnswer> answer;
  std::function<void()> done;  // on the aggregator's thread, once
  double since_us = 0;         // when it began to wait
};

// Answers all of them. `turn` is the one that they were waiting for: its queue_us is not looked at.
void run_passes(std::vector<Pass>&& passes, Aggregator::Turn& turn);

}  // namespace covey::server
