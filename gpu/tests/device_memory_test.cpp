// What a device keeps between scans, and what happens when its memory ends or it fails.
#include "gpu/cuda_memory.h"
#include "gpu/engine.h"
#include "gpu/tests/check.h"
#include "gpu/tests/emulated_device.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

constexpr CostModel kGpuNearby{
    .cpu_bytes_per_us = 1, .gpu_bytes_per_us = 1000, .link_bytes_per_us = 1000, .gpu_launch_us = 1};

// A table of two columns, a question, and the CPU's answer to it.
struct Table {
  Random random{5};
  Schema schema{{{"x", ColumnType::kFloat64}, {"n", ColumnType::kInt64}}};
  Stores stores;
  std::unique_ptr<Backend> cpu = make_cpu_backend({.threads = 1});

  explicit Table(int rows, uint32_t tile_rows = 1024) {
    std::vector<Row> made;
    made.reserve(static_cast<size_t>(rows));
    for (int i = 0; i < rows; ++i)
      made.push_back({i, {random.unit(), static_cast<int64_t>(random.below(100))}, {}});
    stores = make_stores(schema, made, {.tile_rows = tile_rows}, random);
  }
  Plan plan(const std::vector<std::string>& columns, std::vector<std::string> group_by = {}) const {
    Query query;
    query.group_by = std::move(group_by);
    for (const std::string& column : columns) {
      query.aggregates.push_back(aggregate(AggregateKind::kSum, column));
      query.aggregates.push_back(aggregate(AggregateKind::kLast, column));
    }
    return *plan_of(schema, {query});
  }
  ColumnStore& store() { return *stores.stores[0]; }
  void put(Slot slot, double x) {
    UpdateBatch batch;
    const std::vector<Value> values = {x, int64_t{1}};
    batch.put(slot, 7, values);
    CHECK(store().apply(batch).ok());
  }
  // Bytes that crossed the link for it.
  uint64_t ask(Backend& device, DeviceLog& log, const Plan& plan) {
    const uint64_t before = log.uploaded;
    const auto partials = scan_of(device, plan, stores);
    CHECK(partials && partials->encode() == scan_of(*cpu, plan, stores)->encode());
    return log.uploaded - before;
  }
};

}  // namespace

TEST_CASE("device: the arena gives what is free, joins neighbours, and says when there is no room") {
  cuda::Arena arena(10000);
  CHECK_EQUAL(arena.total(), 9984u);
  CHECK_EQUAL(arena.take(20000), cuda::Arena::kNoRoom);
  Random random(3);
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (int i = 0; i < 5000; ++i) {
    if (random.chance(0.55)) {
      const uint64_t bytes = 1 + random.below(2000);
      const uint64_t at = arena.take(bytes);
      if (at == cuda::Arena::kNoRoom) continue;
      CHECK(at % cuda::Arena::kStep == 0 && at + bytes <= arena.total());
      for (const auto& [other, size] : taken) CHECK(at + bytes <= other || other + size <= at);
      taken.emplace_back(at, bytes);
    } else if (!taken.empty()) {
      std::swap(taken[random.below(taken.size())], taken.back());
      arena.give(taken.back().first);
      taken.pop_back();
    }
  }
  for (const auto& [at, bytes] : taken) arena.give(at);
  CHECK_EQUAL(arena.used(), 0u);
  CHECK_EQUAL(arena.take(9984), 0u);
}

