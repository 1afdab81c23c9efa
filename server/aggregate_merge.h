// What the nodes' shares of one table add up to, and its JSON. On the aggregator's thread: many groups take a
// while.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/aggregate_scan.h"

namespace covey::server {

// One table's part of a request.
struct AggregatePart {
  const TableQueries* queries = nullptr;
  std::shared_ptr<const ColumnTable> table;
  std::shared_ptr<const agg::Plan> plan;
  std::shared_ptr<agg::Partials> merged;  // of the shares so far
};

struct GatheredShare {
  bool here = false;  // not encoded
  PartitionsAnswer answer;
};

struct MergedShares {
  std::optional<ErrorAnswer> error;
  std::optional<agg::Refinement> refinement;  // another pass is needed; else there are
  std::vector<std::string> answers;           // of the part's queries
  double queue_us = 0, merge_us = 0, encode_us = 0;
};

// refinement: of the round that the shares are of; nullopt: the first.
MergedShares merge_shares(const AggregatePart& part, const std::optional<agg::Refinement>& refinement,
                          std::vector<GatheredShare>& shares);

}  // namespace covey::server
