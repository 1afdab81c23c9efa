// What a query answers: each number is exact, or exact and rounded once to nearest even.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "gpu/value.h"

namespace covey::agg {

// Sums of integers beyond 64 bits.
struct Decimal {
  std::string digits;  // with a leading '-' if negative
  bool operator==(const Decimal&) const = default;
};

// Null: nothing to tell (no value, or n - ddof not positive). int64 columns answer sum, min, max, first, last
// and quantiles as int64_t (sum: Decimal where that does not suffice), counts are int64_t; everything else is
// double.
using Number = std::variant<std::monostate, int64_t, double, Decimal>;

struct AggregateAnswer {
  std::vector<Number> values;    // one; kQuantile: one for each q; kHistogram: none
  std::vector<uint64_t> counts;  // kHistogram: one for each bin
  uint64_t below = 0;            // kHistogram: under the first edge
  uint64_t above = 0;            // and over the last
  bool approximate = false;      // a sketch's answer, or distinct beyond its exact bound
};

struct ColumnNote {
  uint32_t column = 0;  // of the schema
  uint64_t nulls = 0;
  uint64_t nan = 0;
  uint64_t positive_infinities = 0;
  uint64_t negative_infinities = 0;
};

struct GroupAnswer {
  std::vector<Value> key;                   // one for each group_by column
  uint64_t rows = 0;                        // that fulfil the where
  std::vector<AggregateAnswer> aggregates;  // in the query's order
  std::vector<ColumnNote> notes;            // for each column that an aggregate names, in the schema's order
};

}  // namespace covey::agg