TEST_CASE("device: only tiles that changed cross the link again") {
  Table table(10240);  // ten tiles of 1,024 rows
  const auto log = std::make_shared<DeviceLog>();
  const auto device = make_emulated_backend({}, log);
  const Plan plan = table.plan({"x"});
  constexpr uint64_t kTile = 1024 * 8 + 1024 / 8;
  CHECK_EQUAL(device->resident_bytes(plan, table.stores.inputs), 0u);
  const uint64_t cold = table.ask(*device, *log, plan);
  const uint64_t warm = table.ask(*device, *log, plan);
  CHECK_EQUAL(cold - warm, 20 * kTile + 10 * 1024 / 8);  // x, the times, and which rows are live
  CHECK(device->resident_bytes(plan, table.stores.inputs) >= needed_bytes(plan, table.stores.inputs));
  table.put(5000, 17);
  CHECK(device->resident_bytes(plan, table.stores.inputs) < needed_bytes(plan, table.stores.inputs));
  CHECK_EQUAL(table.ask(*device, *log, plan) - warm, 2 * kTile);
  CHECK_EQUAL(table.ask(*device, *log, plan), warm);
  // Another column.
  const Plan other = table.plan({"n"});
  CHECK(table.ask(*device, *log, other) >= 10 * kTile);
  CHECK(table.ask(*device, *log, plan) == warm);
  device->forget(table.store().id());
  CHECK_EQUAL(device->memory().resident_bytes, 0u);
  CHECK_EQUAL(table.ask(*device, *log, plan), cold);
}

TEST_CASE("device: a column that was dropped and filled again is not taken for the one before") {
  Table table(2048);
  const auto log = std::make_shared<DeviceLog>();
  const auto device = make_emulated_backend({}, log);
  const Plan plan = table.plan({"x"});
  table.ask(*device, *log, plan);
  for (int round = 0; round < 3; ++round) {
    table.store().set_state(0, ColumnState::kAbsent);
    table.store().set_state(0, ColumnState::kFilling);
    UpdateBatch batch;
    for (Slot slot = 0; slot < 2048; ++slot) batch.set(slot, 0, Value(static_cast<double>(slot + round)));
    CHECK(table.store().apply(batch).ok());
    table.store().set_state(0, ColumnState::kWhole);
    table.ask(*device, *log, plan);
  }
}

TEST_CASE("device: what does not fit goes over it in turns, the least recently used leaves first") {
  Table table(65536);
  const auto log = std::make_shared<DeviceLog>();
  // Two columns, the times and the bitmaps are 1.6 MB.
  const auto device = make_emulated_backend({.bytes = 1000000}, log);
  const Plan both = table.plan({"x", "n"});
  table.ask(*device, *log, both);
  table.ask(*device, *log, both);
  CHECK(device->memory().resident_bytes <= device->memory().total_bytes);
  const Plan grouped = table.plan({"x"}, {"n"});
  table.ask(*device, *log, grouped);
  device->evict(1);
  device->evict(UINT64_MAX);
  CHECK_EQUAL(device->memory().resident_bytes, 0u);
  // Not even one row group.
  const auto small = make_emulated_backend({.bytes = 20000}, log);
  ScanProfile profile;
  const auto refused = small->scan(both, table.stores.inputs, {}, profile);
  CHECK(!refused && (refused.error().code == ErrorCode::kOutOfMemory ||
                     refused.error().code == ErrorCode::kNotForDevice));
  CHECK_EQUAL(small->memory().state_bytes, 0u);
}

TEST_CASE("device: stores made for the rows with siblings leave no trace") {
  Random random(8);
  const Schema schema = random_schema();
  const auto rows = random_rows(500, {.siblings = true}, random);
  const Stores stores = make_stores(schema, rows, {.tile_rows = 128}, random);
  Query query;
  query.aggregates = {aggregate(AggregateKind::kSum, "x")};
  const auto plan = plan_of(schema, {query}, {.siblings = Siblings::kMax});
  const auto device = make_emulated_backend();
  const auto cpu = make_cpu_backend({.threads = 1});
  CHECK(scan_of(*device, *plan, stores)->encode() == scan_of(*cpu, *plan, stores)->encode());
  device->forget(stores.stores[0]->id());
  CHECK_EQUAL(device->memory().resident_bytes, 0u);
  CHECK_EQUAL(device->memory().state_bytes, 0u);
}

