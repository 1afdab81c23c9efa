// Questions that can't be answered are told why; equal parts of questions are done once.
#include <cmath>

#include "gpu/condition.h"
#include "gpu/order.h"
#include "gpu/tests/check.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

void refused(const Query& query, ErrorCode code) {
  const Result<Plan> plan = Plan::make(random_schema(), {query});
  CHECK(!plan.ok());
  if (plan) return;
  CHECK(plan.error().code == code);
  CHECK(plan.error().message.size() > 10);
}

Query counting() {
  Query query;
  query.aggregates = {aggregate(AggregateKind::kCount, "")};
  return query;
}

}  // namespace

TEST_CASE("impossible questions are refused with the reason") {
  Query query;
  refused(query, ErrorCode::kBadQuery);  // no aggregate
  query.aggregates = {aggregate(AggregateKind::kSum, "nothing")};
  refused(query, ErrorCode::kUnknownColumn);
  query.aggregates = {aggregate(AggregateKind::kSum, "site")};
  refused(query, ErrorCode::kNotNumeric);
  query.aggregates = {aggregate(AggregateKind::kSum, "")};
  refused(query, ErrorCode::kBadQuery);
  for (const double q : {-0.1, 1.1, std::nan("")}) {
    query.aggregates = {quantiles("x", {q}, QuantileMode::kExact)};
    refused(query, ErrorCode::kBadQuery);
  }
  query.aggregates = {quantiles("x", {}, QuantileMode::kExact)};
  refused(query, ErrorCode::kBadQuery);
  for (const std::vector<Value>& edges :
       {std::vector<Value>{1.0}, {1.0, 1.0}, {2.0, int64_t{1}}, {0.0, HUGE_VAL}, {0.0, Value()}}) {
    query.aggregates = {histogram("x", edges)};
    refused(query, ErrorCode::kBadQuery);
  }
  query = counting();
  query.limit_groups = 0;
  refused(query, ErrorCode::kBadQuery);
  query = counting();
  query.group_by = {"nothing"};
  refused(query, ErrorCode::kUnknownColumn);
  for (const Predicate& predicate :
       {Predicate{"x", Compare::kEqual, {std::string("a")}}, Predicate{"site", Compare::kEqual, {1.0}},
        Predicate{"x", Compare::kEqual, {}}, Predicate{"x", Compare::kBetween, {1.0}},
        Predicate{"x", Compare::kIsNull, {1.0}}, Predicate{"x", Compare::kLess, {Value()}},
        Predicate{"x", Compare::kIn, {}}}) {
    query = counting();
    query.where = {predicate};
    refused(query, ErrorCode::kBadQuery);
  }
}

TEST_CASE("equal selections and measures of a batch are made once") {
  Query a;
  a.where = {{"x", Compare::kGreater, {1.0}}, {"x", Compare::kLessEqual, {5.0}}};
  a.aggregates = {aggregate(AggregateKind::kSum, "n"), aggregate(AggregateKind::kAvg, "n")};
  Query b;
  b.where = {{"x", Compare::kLessEqual, {int64_t{5}}},
             {"x", Compare::kGreater, {int64_t{1}}},
             {"x", Compare::kGreater, {1.0}}};
  b.aggregates = {aggregate(AggregateKind::kStddev, "n"), aggregate(AggregateKind::kMin, "x")};
  const auto plan = plan_of(random_schema(), {a, b});
  CHECK_EQUAL(plan->selections().size(), 1u);
  CHECK_EQUAL(plan->selections()[0].conditions.size(), 1u);
  CHECK_EQUAL(plan->measures().size(), 2u);
}

