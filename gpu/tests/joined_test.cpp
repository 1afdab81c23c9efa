// Plans that share a pass leave the partials that a pass of each alone leaves.
#include "gpu/joined_plan.h"
#include "gpu/tests/check.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

// Some of the queries look only at some of these sets of rows.
std::vector<Query> some_queries(Random& random, uint32_t row_sets) {
  std::vector<Query> queries;
  for (uint64_t i = 1 + random.below(5); i > 0; --i) {
    Query query = random_query(random);
    if (random.chance(0.3)) query.row_set = static_cast<uint32_t>(random.below(row_sets));
    if (random.chance(0.3)) query.limit_groups = 1 + random.below(20);
    queries.push_back(std::move(query));
    // The same rows for other figures.
    if (!random.chance(0.5)) continue;
    Query more = random_query(random);
    more.where = queries.back().where;
    more.group_by = queries.back().group_by;
    more.row_set = queries.back().row_set;
    queries.push_back(std::move(more));
  }
  return queries;
}

}  // namespace

TEST_CASE("those who share a pass get the bytes of a pass of their own") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed * 7907);
    const Schema schema = random_schema();
    const auto rows = random_rows(random.below(2500), {.siblings = true, .special = true}, random);
    Stores stores = make_stores(schema, rows, {.partitions = 1, .tile_rows = 256}, random);
    Bitmap sets[3];
    for (Slot slot = 0; slot < rows.size(); ++slot) sets[random.below(3)].set(slot);
    std::vector<Plan> plans;
    std::vector<JoinedPlan::Member> members;
    const std::vector<Query> known = some_queries(random, 2);
    for (int i = 0; i < 4; ++i) {
      // The second is the first again, the third has its queries and others.
      std::vector<Query> queries = i == 3 ? some_queries(random, 2) : known;
      if (i == 2) queries.push_back(random_query(random));
      plans.push_back(*plan_of(schema, queries, {.siblings = Siblings::kMin}));
    }
    for (int i = 0; i < 4; ++i) {
      members.push_back({&plans[static_cast<size_t>(i)],
                         i < 3 ? std::vector<uint32_t>{0, 1} : std::vector<uint32_t>{2, 0}});
    }
    const Result<JoinedPlan> joined = JoinedPlan::make(members);
    CHECK(joined.ok());
    const auto backend = make_cpu_backend({.threads = 2});
    stores.inputs[0].row_sets = {&sets[0], &sets[1], &sets[2]};
    const auto together = scan_of(*backend, joined->plan(), stores);
    for (size_t i = 0; i < plans.size(); ++i) {
      stores.inputs[0].row_sets = {&sets[members[i].row_sets[0]], &sets[members[i].row_sets[1]]};
      const auto alone = scan_of(*backend, plans[i], stores);
      const auto part = joined->part(i, *together);
      CHECK(part.has_value());
      CHECK(part && alone && part->encode() == alone->encode());
    }
  }
}

TEST_CASE("a pass that fails for one who asks much is made again for the others") {
  Random random(5);
  const Schema schema = random_schema();
  const Stores stores = make_stores(schema, random_rows(3000, {}, random), {}, random);
  Query small;
  small.group_by = {"n"};
  small.aggregates = {aggregate(AggregateKind::kCount, "")};
  Query large = small;
  large.aggregates = {quantiles("x", {0.5}, QuantileMode::kSketch), aggregate(AggregateKind::kDistinct, "x")};
  Query other;
  other.aggregates = {aggregate(AggregateKind::kSum, "x")};
  const PlanOptions options{.state_bytes_max = 1000};
  const Plan plans[] = {*plan_of(schema, {small}, options), *plan_of(schema, {large, other}, options),
                        *plan_of(schema, {other}, options)};
  const Result<JoinedPlan> joined = JoinedPlan::make({{&plans[0], {}}, {&plans[1], {}}, {&plans[2], {}}});
  const auto backend = make_cpu_backend({.threads = 1});
  Partials together = *scan_of(*backend, joined->plan(), stores);
  together.selections()[0] = {};
  together.selections()[0].failed = Error{ErrorCode::kTooLarge, "too large", ""};
  CHECK(!joined->part(0, together));
  CHECK(!joined->part(1, together));
  CHECK(joined->part(2, together)->finish(plans[2], 0).ok());
}

}  // namespace covey::agg::test
