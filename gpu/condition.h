// From comparisons to conditions: what a constant means for a column's order-mapped bits.
#pragma once

#include <optional>
#include <vector>

#include "gpu/plan.h"
#include "gpu/query.h"
#include "gpu/result.h"
#include "gpu/sketch.h"

namespace covey::agg {

// The values of a numeric column that are < <= > >= or = a constant (int64_t or double); none: no value is.
// NaN is in none of them. Exact for any two types: no constant is rounded.
std::optional<KeyRange> range_of(ColumnType type, Compare op, const Value& constant);

// The order of two numbers by their mathematical value. REQUIRES neither is NaN
bool less_number(const Value& a, const Value& b);

// A predicate's conditions; errors are kBadQuery.
Result<Condition> compile(const Predicate& predicate, uint32_t column, ColumnType type);

// Sorted, without repetition, ranges of one column made one.
void normalize(std::vector<Condition>& conditions);

}  // namespace covey::agg