TEST_CASE("device: whichever call fails, the request is answered and the device is not asked again") {
  Table table(700, 256);
  Query query;
  query.aggregates = {aggregate(AggregateKind::kSum, "x"), aggregate(AggregateKind::kFirst, "n"),
                      quantiles("n", {0.5}, QuantileMode::kExact)};
  Query by_value = query;
  by_value.group_by = {"x"};
  by_value.aggregates.pop_back();
  by_value.limit_groups = 10000;
  const auto plan = plan_of(table.schema, {query, by_value});
  const auto expected = scan_of(*table.cpu, *plan, table.stores);
  for (const ErrorCode how : {ErrorCode::kDeviceFailed, ErrorCode::kOutOfMemory}) {
    uint64_t failures = 0;
    for (uint64_t call = 1;; ++call) {
      const auto log = std::make_shared<DeviceLog>();
      log->fail_with = how;
      log->fail_call = call;
      auto device = try_emulated_backend({.bytes = uint64_t{2} << 20, .rows_a_word = 4096}, log);
      if (!device) {  // the arena
        CHECK(device.error().code == how);
        ++failures;
        continue;
      }
      Engine engine(make_cpu_backend({.threads = 1}), std::move(*device), kGpuNearby);
      for (int request = 0; request < 2; ++request) {
        EngineProfile profile;
        auto partials = engine.scan(*plan, table.stores.inputs, DeviceChoice::kAuto, {}, profile);
        CHECK(partials.ok());
        if (!partials) return;
        while (const auto ask = partials->refinement(*plan)) {
          EngineProfile ignored;
          const auto found = engine.refine(*plan, *ask, table.stores.inputs, DeviceChoice::kGpu, {}, ignored);
          CHECK(found.ok() && partials->absorb(*plan, *ask, *found).ok());
          if (!found) return;
        }
        CHECK(partials->encode() == expected->encode());
        for (size_t i = 0; i < 2; ++i)
          CHECK_EQUAL(text_of(answer_of(*partials, *plan, i)), text_of(answer_of(*expected, *plan, i)));
      }
      if (log->calls < call) break;  // it was never reached
      ++failures;
      const EngineCounters counters = engine.counters();
      CHECK_EQUAL(counters.gpu_failures, how == ErrorCode::kDeviceFailed ? 1u : 0u);
      CHECK_EQUAL(counters.gpu_present, how != ErrorCode::kDeviceFailed);
      if (how == ErrorCode::kDeviceFailed) {
        CHECK_EQUAL(log->calls, call);
        CHECK(counters.gpu_retired.find("made to fail") != std::string::npos);
      } else {
        CHECK_EQUAL(counters.gpu_out_of_memory, 1u);
      }
    }
    CHECK(failures > 30);
  }
}

TEST_CASE("device: constants of the cost model are measured") {
  const auto device = make_emulated_backend();
  CostModel model;
  model.gpu_bytes_per_us = 0;
  device->measure(model);
  CHECK(model.gpu_bytes_per_us > 0 && model.link_bytes_per_us > 0 && model.gpu_launch_us > 0);
  CHECK_EQUAL(device->memory().state_bytes, 0u);
}

TEST_CASE("device: what it can't take goes to the CPU with the reason told") {
  Table table(3000);
  Query query;
  query.aggregates = {aggregate(AggregateKind::kDistinct, "n")};
  query.group_by = {"x"};
  const auto plan = plan_of(table.schema, {query});
  Engine engine(make_cpu_backend({.threads = 1}), make_emulated_backend(), kGpuNearby);
  for (const DeviceChoice choice : {DeviceChoice::kAuto, DeviceChoice::kGpu}) {
    EngineProfile profile;
    CHECK(engine.scan(*plan, table.stores.inputs, choice, {}, profile).ok());
    CHECK_EQUAL(profile.device, "cpu");
    CHECK(profile.reason.find("not for the device: different numbers of up to") != std::string::npos);
  }
  CHECK(engine.counters().gpu_present);
  const std::atomic<bool> cancelled{true};
  EngineProfile profile;
  const auto stopped = engine.scan(table.plan({"x"}), table.stores.inputs, DeviceChoice::kGpu,
                                   {.cancelled = &cancelled}, profile);
  CHECK(!stopped && stopped.error().code == ErrorCode::kCancelled);
}

}  // namespace covey::agg::test
