// What is asked of a table, in the form that the planner takes. The server makes it from JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpu/value.h"

namespace covey::agg {

enum class Compare : uint8_t {
  kEqual = 1,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,       // values: 1 to kInListMax
  kBetween,  // values: lower, upper, both included
  kIsNull,   // no values
  kNotNull,
};

// A row that is null there fulfils only kIsNull. Numbers compare by their mathematical value, whatever the
// types of column and constant; NaN is unequal to everything; strings compare bytewise. A constant of the
// other kind (a string for a number) is kBadQuery.
struct Predicate {
  std::string column;
  Compare op = Compare::kEqual;
  std::vector<Value> values;
};

enum class AggregateKind : uint8_t {
  kCount = 1,  // column empty: rows; else rows that are not null there, specials included
  kSum,
  kAvg,
  kMin,
  kMax,
  kVar,     // ddof
  kStddev,  // ddof
  kQuantile,
  kDistinct,   // strings too; float -0 counts as 0
  kHistogram,  // bins [e0, e1) ... [en-1, en]
  kFirst,      // the value of the earliest row by its version's time; among equal times the least value
  kLast,       // of the latest; among equal times the greatest value
};

// Both by nearest rank: the least value with at least ceil(q * n) values at or below it (numpy's
// inverted_cdf).
enum class QuantileMode : uint8_t {
  kSketch = 1,  // within 0.4 % of that value, one pass
  kExact = 2,   // that value, two or more passes: see Plan::refine
};

struct Aggregate {
  std::string name;  // the caller's; not looked at
  AggregateKind kind = AggregateKind::kCount;
  std::string column;
  uint32_t ddof = 0;      // at most 1,000,000: the divisor is n - ddof; null where that is not positive
  std::vector<double> q;  // kQuantile: 0 to 1, 1 to kQuantilesMax of them
  QuantileMode mode = QuantileMode::kSketch;
  std::vector<Value> edges;  // kHistogram: finite numbers, rising, 2 to kEdgesMax of them
};

enum class Special : uint8_t {
  kExclude = 1,  // NaN and infinities are left out of everything but kCount, and counted
  kPropagate =
      2,  // sum, avg, min, max, var, stddev, quantile, distinct and histogram answer as IEEE 754 would
};

struct Query {
  std::string id;                // the caller's; not looked at
  std::vector<Predicate> where;  // all must hold
  std::optional<uint32_t>
      row_set;  // only rows in PartitionInput::row_sets[*row_set]: key prefixes, key lists
  std::vector<std::string> group_by;  // columns; null is a group of its own, so is NaN; -0 is 0
  uint64_t limit_groups = 10000;      // beyond it the batch answers kTooManyGroups
  std::vector<Aggregate> aggregates;
  Special special = Special::kExclude;
};

// Which version of a row with siblings counts. kMin, kMax: each column takes its least or greatest value
// among the siblings (nulls only if all are null; specials only if nothing finite is there), then the row is
// filtered.
enum class Siblings : uint8_t { kLatest = 1, kMin, kMax, kSkip };

inline constexpr size_t kQueriesMax = 1024;  // of one batch
inline constexpr size_t kPredicatesMax = 64;
inline constexpr size_t kInListMax = 65536;
inline constexpr size_t kGroupColumnsMax = 8;
inline constexpr size_t kAggregatesMax = 256;
inline constexpr size_t kQuantilesMax = 256;
inline constexpr size_t kEdgesMax = 4096;
inline constexpr uint32_t kRowSetsMax = 1024;
inline constexpr uint64_t kGroupsMax = uint64_t{1} << 26;

}  // namespace covey::agg
