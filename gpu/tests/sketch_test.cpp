// Sketches and their limits, exact quantiles of large and changing data, special values handed on.
#include "gpu/sketch.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gpu/order.h"
#include "gpu/tests/check.h"
#include "gpu/tests/tools.h"

namespace covey::agg::test {

namespace {

const Schema kSchema{{{"x", ColumnType::kFloat64}, {"n", ColumnType::kInt64}}};

Stores stores_of(const std::vector<double>& values, Random& random) {
  std::vector<Row> rows;
  for (const double value : values)
    rows.push_back({0, {value, static_cast<int64_t>(std::clamp(value, -9e18, 9e18))}, {}});
  return make_stores(kSchema, rows, {.partitions = 2}, random);
}

Query one(Aggregate aggregate) {
  Query query;
  query.aggregates = {std::move(aggregate)};
  return query;
}

}  // namespace

TEST_CASE("a sketch's quantile is within 0.4 % of the exact one") {
  Random random(1);
  std::vector<double> q;
  for (int i = 0; i <= 100; ++i) q.push_back(i / 100.0);
  for (int shape = 0; shape < 4; ++shape) {
    std::vector<double> values(20000);
    for (double& value : values) {
      const double unit = random.unit();
      value = shape == 0   ? unit
              : shape == 1 ? -std::exp(unit * 60 - 30)
              : shape == 2 ? std::floor(unit * 300)
                           : (unit - 0.5) * 1e15;
    }
    const Stores stores = stores_of(values, random);
    std::vector<Query> queries;
    for (const char* column : {"x", "n"}) {
      queries.push_back(one(quantiles(column, q, QuantileMode::kSketch)));
      queries.push_back(one(quantiles(column, q, QuantileMode::kExact)));
    }
    const auto plan = plan_of(kSchema, queries);
    const auto backend = make_cpu_backend({.threads = 2});
    const auto partials = scan_of(*backend, *plan, stores);
    for (const size_t column : {0, 2}) {
      const auto near = answer_of(*partials, *plan, column).groups[0].aggregates[0];
      const auto exact = answer_of(*partials, *plan, column + 1).groups[0].aggregates[0];
      CHECK(near.approximate && !exact.approximate);
      for (size_t i = 0; i < q.size(); ++i) {
        const auto as_double = [](const Number& number) {
          return std::holds_alternative<double>(number) ? std::get<double>(number)
                                                        : static_cast<double>(std::get<int64_t>(number));
        };
        const double a = as_double(near.values[i]), b = as_double(exact.values[i]);
        CHECK(std::abs(a - b) <= 0.004 * std::abs(b));
      }
    }
  }
}

TEST_CASE("buckets of integers are intervals that hold each integer once") {
  for (const int64_t value : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{255}, int64_t{256}, int64_t{257},
                              int64_t{-100000}, (int64_t{1} << 53) + 1, INT64_MAX, INT64_MAX - 1, INT64_MIN,
                              INT64_MIN + 1, int64_t{123456789012345}}) {
    const KeyRange range = range_of_int_bucket(bucket_of_int(value));
    CHECK(range.lo <= order_int(value) && order_int(value) <= range.hi);
    CHECK(bucket_of_int(int_from_order(range.lo)) == bucket_of_int(value) &&
          bucket_of_int(int_from_order(range.hi)) == bucket_of_int(value));
    if (range.lo > 0) CHECK(bucket_of_int(int_from_order(range.lo - 1)) < bucket_of_int(value));
    if (std::abs(static_cast<double>(value)) < 256) CHECK_EQUAL(range.lo, range.hi);
  }
}

TEST_CASE("exact quantiles of many values near each other take several rounds and are exact") {
  Random random(2);
  std::vector<double> values;
  for (int i = 0; i < 300000; ++i) values.push_back(1.0 + random.unit() * 1e-9);
  const Stores stores = stores_of(values, random);
  const auto plan = plan_of(kSchema, {one(quantiles("x", {0.001, 0.5, 0.999}, QuantileMode::kExact))});
  for (const auto isa : instruction_sets()) {
    const auto backend = make_cpu_backend({.threads = 2, .isa = isa});
    const auto answer = answer_of(*scan_of(*backend, *plan, stores), *plan).groups[0].aggregates[0];
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    CHECK(answer.values[0] == Number(sorted[299]));
    CHECK(answer.values[1] == Number(sorted[149999]));
    CHECK(answer.values[2] == Number(sorted[299699]));
    CHECK(!answer.approximate);
  }
}

TEST_CASE("rows that change between the rounds of a quantile make it approximate, not wrong in kind") {
  Random random(3);
  std::vector<double> values;
  for (int i = 0; i < 100000; ++i) values.push_back(random.unit());
  Stores stores = stores_of(values, random);
  const auto plan = plan_of(kSchema, {one(quantiles("x", {0.5}, QuantileMode::kExact))});
  const auto backend = make_cpu_backend({.threads = 2});
  ScanProfile profile;
  auto partials = backend->scan(*plan, stores.inputs, {}, profile);
  UpdateBatch batch;
  for (Slot slot = 0; slot < 20000; ++slot) batch.put(slot, 1, std::vector<Value>{0.5001, Value()});
  CHECK(stores.stores[0]->apply(batch).ok());
  while (const auto ask = partials->refinement(*plan)) {
    const auto found = backend->refine(*plan, *ask, stores.inputs, {}, profile);
    CHECK(partials->absorb(*plan, *ask, *found).ok());
  }
  const auto answer = answer_of(*partials, *plan).groups[0].aggregates[0];
  CHECK(answer.approximate);
  CHECK(std::abs(std::get<double>(answer.values[0]) - 0.5) < 0.01);
}

