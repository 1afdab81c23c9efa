// Exactness on the device: golden vectors, ranges that folds do not hold, and each place that words can be.
#include <cmath>

#include "gpu/tests/check.h"
#include "gpu/tests/emulated_device.h"
#include "gpu/tests/golden.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

// The device answers, and its bytes are the CPU's.
void same(Backend& device, const Schema& schema, const std::vector<Query>& queries, const Stores& stores,
          const std::string& told) {
  static const auto cpu = make_cpu_backend({.threads = 1});
  const auto plan = plan_of(schema, queries);
  if (!plan) return;
  const auto found = scan_of(device, *plan, stores);
  const auto expected = scan_of(*cpu, *plan, stores);
  if (!found || !expected) return;
  for (size_t i = 0; i < queries.size(); ++i) {
    const auto text = [&](const Partials& partials) {
      const Result<QueryAnswer> answer = partials.finish(*plan, i);
      return told + (answer ? text_of(read_all(*answer)) : answer.error().message);
    };
    CHECK_EQUAL(text(*found), text(*expected));
  }
  CHECK(found->encode() == expected->encode());
}

Query of(std::vector<Aggregate> aggregates, std::vector<std::string> group_by = {}) {
  Query query;
  query.aggregates = std::move(aggregates);
  query.group_by = std::move(group_by);
  return query;
}

}  // namespace

TEST_CASE("device: golden vectors are exact, rounded once") {
  for_each_golden([&](const GoldenCase& one) {
    Random random(1);
    const Stores stores =
        make_stores(one.schema, one.rows, {.partitions = 3, .tile_rows = 256, .gaps = 0.3}, random);
    const auto cpu = make_cpu_backend({.threads = 1});
    const auto expected = scan_of(*cpu, one.plan, stores);
    for (const EmulatedOptions& options : {EmulatedOptions{}, {.blocks = 2, .shared_bytes = 0}}) {
      const auto device = make_emulated_backend(options);
      const auto partials = scan_of(*device, one.plan, stores);
      if (!partials || !expected) continue;
      check_answers(one.golden, one.plan, *partials, one.grouped ? "grouped, on a device" : "on a device");
      CHECK(partials->encode() == expected->encode());
    }
  });
}

TEST_CASE("device: values of any range are summed exactly, alone and in groups") {
  Random random(17);
  const Schema schema{{{"x", ColumnType::kFloat64}, {"n", ColumnType::kInt64}, {"g", ColumnType::kInt64}}};
  for (const int bits : {1, 30, 53, 70, 100, 119, 160, 230, 400, 1000, 2000}) {
    for (const int shift : {-1000, -40, 0, 900}) {
      std::vector<Row> rows;
      for (int i = 0; i < 600; ++i) {
        const int exponent = static_cast<int>(random.below(static_cast<uint64_t>(bits))) - bits / 2 + shift;
        double x = std::ldexp(random.unit() - 0.5, exponent);
        if (!std::isfinite(x)) x = 1e308;
        const auto n = static_cast<int64_t>(random.next()) >> (63 - bits * 63 / 2000);
        rows.push_back({0, {x, n, static_cast<int64_t>(random.below(40))}, {}});
      }
      const auto all = [&](const char* column) {
        return std::vector<Aggregate>{aggregate(AggregateKind::kSum, column),
                                      aggregate(AggregateKind::kVar, column),
                                      aggregate(AggregateKind::kMin, column)};
      };
      const Stores stores = make_stores(schema, rows, {.partitions = 2, .tile_rows = 128}, random);
      for (const EmulatedOptions& options : {EmulatedOptions{.rows_a_word = 4096},
                                             {.blocks = 2, .shared_bytes = 0},
                                             {.shared_bytes = 40000}}) {
        const auto device = make_emulated_backend(options);
        const std::string told = std::to_string(bits) + " bits, " + std::to_string(shift) + ": ";
        same(*device, schema, {of(all("x")), of(all("n"))}, stores, told);
        same(*device, schema, {of({aggregate(AggregateKind::kSum, "x")})}, stores, told);
        same(*device, schema, {of(all("x"), {"g"}), of(all("n"), {"g"}), of(all("n"), {"x"})}, stores, told);
      }
    }
  }
}

