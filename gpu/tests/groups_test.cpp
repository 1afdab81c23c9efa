// Many groups, found by several threads and put together in parts; sketches counted together.
#include <algorithm>
#include <cmath>
#include <limits>

#include "gpu/cpu_sketch.h"
#include "gpu/group_key.h"
#include "gpu/order.h"
#include "gpu/sketch.h"
#include "gpu/tests/check.h"
#include "gpu/tests/tools.h"

namespace covey::agg::test {

namespace {

const Schema kSchema{{{"x", ColumnType::kFloat64},
                      {"n", ColumnType::kInt64},
                      {"i", ColumnType::kInt64},
                      {"wide", ColumnType::kInt64},
                      {"real", ColumnType::kFloat64},
                      {"text", ColumnType::kString}}};

// The same `groups` groups by each of the last four columns.
std::vector<Row> rows_in_groups(int count, uint64_t groups, Random& random) {
  std::vector<Row> rows;
  for (int i = 0; i < count; ++i) {
    const uint64_t group = random.below(groups);
    Row row{
        static_cast<int64_t>(random.below(50)),
        {(random.unit() - 0.5) * 1e6, static_cast<int64_t>(random.next() >> random.below(60)),
         static_cast<int64_t>(group) - 5, static_cast<int64_t>(mix64(group)),
         static_cast<double>(group) * 0.7 - 100, "group number " + std::to_string(mix64(group) % 1000000)},
        {}};
    if (random.chance(0.01)) row.values[0] = std::numeric_limits<double>::infinity();
    if (random.chance(0.05)) row.values[random.below(2)] = Value();
    if (random.chance(0.01)) row.values[2 + random.below(4)] = Value();
    rows.push_back(std::move(row));
  }
  return rows;
}

Query by(std::vector<std::string> columns, std::vector<Aggregate> aggregates) {
  Query query;
  query.group_by = std::move(columns);
  query.limit_groups = 1000000;
  query.aggregates = std::move(aggregates);
  return query;
}

std::vector<Aggregate> simple_figures() {
  return {aggregate(AggregateKind::kSum, "x"),   aggregate(AggregateKind::kMin, "x"),
          aggregate(AggregateKind::kMax, "n"),   aggregate(AggregateKind::kAvg, "n"),
          aggregate(AggregateKind::kCount, "x"), aggregate(AggregateKind::kMin, "n")};
}

// Whatever the instruction set, the queries' partials are the same bytes, and each answer is that of the
// query alone.
void same_together_and_alone(const std::vector<Query>& queries, const std::vector<Row>& rows,
                             Random& random) {
  const auto plan = plan_of(kSchema, queries);
  const Stores stores = make_stores(kSchema, rows, {.tile_rows = 1024, .gaps = 0.05}, random);
  std::string first;
  for (const auto isa : instruction_sets()) {
    const auto backend = make_cpu_backend({.threads = 2, .isa = isa});
    const auto partials = scan_of(*backend, *plan, stores);
    if (first.empty()) first = partials->encode();
    CHECK(partials->encode() == first);
    for (size_t i = 0; i < queries.size(); ++i) {
      const auto alone = plan_of(kSchema, {queries[i]});
      CHECK_EQUAL(text_of(answer_of(*partials, *plan, i)),
                  text_of(answer_of(*scan_of(*backend, *alone, stores), *alone)));
    }
  }
}

}  // namespace

TEST_CASE("many groups: any number of threads leaves the bytes that nodes' partials merge to") {
  Random random(31);
  const auto rows = rows_in_groups(60000, 24000, random);
  const std::vector<Aggregate> others = {
      aggregate(AggregateKind::kStddev, "x"),      aggregate(AggregateKind::kVar, "n"),
      aggregate(AggregateKind::kDistinct, "text"), aggregate(AggregateKind::kFirst, "x"),
      aggregate(AggregateKind::kLast, "n"),        histogram("x", {-1e5, 0.0, 1e5}),
      quantiles("x", {0.5}, QuantileMode::kSketch)};
  std::vector<Query> queries;
  for (const char* column : {"i", "wide", "real", "text"}) queries.push_back(by({column}, simple_figures()));
  queries.push_back(by({"text", "i"}, simple_figures()));
  queries.push_back(by({"real"}, others));
  const auto plan = plan_of(kSchema, queries);
  const Stores stores = make_stores(kSchema, rows, {.partitions = 5, .tile_rows = 4096}, random);
  // Each partition alone by one thread, added one after the other.
  const auto one = make_cpu_backend({.threads = 1});
  Partials merged(*plan);
  for (const PartitionInput& input : stores.inputs) {
    ScanProfile profile;
    Result<Partials> part = one->scan(*plan, std::span(&input, 1), {}, profile);
    CHECK(part.ok() && merged.merge(*plan, std::move(*part)).ok());
  }
  CHECK(merged.groups(0) > 20000);
  for (const uint32_t threads : {1u, 2u, 3u, 7u}) {
    const auto backend = make_cpu_backend({.threads = threads});
    CHECK(scan_of(*backend, *plan, stores)->encode() == merged.encode());
  }
  // What is grouped by numbers that follow each other is grouped as by any others.
  Answered by_number = answer_of(merged, *plan, 0);
  Answered by_real = answer_of(merged, *plan, 2);
  const auto total = [](const Answered& answer) {
    uint64_t sum = 0;
    for (const GroupAnswer& group : answer.groups) sum += group.rows;
    return sum;
  };
  CHECK_EQUAL(total(by_number), rows.size());
  CHECK_EQUAL(total(by_real), rows.size());
}

TEST_CASE("too many groups are too many also when no thread has them all") {
  Random random(32);
  const Stores stores =
      make_stores(kSchema, rows_in_groups(8000, 6000, random), {.partitions = 4, .tile_rows = 64}, random);
  for (const char* column : {"i", "real"}) {
    Query query = by({column}, {aggregate(AggregateKind::kCount, "")});
    const auto backend = make_cpu_backend({.threads = 4});
    const auto all = plan_of(kSchema, {query});
    const uint64_t groups = scan_of(*backend, *all, stores)->groups(0);
    for (const uint64_t limit : {groups - 1, groups}) {
      query.limit_groups = limit;
      const auto plan = plan_of(kSchema, {query});
      const auto partials = scan_of(*backend, *plan, stores);
      const auto answer = partials->finish(*plan, 0);
      CHECK_EQUAL(answer.ok(), limit == groups);
      if (!answer) CHECK(answer.error().code == ErrorCode::kTooManyGroups);
    }
  }
}

TEST_CASE("a group's sum of many large numbers does not overflow the words that it is kept in") {
  // 2^23 times nearly 2^40 in the least word is beyond 2^63.
  constexpr uint32_t kRows = (1u << 23) + (1u << 17);
  constexpr int64_t kLarge = (int64_t{1} << 40) - 1;
  const Schema schema{{{"n", ColumnType::kInt64}, {"g", ColumnType::kInt64}}};
  ColumnStore store(schema);
  UpdateBatch batch;
  const std::vector<Value> values = {kLarge, int64_t{7}};
  for (Slot slot = 0; slot < kRows; ++slot) {
    batch.put(slot, 1, values);
    if (batch.size() < 65536 && slot + 1 < kRows) continue;
    CHECK(store.apply(batch).ok());
    batch.clear();
  }
  Stores stores;
  stores.inputs.push_back({&store, {}});
  const auto plan = plan_of(schema, {by({"g"}, {aggregate(AggregateKind::kSum, "n")})});
  const auto backend = make_cpu_backend({.threads = 1});
  const auto answer = answer_of(*scan_of(*backend, *plan, stores), *plan);
  CHECK_EQUAL(answer.groups.size(), 1u);
  const auto expected = static_cast<Int128>(kLarge) * kRows;  // beyond 64 bits
  const auto high = static_cast<uint64_t>(expected / 1000000000000000000);
  const auto low = static_cast<uint64_t>(expected % 1000000000000000000);
  std::string digits = std::to_string(low);
  digits.insert(0, 18 - digits.size(), '0');
  CHECK_EQUAL(text_of(answer.groups[0].aggregates[0].values[0]), std::to_string(high) + digits);
}

TEST_CASE("keys of groups are sorted bytewise, few and many, short and long, alike at the beginning") {
  Random random(33);
  for (const size_t count : {1u, 2u, 700u, 9000u}) {
    for (int shape = 0; shape < 4; ++shape) {
      std::vector<std::string> texts;
      for (size_t i = 0; i < count; ++i) {
        std::string& key = texts.emplace_back();
        if (i == 0 && shape < 2) {
          append_null_key(key);
        } else if (shape == 0) {
          append_number_key(key, random.next());
        } else if (shape == 1) {
          append_number_key(key, uint64_t{1} << 63 | (i * 3 + random.below(3)));
        } else {
          append_string_key(key, (shape == 2 ? "" : "all of them begin so ") +
                                     std::to_string(random.below(64)) + "." + std::to_string(i));
        }
      }
      random.shuffle(texts);
      GroupKeys keys;
      for (const std::string& text : texts) keys.push_back(text);
      const std::vector<uint32_t> order = sorted_order(keys);
      CHECK_EQUAL(order.empty(), std::is_sorted(texts.begin(), texts.end()));
      std::vector<std::string> sorted = texts;
      std::sort(sorted.begin(), sorted.end());
      GroupKeys again;
      for (size_t i = 0; i < sorted.size(); ++i) {
        if (!order.empty()) CHECK(keys[order[i]] == sorted[i]);
        again.push_back(sorted[i]);
      }
      CHECK(sorted_order(again).empty());
    }
  }
}

TEST_CASE("sketches that are counted together are those of each query alone") {
  Random random(34);
  for (const double spread : {0.0, 60.0, 2000.0}) {
    std::vector<Row> rows;
    for (int i = 0; i < 9000; ++i) {
      const double size = std::exp2((random.unit() - 0.5) * spread);
      Row row{
          0, {size * (random.unit() + 0.1), int64_t{i}, int64_t{0}, int64_t{0}, random.unit(), Value()}, {}};
      if (spread > 0 && random.chance(0.3)) row.values[0] = -std::get<double>(row.values[0]);
      if (random.chance(0.02)) row.values[0] = Value();
      if (random.chance(0.02)) row.values[0] = std::nan("");
      rows.push_back(std::move(row));
    }
    // More than are counted at once; all, most, half, few and none of the rows; by the column and by another.
    std::vector<Query> queries;
    for (const double bound : {2.0, 0.95, 0.5, 0.4, 0.3, 0.05, -1.0}) {
      for (const char* column : {"real", "x"}) {
        Query query;
        query.where = {{column, Compare::kLess, {bound}}};
        query.aggregates = {quantiles("x", {0.1, 0.5, 0.9}, QuantileMode::kSketch),
                            quantiles("real", {0.5}, QuantileMode::kSketch)};
        queries.push_back(query);
      }
    }
    queries.emplace_back().aggregates = queries[0].aggregates;
    same_together_and_alone(queries, rows, random);
  }
}

TEST_CASE("sums and squares that are made together are those of each query alone") {
  Random random(35);
  // One fold, two and three; negative values, too.
  for (const int bits : {20, 53, 90}) {
    for (const double least : {0.0, -0.25}) {
      std::vector<Row> rows;
      for (int i = 0; i < 5000; ++i) {
        const double unit = bits == 20 ? std::floor(random.unit() * 1048576) / 1048576 : random.unit();
        const double scale = bits == 90 ? std::exp2(-static_cast<double>(random.below(37))) : 1;
        Row row{0, {(unit + least) * scale, int64_t{0}, int64_t{0}, int64_t{0}, random.unit(), Value()}, {}};
        if (random.chance(0.02)) row.values[0] = Value();
        if (random.chance(0.02)) row.values[0] = random.chance(0.5) ? std::nan("") : -HUGE_VAL;
        rows.push_back(std::move(row));
      }
      std::vector<Query> queries;
      for (const double bound : {2.0, 0.9, 0.5, 0.01, -1.0}) {
        Query query;
        query.where = {{"real", Compare::kLess, {bound}}};
        query.aggregates = {aggregate(AggregateKind::kStddev, "x"), aggregate(AggregateKind::kSum, "x"),
                            aggregate(AggregateKind::kMin, "x"), aggregate(AggregateKind::kMax, "x"),
                            aggregate(AggregateKind::kVar, "real")};
        queries.push_back(query);
      }
      queries.emplace_back().aggregates = queries[0].aggregates;
      same_together_and_alone(queries, rows, random);
    }
  }
}

TEST_CASE("a sketch's counts go on where 32 bits end") {
  constexpr uint32_t kRows = 128;
  double values[kRows];
  for (uint32_t i = 0; i < kRows; ++i) values[i] = 1.0 + i / 4096.0;
  const uint64_t odd[kRows / 64] = {0xaaaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaaa};
  const uint32_t first = bucket_of_float(1.0);
  SketchCounter counter(kernels(4), 0, first, 10, 300);
  const uint32_t all = counter.enlist();
  const uint32_t half = counter.enlist();
  for (int i = 0; i < 11; ++i) {
    counter.want(all, nullptr);
    if (i < 7) counter.want(half, odd);
    counter.count(values, kRows);
  }
  uint64_t counts[2][10] = {};
  counter.add_to(all, counts[0]);
  counter.add_to(half, counts[1]);
  for (uint32_t i = 0; i < 10; ++i) {
    uint64_t expected = 0;
    for (const double value : values) expected += bucket_of_float(value) == first + i;
    CHECK_EQUAL(counts[0][i], 11 * expected);
    CHECK_EQUAL(counts[1][i], 7 * expected / 2);
  }
}

}  // namespace covey::agg::test
