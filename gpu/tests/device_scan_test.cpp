// The device's kernels give the bytes that the CPU gives, however they are run; here by the emulation.
#include <cmath>

#include "gpu/tests/check.h"
#include "gpu/tests/emulated_device.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

struct Tally {
  int answered = 0;
  int refused = 0;
};

// Whether the device took the question; its partials are those of the CPU.
bool same_as_cpu(Backend& device, const Plan& plan, const Stores& stores, const std::string& told,
                 Tally& tally) {
  static const auto cpu = make_cpu_backend({.threads = 1});
  ScanProfile profile;
  Result<Partials> found = run(device, plan, stores.inputs, {}, profile);
  if (!found) {
    CHECK_EQUAL(static_cast<int>(found.error().code), static_cast<int>(ErrorCode::kNotForDevice));
    CHECK(!found.error().message.empty());

    ++tally.refused;
    return false;
  }
  ++tally.answered;
  const auto expected = scan_of(*cpu, plan, stores);
  if (!expected) return false;
  for (size_t i = 0; i < plan.queries().size(); ++i) {
    const auto text = [&](const Partials& partials) {
      const Result<QueryAnswer> answer = partials.finish(plan, i);
      return told + " query " + std::to_string(i) + "\n" +
             (answer ? text_of(read_all(*answer)) : answer.error().message);
    };
    CHECK_EQUAL(text(*found), text(*expected));
  }
  CHECK(found->encode() == expected->encode());
  return true;
}

std::vector<EmulatedOptions> devices() {
  return {{},
          {.blocks = 1, .shared_bytes = 0},
          {.blocks = 7, .shared_bytes = 20000, .rows_a_word = 4096},
          {.blocks = 2, .shared_bytes = 3000},
          {.blocks = 4, .shared_bytes = 227 << 10, .rows_a_word = 8192}};
}

void compare(uint64_t seed, RowsOptions rows_options, Siblings siblings, double spread, Tally& tally) {
  Random random(seed);
  const Schema schema = random_schema();
  auto rows =
      random_rows(random.below(4) == 0 ? random.below(70) : 300 + random.below(6000), rows_options, random);
  for (Row& row : rows) {
    if (spread == 0 || is_null(row.values[0]) || !row.siblings.empty() || random.chance(0.3)) continue;
    row.values[0] = (random.unit() - 0.5) * spread * (random.chance(0.1) ? 1e-7 : 1.0);
    if (random.chance(0.5) && !is_null(row.values[1]))
      row.values[1] = static_cast<int64_t>(random.next() >> random.below(64));
  }
  std::vector<Query> queries;
  for (uint64_t i = random.below(4) == 0 ? 8 : 1; i > 0; --i) queries.push_back(random_query(random));
  const auto plan = plan_of(schema, queries, {.siblings = siblings});
  if (!plan) return;
  const Layout layout{.partitions = static_cast<uint32_t>(1 + random.below(3)),
                      .tile_rows = 64u << random.below(9),
                      .gaps = random.unit() * 0.2,
                      .shared_dictionary = random.chance(0.5)};
  const Stores stores = make_stores(schema, rows, layout, random);
  const auto options = devices()[random.below(devices().size())];
  const auto device = make_emulated_backend(options);
  for (int again = 0; again < 2; ++again)
    same_as_cpu(*device, *plan, stores, "seed " + std::to_string(seed), tally);
}

}  // namespace

TEST_CASE("device: partials are the bytes of the CPU's for random questions") {
  Tally tally;
  for (uint64_t seed = 1; seed <= 150; ++seed) compare(seed, {}, Siblings::kLatest, 0, tally);
  for (uint64_t seed = 1000; seed < 1060; ++seed)
    compare(seed, {.special = true}, Siblings::kLatest, seed % 3 == 0 ? 1e200 : 1e10, tally);
  // What the device refuses is not tested here: different numbers, or a quantile, of thousands of groups.
  CHECK(tally.refused * 3 < tally.answered);
}

TEST_CASE("device: rows with siblings count as the policy says") {
  Tally tally;
  uint64_t seed = 2000;
  for (const Siblings policy : {Siblings::kLatest, Siblings::kMin, Siblings::kMax, Siblings::kSkip}) {
    for (int i = 0; i < 15; ++i)
      compare(seed++, {.siblings = true, .special = true}, policy, i % 2 == 0 ? 0 : 1e10, tally);
  }
  CHECK(tally.refused * 3 < tally.answered);
}

}  // namespace covey::agg::test
