#include "gpu/tests/random_rows.h"

#include <cmath>
#include <limits>

namespace covey::agg::test {

Schema random_schema() {
  return {{{"x", ColumnType::kFloat64},
           {"n", ColumnType::kInt64},
           {"site", ColumnType::kString},
           {"kind", ColumnType::kString},
           {"k", ColumnType::kInt64}}};
}

namespace {

std::vector<Value> random_values(RowsOptions options, Random& random) {
  const auto integer = [&](int64_t limit) {
    return static_cast<int64_t>(random.below(2 * static_cast<uint64_t>(limit) + 1)) - limit;
  };
  std::vector<Value> values = {static_cast<double>(integer(200000)) / 1024, integer(5000),
                               "site" + std::to_string(random.below(7)), std::string(random.below(3), 'b'),
                               integer(3)};
  if (options.special && random.chance(0.05)) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const double specials[] = {kInfinity, -kInfinity, std::nan("")};
    values[0] = specials[random.below(3)];
  }
  for (Value& value : values) {
    if (random.chance(0.07)) value = Value();
  }
  return values;
}

}  // namespace

std::vector<Row> random_rows(size_t count, RowsOptions options, Random& random) {
  std::vector<Row> rows(count);
  for (Row& row : rows) {
    row.time = static_cast<int64_t>(random.below(50));
    row.values = random_values(options, random);
    if (!options.siblings || !random.chance(0.05)) continue;
    for (uint64_t i = 2 + random.below(2); i > 0; --i) {
      row.siblings.push_back({static_cast<int64_t>(random.below(50)), random_values(options, random)});
    }
    row.time = row.siblings.back().time;
    row.values = row.siblings.back().values;
  }
  return rows;
}

namespace {

Predicate random_predicate(Random& random) {
  const Compare comparisons[] = {
      Compare::kEqual,        Compare::kNotEqual, Compare::kLess,    Compare::kLessEqual, Compare::kGreater,
      Compare::kGreaterEqual, Compare::kIn,       Compare::kBetween, Compare::kIsNull,    Compare::kNotNull};
  Predicate predicate;
  predicate.op = comparisons[random.below(10)];
  predicate.column = random_schema().columns[random.below(5)].name;
  const auto constant = [&]() -> Value {
    if (predicate.column == "site") return "site" + std::to_string(random.below(8));
    if (predicate.column == "kind") return std::string(random.below(3), 'b');
    const int64_t range = predicate.column == "k" ? 4 : predicate.column == "n" ? 6000 : 200;
    const auto whole = static_cast<int64_t>(random.below(static_cast<uint64_t>(2 * range))) - range;
    if (random.chance(0.5)) return whole;
    return static_cast<double>(whole) + 0.5;
  };
  size_t constants = 1;
  if (predicate.op == Compare::kIsNull || predicate.op == Compare::kNotNull) constants = 0;
  if (predicate.op == Compare::kBetween) constants = 2;
  if (predicate.op == Compare::kIn) constants = 1 + random.below(5);
  for (size_t i = 0; i < constants; ++i) predicate.values.push_back(constant());
  return predicate;
}

}  // namespace

Query random_query(Random& random) {
  Query query;
  for (uint64_t i = random.below(3); i > 0; --i) query.where.push_back(random_predicate(random));
  const char* group_columns[] = {"site", "kind", "k", "x", "n"};
  for (uint64_t i = random.below(4); i > 1; --i) query.group_by.push_back(group_columns[random.below(5)]);
  const AggregateKind kinds[] = {AggregateKind::kCount,  AggregateKind::kSum,   AggregateKind::kAvg,
                                 AggregateKind::kMin,    AggregateKind::kMax,   AggregateKind::kVar,
                                 AggregateKind::kStddev, AggregateKind::kFirst, AggregateKind::kLast};
  const char* numeric[] = {"x", "n", "k"};
  for (uint64_t i = 1 + random.below(5); i > 0; --i) {
    const std::string column = numeric[random.below(3)];
    switch (random.below(12)) {
      case 0:
        query.aggregates.push_back(quantiles(column, {0, 0.25, 0.5, 1}, QuantileMode::kExact));
        break;
      case 1:
        query.aggregates.push_back(aggregate(AggregateKind::kDistinct, random.chance(0.5) ? "site" : column));
        break;
      case 2:
        query.aggregates.push_back(histogram(column, {-100.0, int64_t{-1}, 0.0, 1.5, int64_t{100}}));
        break;
      case 3:
        query.aggregates.push_back(aggregate(AggregateKind::kCount, ""));
        break;
      default:
        query.aggregates.push_back(
            aggregate(kinds[random.below(9)], column, static_cast<uint32_t>(random.below(2))));
    }
  }
  return query;
}

}  // namespace covey::agg::test