TEST_CASE("a plan's fingerprint is that of schema, questions and siblings policy") {
  Query query = counting();
  const auto plan = [&](Siblings siblings = Siblings::kLatest) {
    return plan_of(random_schema(), {query}, {.siblings = siblings})->fingerprint();
  };
  const uint64_t first = plan();
  query.id = "another name";
  CHECK_EQUAL(plan(), first);
  CHECK(plan(Siblings::kSkip) != first);
  query.where = {{"x", Compare::kLess, {1.0}}};
  const uint64_t second = plan();
  query.where[0].values = {2.0};
  CHECK(second != first && plan() != second);
}

TEST_CASE("constants of another type compare by their exact value") {
  const auto range = [](ColumnType type, Compare op, Value constant) { return range_of(type, op, constant); };
  const int64_t odd = (int64_t{1} << 53) + 1;  // no double is that number
  CHECK(!range(ColumnType::kFloat64, Compare::kEqual, odd));
  CHECK_EQUAL(range(ColumnType::kFloat64, Compare::kLess, odd)->hi, order_float(0x1p53));
  CHECK_EQUAL(range(ColumnType::kFloat64, Compare::kGreater, odd)->lo, order_float(0x1p53 + 2));
  CHECK_EQUAL(range(ColumnType::kInt64, Compare::kGreater, 2.5)->lo, order_int(3));
  CHECK_EQUAL(range(ColumnType::kInt64, Compare::kLessEqual, -2.5)->hi, order_int(-3));
  CHECK(!range(ColumnType::kInt64, Compare::kEqual, 0.5));
  CHECK(!range(ColumnType::kInt64, Compare::kGreaterEqual, 0x1p63));
  CHECK_EQUAL(range(ColumnType::kInt64, Compare::kLess, 0x1p63)->hi, UINT64_MAX);
  CHECK_EQUAL(range(ColumnType::kInt64, Compare::kGreaterEqual, -0x1p63)->lo, 0u);
  CHECK(!range(ColumnType::kInt64, Compare::kLess, -0x1p63));
  CHECK(!range(ColumnType::kFloat64, Compare::kLess, std::nan("")));
  CHECK(!range(ColumnType::kFloat64, Compare::kLess, -HUGE_VAL));
  CHECK_EQUAL(range(ColumnType::kFloat64, Compare::kEqual, -0.0)->lo, order_float(0.0));
  CHECK_EQUAL(range(ColumnType::kFloat64, Compare::kGreater, -0.0)->lo, order_float(5e-324));
}

TEST_CASE("too many groups fail their query alone") {
  Random random(1);
  const Schema schema = random_schema();
  const Stores stores =
      make_stores(schema, random_rows(2000, {}, random), {.partitions = 2, .tile_rows = 128}, random);
  const auto backend = make_cpu_backend({.threads = 2});
  for (const char* column : {"x", "site"}) {
    Query narrow = counting();
    narrow.group_by = {column};
    narrow.limit_groups = 5;
    Query wide = narrow;
    wide.limit_groups = 100000;
    wide.where = {{"n", Compare::kLess, {int64_t{0}}}};
    Query shared = narrow;
    shared.where = wide.where;
    const auto plan = plan_of(schema, {narrow, wide, shared});
    const auto partials = scan_of(*backend, *plan, stores);
    for (const size_t failing : {0u, 2u}) {
      const auto answer = partials->finish(*plan, failing);
      CHECK(!answer && answer.error().code == ErrorCode::kTooManyGroups);
    }
    CHECK(partials->finish(*plan, 1).ok());
    const auto again = Partials::decode(*plan, partials->encode());
    CHECK(again.ok() && again->finish(*plan, 0).error().code == ErrorCode::kTooManyGroups);
  }
  Query large = counting();
  large.group_by = {"x"};
  large.limit_groups = 1u << 20;
  const auto plan = plan_of(schema, {large, counting()}, {.state_bytes_max = 1000});
  const auto partials = scan_of(*backend, *plan, stores);
  CHECK(partials->finish(*plan, 0).error().code == ErrorCode::kTooLarge);
  CHECK(partials->finish(*plan, 1).ok());
}

}  // namespace covey::agg::test
