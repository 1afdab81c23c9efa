// The body of POST /v1/aggregate as the aggregation library takes it. Every member is checked; an error names
// the place within the body, what is wrong and what is allowed.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/cost_model.h"
#include "gpu/query.h"
#include "replication/result.h"
#include "server/errors.h"

namespace covey::server {

inline constexpr size_t aggregate_body_bytes_max = 4 * 1024 * 1024;

// Rows by their keys: both must hold where both are given.
struct KeySet {
  std::optional<std::string> prefix;
  std::optional<std::vector<std::string>> keys;
  bool operator==(const KeySet&) const = default;
};

// What a request asks of one table: one pass.
struct TableQueries {
  std::string table;
  std::vector<agg::Query> queries;
  std::vector<KeySet> key_sets;  // by agg::Query::row_set
  std::vector<size_t> places;    // of each query in the request
  // By query and aggregate: q was a number, not a list.
  std::vector<std::vector<bool>> one_quantile;
  std::string text;  // the queries as JSON: read_queries makes the same of it on every node
};

struct AggregateRequest {
  std::vector<TableQueries> tables;
  size_t queries = 0;
  agg::DeviceChoice device = agg::DeviceChoice::kAuto;
  agg::Siblings siblings = agg::Siblings::kLatest;
  bool all_partitions = true;
  bool verify = false;  // by a majority of each partition's owners
  bool profile = false;
  uint32_t timeout_ms = 2000;
};

[[nodiscard]] Result<AggregateRequest, ErrorAnswer> parse_aggregate(std::string_view body);

// A peer's queries of one table, as TableQueries::text has them.
[[nodiscard]] Result<TableQueries, ErrorAnswer> read_queries(const std::string& table, std::string_view text);

}  // namespace covey::server
