// An answer depends on the multiset of rows alone, and is the one that a plain evaluation gives.
#include <cmath>

#include "gpu/tests/check.h"
#include "gpu/tests/random_rows.h"
#include "gpu/tests/reference.h"

namespace covey::agg::test {

namespace {

void compare_with_reference(uint64_t seed, Siblings siblings, RowsOptions options) {
  Random random(seed);
  const Schema schema = random_schema();
  const auto rows =
      random_rows(random.below(4) == 0 ? random.below(70) : 300 + random.below(3000), options, random);
  std::vector<Query> queries;
  for (int i = 0; i < 6; ++i) queries.push_back(random_query(random));
  const auto plan = plan_of(schema, queries, {.siblings = siblings});
  if (!plan) return;
  const Layout layout{.partitions = static_cast<uint32_t>(1 + random.below(3)),
                      .tile_rows = 64u << random.below(6),
                      .gaps = 0.1,
                      .shared_dictionary = random.chance(0.5)};
  const Stores stores = make_stores(schema, rows, layout, random);
  const auto backend = make_cpu_backend({.threads = 2});
  const auto partials = scan_of(*backend, *plan, stores);
  if (!partials) return;
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::string told = "seed " + std::to_string(seed) + " query " + std::to_string(i) + "\n";
    CHECK_EQUAL(told + text_of(answer_of(*partials, *plan, i)),
                told + reference_answer(schema, rows, queries[i], siblings));
  }
}

}  // namespace

TEST_CASE("filters, groups and aggregates are those of a plain evaluation") {
  for (uint64_t seed = 1; seed <= 80; ++seed) compare_with_reference(seed, Siblings::kLatest, {});
}

TEST_CASE("NaN and infinities are left out and counted") {
  for (uint64_t seed = 1000; seed < 1060; ++seed)
    compare_with_reference(seed, Siblings::kLatest, {.special = true});
}

TEST_CASE("rows with siblings count as the policy says") {
  uint64_t seed = 2000;
  for (const Siblings policy : {Siblings::kLatest, Siblings::kMin, Siblings::kMax, Siblings::kSkip}) {
    for (int i = 0; i < 25; ++i) compare_with_reference(seed++, policy, {.siblings = true});
  }
}

TEST_CASE("partials are the same bytes whatever the order, split, tile size, threads and instruction set") {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Random random(seed * 7919);
    const Schema schema = random_schema();
    auto rows = random_rows(2000 + random.below(4000), {.siblings = true, .special = true}, random);
    // Values that no sum of doubles would add up in any order.
    for (Row& row : rows) {
      if (is_null(row.values[0]) || !row.siblings.empty() || random.chance(0.3)) continue;
      row.values[0] =
          (random.unit() - 0.5) * (seed % 3 == 0 ? 1e200 : 1e10) * (random.chance(0.1) ? 1e-7 : 1.0);
    }
    std::vector<Query> queries;
    for (int i = 0; i < 8; ++i) queries.push_back(random_query(random));
    queries.push_back({});
    queries.back().aggregates = {quantiles("x", {0.1, 0.5, 0.99}, QuantileMode::kSketch)};
    const auto plan = plan_of(schema, queries, {.siblings = Siblings::kMax});
    if (!plan) return;
    std::string first;
    std::vector<std::string> answers(queries.size());
    for (const auto isa : instruction_sets()) {
      for (uint32_t threads = 1; threads <= 4; ++threads) {
        const auto backend = make_cpu_backend({.threads = threads, .isa = isa});
        const Layout layout{.partitions = static_cast<uint32_t>(1 + random.below(5)),
                            .tile_rows = 64u << random.below(9),
                            .gaps = random.unit() * 0.3,
                            .shared_dictionary = random.chance(0.5)};
        random.shuffle(rows);
        const Stores stores = make_stores(schema, rows, layout, random);
        const auto partials = scan_of(*backend, *plan, stores);
        if (!partials) return;
        const std::string bytes = partials->encode();
        if (first.empty()) first = bytes;
        CHECK(bytes == first);
        for (size_t i = 0; i < queries.size(); ++i) {
          const std::string answer = text_of(answer_of(*partials, *plan, i));
          if (answers[i].empty()) answers[i] = answer;
          CHECK_EQUAL(answer, answers[i]);
        }
      }
    }
  }
}

TEST_CASE("partials of nodes merge, encoded, in any order to the partial of one node that has all rows") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed * 104729);
    const Schema schema = random_schema();
    const auto rows = random_rows(3000, {.special = true}, random);
    std::vector<Query> queries;
    for (int i = 0; i < 6; ++i) queries.push_back(random_query(random));
    const auto plan = plan_of(schema, queries);
    if (!plan) return;
    const auto backend = make_cpu_backend({.threads = 2});
    const auto whole = scan_of(*backend, *plan, make_stores(schema, rows, {}, random));
    const Stores nodes = make_stores(schema, rows, {.partitions = 5, .tile_rows = 256}, random);
    std::vector<size_t> order = {0, 1, 2, 3, 4};
    random.shuffle(order);
    Partials merged(*plan);
    for (const size_t node : order) {
      ScanProfile profile;
      const auto part = backend->scan(*plan, std::span(&nodes.inputs[node], 1), {}, profile);
      CHECK(part.ok());
      Result<Partials> received = Partials::decode(*plan, part->encode());
      CHECK(received.ok());
      CHECK(merged.merge(*plan, std::move(*received)).ok());
    }
    while (auto ask = merged.refinement(*plan)) {
      const auto sent = Refinement::decode(*plan, ask->encode());
      CHECK(sent.ok() && sent->targets == ask->targets);
      Refined found(*ask);
      for (const size_t node : order) {
        ScanProfile profile;
        const auto part = backend->refine(*plan, *sent, std::span(&nodes.inputs[node], 1), {}, profile);
        CHECK(part.ok());
        Result<Refined> received = Refined::decode(*ask, part->encode());
        CHECK(received.ok());
        CHECK(found.merge(*ask, std::move(*received)).ok());
      }
      CHECK(merged.absorb(*plan, *ask, found).ok());
    }
    CHECK(whole && merged.encode() == whole->encode());
    for (size_t i = 0; whole && i < queries.size(); ++i) {
      CHECK_EQUAL(text_of(answer_of(merged, *plan, i)), text_of(answer_of(*whole, *plan, i)));
    }
  }
}

