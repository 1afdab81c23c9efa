// What only a real device can show; skipped, with the reason, where there is none.
#include "gpu/engine.h"
#include "gpu/tests/check.h"
#include "gpu/tests/golden.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

// Null, and the case is skipped: there is no device.
std::unique_ptr<Backend> real_device(uint64_t bytes_max = uint64_t{1} << 30) {
  Result<std::unique_ptr<Backend>> made = make_cuda_backend({.bytes_max = bytes_max});
  if (made) return std::move(*made);
  CHECK(made.error().code == ErrorCode::kNoDevice);
  skip(made.error().message);
  return nullptr;
}

void same(Backend& device, Backend& cpu, const Plan& plan, const Stores& stores, int& answered) {
  ScanProfile profile;
  const Result<Partials> found = run(device, plan, stores.inputs, {}, profile);
  if (!found) {
    CHECK_EQUAL(found.error().message + " " + std::to_string(static_cast<int>(found.error().code)),
                found.error().message + " " + std::to_string(static_cast<int>(ErrorCode::kNotForDevice)));
    return;
  }
  ++answered;
  CHECK(found->encode() == scan_of(cpu, plan, stores)->encode());
}

}  // namespace

TEST_CASE("a real device: golden vectors are exact, rounded once") {
  const auto device = real_device();
  if (!device) return;
  for_each_golden([&](const GoldenCase& one) {
    Random random(1);
    const Stores stores =
        make_stores(one.schema, one.rows, {.partitions = 3, .tile_rows = 256, .gaps = 0.3}, random);
    const auto partials = scan_of(*device, one.plan, stores);
    if (partials) check_answers(one.golden, one.plan, *partials, "on a device");
  });
}

TEST_CASE("a real device: partials are the bytes of the CPU's for random questions, again and again") {
  const auto device = real_device();
  if (!device) return;
  const auto cpu = make_cpu_backend();
  int answered = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    const Schema schema = random_schema();
    const auto rows =
        random_rows(random.below(200000), {.siblings = seed % 3 == 0, .special = seed % 2 == 0}, random);
    std::vector<Query> queries;
    for (uint64_t i = seed % 4 == 0 ? 8 : 1; i > 0; --i) queries.push_back(random_query(random));
    const auto plan =
        plan_of(schema, queries, {.siblings = seed % 3 == 0 ? Siblings::kMax : Siblings::kLatest});
    if (!plan) continue;
    const Stores stores = make_stores(schema, rows,
                                      {.partitions = static_cast<uint32_t>(1 + random.below(4)),
                                       .tile_rows = 1024u << random.below(7),
                                       .gaps = random.unit() * 0.1},
                                      random);
    for (int again = 0; again < 3; ++again) same(*device, *cpu, *plan, stores, answered);
  }
  CHECK(answered > 300);
}

TEST_CASE("a real device: what does not fit its memory goes over it in turns") {
  const auto device = real_device(uint64_t{8} << 20);
  if (!device) return;
  const auto cpu = make_cpu_backend();
  Random random(5);
  const Schema schema = random_schema();
  const Stores stores = make_stores(schema, random_rows(1000000, {}, random), {.partitions = 2}, random);
  int answered = 0;
  for (int i = 0; i < 10; ++i)
    same(*device, *cpu, *plan_of(schema, {random_query(random)}), stores, answered);
  CHECK(answered > 0);
  CHECK(device->memory().resident_bytes <= device->memory().total_bytes);
}

TEST_CASE("a real device: the engine measures it and asks it") {
  if (!real_device()) return;
  const auto engine = Engine::start({}, {.bytes_max = uint64_t{1} << 30});
  CHECK(engine->counters().gpu_present);
  CHECK(engine->model().gpu_bytes_per_us > 10000 && engine->model().link_bytes_per_us > 100);
  Random random(6);
  const Schema schema = random_schema();
  const Stores stores = make_stores(schema, random_rows(1000, {}, random), {}, random);
  Query query;
  query.aggregates = {aggregate(AggregateKind::kSum, "x")};
  EngineProfile profile;
  CHECK(engine->scan(*plan_of(schema, {query}), stores.inputs, DeviceChoice::kGpu, {}, profile).ok());
  CHECK_EQUAL(profile.device, "gpu");
}

}  // namespace covey::agg::test