TEST_CASE("device: one range of one column, the kernel of the common shape") {
  Random random(23);
  const Schema schema{{{"x", ColumnType::kFloat64}, {"n", ColumnType::kInt64}}};
  std::vector<Row> rows;
  for (int i = 0; i < 20000; ++i) {
    rows.push_back({0, {random.unit() * 100, static_cast<int64_t>(random.below(1000)) - 500}, {}});
    if (random.chance(0.01)) rows.back().values[random.below(2)] = Value();
    if (i > 19000 && random.chance(0.1)) rows.back().values[0] = std::nan("");
  }
  for (const double gaps : {0.0, 0.1}) {
    const Stores stores =
        make_stores(schema, rows, {.partitions = 2, .tile_rows = 8192, .gaps = gaps}, random);
    const auto log = std::make_shared<DeviceLog>();
    const auto device = make_emulated_backend({}, log);
    uint64_t asked = 0;
    for (const char* summed : {"x", "n"}) {
      for (const char* tested : {"", "x", "n"}) {
        for (const auto& kinds : {std::vector{AggregateKind::kSum},
                                  {AggregateKind::kMax},
                                  {AggregateKind::kSum, AggregateKind::kMin},
                                  {AggregateKind::kVar, AggregateKind::kMin}}) {
          Query query;
          for (const AggregateKind kind : kinds) query.aggregates.push_back(aggregate(kind, summed));
          if (*tested != 0) query.where.push_back({tested, Compare::kLess, {12.5}});
          same(*device, schema, {query}, stores, std::string(summed) + " where " + tested);
          ++asked;
        }
      }
    }
    CHECK_EQUAL(log->launches[cuda::Kernel::kOne], asked);
    CHECK_EQUAL(log->launches[cuda::Kernel::kScan], 0u);
  }
}

TEST_CASE("device: many different values, hashes of numbers and strings") {
  Random random(31);
  const Schema schema{{{"x", ColumnType::kFloat64}, {"n", ColumnType::kInt64}, {"s", ColumnType::kString}}};
  for (const uint64_t different : {1u, 4095u, 4096u, 4097u, 9000u}) {
    std::vector<Row> rows;
    for (uint64_t i = 0; i < 12000; ++i) {
      const uint64_t number = i < different ? i : random.below(different);
      rows.push_back(
          {0,
           {static_cast<double>(number) / 3, static_cast<int64_t>(number), "s" + std::to_string(number)},
           {}});
    }
    for (const bool shared : {true, false}) {
      const Stores stores = make_stores(
          schema, rows, {.partitions = 2, .tile_rows = 4096, .shared_dictionary = shared}, random);
      const auto device = make_emulated_backend({.bytes = uint64_t{128} << 20});
      same(*device, schema,
           {of({aggregate(AggregateKind::kDistinct, "x"), aggregate(AggregateKind::kDistinct, "n"),
                aggregate(AggregateKind::kDistinct, "s")})},
           stores, std::to_string(different) + ": ");
    }
  }
}

TEST_CASE("device: groups up to and beyond the limit, dense and hashed") {
  Random random(37);
  const Schema schema{{{"x", ColumnType::kFloat64}, {"n", ColumnType::kInt64}, {"s", ColumnType::kString}}};
  std::vector<Row> rows;
  for (int i = 0; i < 3000; ++i) {
    rows.push_back({i,
                    {std::floor(random.unit() * 700) / 7, static_cast<int64_t>(random.below(900)),
                     "s" + std::to_string(random.below(30))},
                    {}});
  }
  const Stores stores = make_stores(schema, rows, {.partitions = 2, .tile_rows = 512}, random);
  for (const uint32_t shared_bytes : {0u, 4000u, 30000u, 200000u}) {
    const auto device = make_emulated_backend({.shared_bytes = shared_bytes, .bytes = uint64_t{128} << 20});
    for (const uint64_t limit : {5u, 600u, 900u, 10000u}) {
      for (const auto& columns : {std::vector<std::string>{"n"}, {"x"}, {"s", "x"}, {"s", "n"}, {"s"}}) {
        Query query = of({aggregate(AggregateKind::kSum, "x"), aggregate(AggregateKind::kAvg, "n"),
                          aggregate(AggregateKind::kFirst, "x"), aggregate(AggregateKind::kLast, "n")},
                         columns);
        query.limit_groups = limit;
        same(*device, schema, {query}, stores, "limit " + std::to_string(limit) + ": ");
      }
    }
  }
}

}  // namespace covey::agg::test
