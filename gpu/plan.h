// The compiled form of a batch of queries on one table: what all of them need of each row, once.
//
// A plan depends on the schema, the queries and the siblings policy alone, not on data: nodes that are given
// the same three make the same plan, with the same fingerprint, and their partials merge. Immutable once
// made: any thread may read it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gpu/needs.h"
#include "gpu/query.h"
#include "gpu/result.h"
#include "gpu/value.h"

namespace covey::agg {

// ---- What back ends execute
// --------------------------------------------------------------------------------------

// One condition on one column, normalized: every comparison of numbers is membership in one range of
// order-mapped bits.
struct Condition {
  enum class Kind : uint8_t {
    kNone = 0,
    kRange = 1,
    kNotRange,
    kKeys,
    kStrings,
    kNotStrings,
    kStringRange,
    kNull,
    kNotNull
  };
  uint32_t column = 0;
  Kind kind = Kind::kRange;
  uint64_t lo = 0;  // kRange, kNotRange: both included; lo > hi: nothing
  uint64_t hi = 0;
  std::vector<uint64_t> keys;           // kKeys: sorted
  std::vector<std::string> strings;     // kStrings, kNotStrings: sorted
  std::optional<std::string> from, to;  // kStringRange
  bool from_included = false, to_included = false;
  auto operator<=>(const Condition&) const = default;
};

// A set of rows and how it falls into groups; shared by all queries that have the same.
struct Selection {
  std::vector<Condition> conditions;  // sorted, no two equal
  std::optional<uint32_t> row_set;
  std::vector<uint32_t> group_by;
  uint64_t limit_groups = 0;       // the highest of its queries
  std::vector<uint32_t> measures;  // into Plan::measures()
};

// What is kept of one column for each group of one selection. Counts of valid and special values always are.
struct Measure {
  uint32_t selection = 0;
  uint32_t column = 0;
  ColumnType type = ColumnType::kFloat64;
  uint32_t needs = 0;  // of Need
  std::vector<std::vector<uint64_t>>
      edges;  // each histogram's: bin i is [edges[i], edges[i+1]) of order-mapped bits
};

// Where a query's aggregate finds its states.
struct Output {
  uint32_t measure = UINT32_MAX;  // UINT32_MAX: the rows themselves
  uint32_t histogram = 0;         // into Measure::edges
};

struct CompiledQuery {
  Query query;
  uint32_t selection = 0;
  std::vector<Output> outputs;          // one for each aggregate
  std::vector<uint32_t> note_measures;  // one for each column named, in the schema's order
};

// ---- Making it
// ----------------------------------------------------------------------------------------------------

struct PlanOptions {
  Siblings siblings = Siblings::kLatest;
  // Limit of the states of groups of the whole batch, over all threads; beyond it the selection answers
  // kTooLarge.
  uint64_t state_bytes_max = uint64_t{4} << 30;
};

class Plan {
 public:
  // The first error of any query: make a plan of one query to find out whose. The queries are kept.
  static Result<Plan> make(const Schema& schema, std::vector<Query> queries, PlanOptions options = {});

  std::span<const CompiledQuery> queries() const { return queries_; }
  std::span<const Selection> selections() const { return selections_; }
  std::span<const Measure> measures() const { return measures_; }
  // Columns that a scan reads, sorted; the hidden time column has the index schema().columns.size().
  std::span<const uint32_t> columns() const { return columns_; }
  const Schema& schema() const { return schema_; }
  const PlanOptions& options() const { return options_; }
  uint32_t row_sets() const { return row_sets_; }  // one past the highest row_set that a query names
  // Equal for equal schema, queries (but ids and names) and siblings policy, on every node of one version.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  friend class Planner;
  Schema schema_;
  PlanOptions options_;
  std::vector<CompiledQuery> queries_;
  std::vector<Selection> selections_;
  std::vector<Measure> measures_;
  std::vector<uint32_t> columns_;
  uint32_t row_sets_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace covey::agg