TEST_CASE("a query answers the same alone as in a batch") {
  Random random(4711);
  const Schema schema = random_schema();
  const auto rows = random_rows(5000, {}, random);
  const Stores stores = make_stores(schema, rows, {.partitions = 2, .tile_rows = 1024}, random);
  const auto backend = make_cpu_backend({.threads = 2});
  std::vector<Query> queries;
  for (int i = 0; i < 40; ++i) queries.push_back(random_query(random));
  const auto batch = plan_of(schema, queries);
  const auto together = scan_of(*backend, *batch, stores);
  for (size_t i = 0; i < queries.size(); ++i) {
    const auto plan = plan_of(schema, {queries[i]});
    const auto alone = scan_of(*backend, *plan, stores);
    CHECK_EQUAL(text_of(answer_of(*together, *batch, i)), text_of(answer_of(*alone, *plan)));
  }
}

TEST_CASE("many ranges summed at once are those summed alone, for narrow and wide values") {
  Random random(77);
  const Schema schema{{{"x", ColumnType::kFloat64}, {"y", ColumnType::kFloat64}}};
  for (const int bits : {20, 53, 70, 110, 200}) {
    std::vector<Row> rows;
    for (int i = 0; i < 1024; ++i) {
      const double unit =
          bits <= 53 ? std::floor((random.unit() - 0.5) * std::ldexp(1.0, bits))
                     : (random.unit() - 0.5) *
                           std::ldexp(1.0, static_cast<int>(random.below(static_cast<uint64_t>(bits - 52))));
      rows.push_back({0, {unit, random.unit()}, {}});
    }
    const double scale = std::ldexp(1.0, bits <= 53 ? bits : bits - 53);
    std::vector<Query> queries;
    for (int i = 0; i < 11; ++i) {
      Query query;
      query.aggregates = {aggregate(AggregateKind::kSum, "x"), aggregate(AggregateKind::kCount, "")};
      if (i % 3 != 2) query.where.push_back({"x", Compare::kGreater, {(random.unit() - 0.5) * scale}});
      if (i % 3 != 1) query.where.push_back({"x", Compare::kLess, {(random.unit() - 0.5) * scale}});
      if (i > 6) query.where = {{"y", Compare::kLessEqual, {random.unit()}}};
      queries.push_back(query);
    }
    const auto plan = plan_of(schema, queries);
    std::string first;
    for (const auto isa : instruction_sets()) {
      const auto backend = make_cpu_backend({.threads = 2, .isa = isa});
      for (const uint32_t tile_rows : {64u, 1024u}) {
        const Stores stores = make_stores(schema, rows, {.tile_rows = tile_rows, .gaps = 0.2}, random);
        const auto partials = scan_of(*backend, *plan, stores);
        if (first.empty()) first = partials->encode();
        CHECK(partials->encode() == first);
        for (size_t i = 0; i < queries.size(); ++i) {
          const auto one = plan_of(schema, {queries[i]});
          CHECK_EQUAL(text_of(answer_of(*partials, *plan, i)),
                      text_of(answer_of(*scan_of(*backend, *one, stores), *one)));
        }
      }
    }
  }
}

TEST_CASE("row sets choose rows") {
  Random random(99);
  const Schema schema = random_schema();
  const auto rows = random_rows(1000, {.siblings = true}, random);
  Stores stores = make_stores(schema, rows, {.tile_rows = 128}, random);
  Bitmap chosen;
  std::vector<Row> kept;
  for (Slot slot = 0; slot < rows.size(); ++slot) {
    if (!random.chance(0.3)) continue;
    chosen.set(slot);
    kept.push_back(rows[slot]);
  }
  const auto backend = make_cpu_backend({.threads = 2});
  for (const Siblings policy : {Siblings::kLatest, Siblings::kMin, Siblings::kSkip}) {
    Query query;
    query.aggregates = {aggregate(AggregateKind::kSum, "x"), aggregate(AggregateKind::kCount, "")};
    Query limited = query;
    limited.row_set = 1;
    const auto plan = plan_of(schema, {query, limited}, {.siblings = policy});
    stores.inputs[0].row_sets = {nullptr, &chosen};
    const auto partials = scan_of(*backend, *plan, stores);
    CHECK_EQUAL(text_of(answer_of(*partials, *plan, 0)), reference_answer(schema, rows, query, policy));
    CHECK_EQUAL(text_of(answer_of(*partials, *plan, 1)), reference_answer(schema, kept, query, policy));
  }
}

}  // namespace covey::agg::test