TEST_CASE("sketches stay whole when groups become many") {
  Random random(4);
  const Schema schema{{{"x", ColumnType::kFloat64}, {"g", ColumnType::kFloat64}}};
  std::vector<Row> rows;
  for (int i = 0; i < 20000; ++i)
    rows.push_back(
        {0,
         {std::ldexp(random.unit(), static_cast<int>(random.below(400))), std::floor(random.unit() * 3000)},
         {}});
  const Stores stores = make_stores(schema, rows, {}, random);
  Query query;
  query.group_by = {"g"};
  query.limit_groups = 5000;
  query.aggregates = {quantiles("x", {0.5}, QuantileMode::kSketch)};
  const auto plan = plan_of(schema, {query});
  const auto backend = make_cpu_backend({.threads = 1});
  const auto partials = scan_of(*backend, *plan, stores);
  const SelectionState& state = partials->selections()[0];
  for (size_t group = 0; group < state.keys.size(); ++group) {
    uint64_t count = 0;
    for (const SketchBin& bin : state.measures[0].sketches[group]) count += bin.count;
    CHECK_EQUAL(count, state.rows[group]);
  }
}

TEST_CASE(
    "distinct is exact to its bound and near beyond it, and which of the two depends on the values alone") {
  for (const int64_t n : {0, 1, 4095, 4096, 4097, 20000, 1000000}) {
    DistinctState all;
    std::vector<DistinctState> parts(3);
    for (int64_t i = 0; i < n; ++i) {
      all.add(mix64(static_cast<uint64_t>(i)));
      for (const int64_t part : {i % 3, i % 2})
        parts[static_cast<size_t>(part)].add(mix64(static_cast<uint64_t>(i)));
    }
    parts[2].merge(std::move(parts[0]));
    parts[1].merge(std::move(parts[2]));
    CHECK_EQUAL(parts[1].estimate(), all.estimate());
    CHECK_EQUAL(all.exact(), n <= 4096);
    CHECK_EQUAL(parts[1].exact(), all.exact());
    CHECK(parts[1].registers() == all.registers());
    if (all.exact()) CHECK_EQUAL(all.estimate(), static_cast<uint64_t>(n));
    CHECK(std::abs(static_cast<double>(all.estimate()) - static_cast<double>(n)) <=
          0.03 * static_cast<double>(n));
  }
}

TEST_CASE("special values are handed on when that is asked for") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto ask = [&](const std::vector<double>& values) {
    Random random(6);
    std::vector<Row> rows;
    for (const double value : values) rows.push_back({0, {value, Value()}, {}});
    Query query;
    query.special = Special::kPropagate;
    query.aggregates = {aggregate(AggregateKind::kSum, "x"),
                        aggregate(AggregateKind::kMin, "x"),
                        aggregate(AggregateKind::kMax, "x"),
                        aggregate(AggregateKind::kVar, "x"),
                        quantiles("x", {0, 0.5, 1}, QuantileMode::kExact),
                        aggregate(AggregateKind::kDistinct, "x"),
                        histogram("x", {0.0, 1.0})};
    const auto plan = plan_of(kSchema, {query});
    const auto backend = make_cpu_backend({.threads = 1});
    return answer_of(*scan_of(*backend, *plan, make_stores(kSchema, rows, {}, random)), *plan)
        .groups[0]
        .aggregates;
  };
  const auto infinite = ask({1, kInf, 2, kInf});
  CHECK(infinite[0].values[0] == Number(kInf) && infinite[1].values[0] == Number(1.0) &&
        infinite[2].values[0] == Number(kInf));
  CHECK(std::isnan(std::get<double>(infinite[3].values[0])));
  CHECK(infinite[4].values == (std::vector<Number>{1.0, 2.0, kInf}));
  CHECK(infinite[5].values[0] == Number(int64_t{3}) && infinite[6].above == 3 && infinite[6].counts[0] == 1);
  const auto both = ask({-kInf, 5, kInf});
  CHECK(std::isnan(std::get<double>(both[0].values[0])) && both[1].values[0] == Number(-kInf));
  CHECK(both[4].values == (std::vector<Number>{-kInf, 5.0, kInf}) && both[6].below == 1);
  const auto nan = ask({1, std::nan("")});
  for (const size_t i : {0, 1, 2, 3}) CHECK(std::isnan(std::get<double>(nan[i].values[0])));
  CHECK(std::isnan(std::get<double>(nan[4].values[1])) && nan[5].values[0] == Number(int64_t{2}));
}

}  // namespace covey::agg::test
