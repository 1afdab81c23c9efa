// Answers of the aggregation library as JSON, in the form that docs/aggregation.md gives.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "gpu/answer.h"
#include "gpu/partials.h"
#include "gpu/result.h"
#include "gpu/value.h"
#include "server/aggregate_request.h"
#include "server/aggregate_verify.h"
#include "server/errors.h"

namespace covey::server {

// {"id": ..., "groups": [...]}. one_quantile: by aggregate, whether q was a number and not a list.
void append_answer(std::string& out, const agg::Schema& schema, const agg::Query& query,
                   const std::vector<bool>& one_quantile, const agg::QueryAnswer& answer);

// query: its id; empty: none in particular.
ErrorAnswer error_of(const agg::Error& error, const std::string& query);

// Where the time of an aggregate went, in microseconds; the phases add up to the total.
struct AggregatePhases {
  double parse = 0, plan = 0, queue = 0, apply = 0, upload = 0, scan = 0, download = 0, merge = 0, encode = 0;
  double sum() const { return parse + plan + queue + apply + upload + scan + download + merge + encode; }
};

// What stands beside the results.
struct AggregateNotes {
  uint32_t partitions = 0;
  std::vector<std::pair<uint32_t, std::string>> missing;     // ascending, and why
  std::vector<std::pair<uint32_t, std::string>> unverified;  // likewise: not compared between enough owners
  uint64_t lag_ms = 0, stand_in_rows = 0, conflicted_keys = 0;
  AggregatePhases phases;
  std::string device, reason;
  uint64_t bytes_scanned = 0;
  uint64_t shared_with = 0;
  size_t nodes = 0;
  std::set<uint32_t> loading;  // partitions whose columns were being loaded when they were asked
};
// ,"coverage":{...},"as_of":{...}
void append_notes(std::string& out, const AggregateNotes& notes);
// ,"verified":{...}; `owners`: so many of each partition were to be compared.
void append_verified(std::string& out, const AggregateVerdict& verdict, const AggregateNotes& notes,
                     size_t owners);
// REQUIRES !verdict.broken().empty()
ErrorAnswer replicas_differ(const AggregateVerdict& verdict);
// ,"profile":{...}; all that the phases do not have of the total is the network's.
void append_profile(std::string& out, const AggregateNotes& notes, double total_us);
// ,"missing":[...],"reasons":{...}
void append_missing(std::string& out, const AggregateNotes& notes);

}  // namespace covey::server
