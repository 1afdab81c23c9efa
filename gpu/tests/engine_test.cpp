// A request never fails because of a device: what fails on purpose here is a back end that wraps the CPU's.
#include "gpu/engine.h"

#include <thread>

#include "gpu/tests/check.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

// Answers as the CPU does, but for the failures that were put in.
class FaultyBackend final : public Backend {
 public:
  explicit FaultyBackend(std::vector<ErrorCode> faults) : faults_(std::move(faults)) {}
  std::string_view name() const override { return "gpu"; }
  std::string describe() const override { return "a device for tests"; }
  Result<Partials> scan(const Plan& plan, std::span<const PartitionInput> inputs, const ScanOptions& options,
                        ScanProfile& profile) override {
    if (const auto fault = next()) return *fault;
    return cpu_->scan(plan, inputs, options, profile);
  }
  Result<Refined> refine(const Plan& plan, const Refinement& ask, std::span<const PartitionInput> inputs,
                         const ScanOptions& options, ScanProfile& profile) override {
    if (const auto fault = next()) return *fault;
    return cpu_->refine(plan, ask, inputs, options, profile);
  }
  uint64_t resident_bytes(const Plan& plan, std::span<const PartitionInput> inputs) const override {
    return resident_ ? needed_bytes(plan, inputs) : 0;
  }
  MemoryReport memory() const override { return {1000, resident_ ? 500u : 0u, 0}; }
  void evict(uint64_t) override {
    resident_ = false;
    ++evictions;
  }
  void forget(uint64_t) override {}
  int asked = 0;
  int evictions = 0;

 private:
  std::optional<Error> next() {
    ++asked;
    if (faults_.empty()) return std::nullopt;
    const ErrorCode code = faults_.front();
    faults_.erase(faults_.begin());
    if (code == ErrorCode::kBadQuery) return std::nullopt;  // no fault this time
    return Error{code, "made to fail", ""};
  }
  std::vector<ErrorCode> faults_;
  bool resident_ = true;
  std::unique_ptr<Backend> cpu_ = make_cpu_backend({.threads = 1});
};

constexpr ErrorCode kFine = ErrorCode::kBadQuery;
const CostModel kGpuFarAway{
    .cpu_bytes_per_us = 10, .gpu_bytes_per_us = 1000, .link_bytes_per_us = 100, .gpu_launch_us = 1};

struct Scene {
  Random random{11};
  Schema schema = random_schema();
  std::vector<Row> rows = random_rows(3000, {}, random);
  Stores stores = make_stores(schema, rows, {.partitions = 2}, random);
  std::optional<Plan> plan;
  std::string expected;
  FaultyBackend* device = nullptr;
  std::unique_ptr<Engine> engine;

  explicit Scene(std::vector<ErrorCode> faults) {
    Query query;
    query.group_by = {"site"};
    query.aggregates = {aggregate(AggregateKind::kSum, "x"), quantiles("n", {0.5}, QuantileMode::kExact)};
    plan = plan_of(schema, {query});
    const auto cpu = make_cpu_backend({.threads = 1});
    expected = scan_of(*cpu, *plan, stores)->encode();
    auto faulty = std::make_unique<FaultyBackend>(std::move(faults));
    device = faulty.get();
    engine = std::make_unique<Engine>(make_cpu_backend({.threads = 2}), std::move(faulty), kGpuFarAway);
  }
  // The device that answered; the answer is checked.
  std::string ask(DeviceChoice choice = DeviceChoice::kAuto) {
    EngineProfile profile;
    auto partials = engine->scan(*plan, stores.inputs, choice, {}, profile);
    if (!partials) return partials.error().code == ErrorCode::kNoDevice ? "no device" : "error";
    while (const auto refinement = partials->refinement(*plan)) {
      EngineProfile ignored;
      const auto found = engine->refine(*plan, *refinement, stores.inputs, choice, {}, ignored);
      CHECK(found.ok() && partials->absorb(*plan, *refinement, *found).ok());
      if (!found) return "error";
    }
    CHECK(partials->encode() == expected);
    CHECK(!profile.reason.empty());
    return profile.device;
  }
};

}  // namespace

TEST_CASE("the device answers when it is estimated faster or asked for") {
  Scene scene({});
  CHECK_EQUAL(scene.ask(), "gpu");
  CHECK_EQUAL(scene.ask(DeviceChoice::kCpu), "cpu");
  CHECK_EQUAL(scene.ask(DeviceChoice::kGpu), "gpu");
  const Decision slow = decide({.cpu_bytes_per_us = 100, .gpu_bytes_per_us = 1000, .link_bytes_per_us = 10},
                               DeviceChoice::kAuto, 1000000, 0);
  CHECK(!slow.gpu && slow.gpu_us > slow.cpu_us);
  const Decision resident =
      decide({.cpu_bytes_per_us = 100, .gpu_bytes_per_us = 1000, .link_bytes_per_us = 10},
             DeviceChoice::kAuto, 1000000, 1000000);
  CHECK(resident.gpu && resident.reason.starts_with("resident; estimated gpu 1.0 ms, cpu 10 ms"));
}

TEST_CASE("a device out of memory evicts and is asked again") {
  Scene scene({ErrorCode::kOutOfMemory});
  CHECK_EQUAL(scene.ask(), "gpu");
  CHECK_EQUAL(scene.device->evictions, 1);
  CHECK_EQUAL(scene.engine->counters().gpu_out_of_memory, 1u);
  CHECK(scene.engine->counters().gpu_present);
}

TEST_CASE("a device that stays out of memory leaves the answer to the CPU, and is asked again next time") {
  Scene scene({ErrorCode::kOutOfMemory, ErrorCode::kOutOfMemory});
  CHECK_EQUAL(scene.ask(), "cpu");
  CHECK_EQUAL(scene.ask(DeviceChoice::kGpu), "gpu");
}

TEST_CASE("a device that fails is retired for the life of the process, its request answered by the CPU") {
  Scene scene({kFine, kFine, ErrorCode::kDeviceFailed});
  CHECK_EQUAL(scene.ask(), "gpu");
  const int asked = scene.device->asked;
  CHECK_EQUAL(scene.ask(DeviceChoice::kGpu), "cpu");
  CHECK_EQUAL(scene.ask(DeviceChoice::kGpu), "no device");
  CHECK_EQUAL(scene.ask(), "cpu");
  CHECK_EQUAL(scene.device->asked, asked + 1);
  const EngineCounters counters = scene.engine->counters();
  CHECK(!counters.gpu_present && counters.gpu_failures == 1 && counters.gpu_retired == "made to fail");
  CHECK(scene.engine->gpu_memory().total_bytes == 0);
}

TEST_CASE("without a device auto means the CPU, and asking for one says that there is none") {
  Scene scene({});
  Engine engine(make_cpu_backend({.threads = 1}), nullptr, kGpuFarAway,
                "this program was built without CUDA");
  EngineProfile profile;
  CHECK(engine.scan(*scene.plan, scene.stores.inputs, DeviceChoice::kAuto, {}, profile).ok());
  CHECK_EQUAL(profile.device, "cpu");
  const auto refused = engine.scan(*scene.plan, scene.stores.inputs, DeviceChoice::kGpu, {}, profile);
  CHECK(!refused && refused.error().code == ErrorCode::kNoDevice);
  CHECK(refused.error().message.find("without CUDA") != std::string::npos);
  CHECK(engine.describe().find("without CUDA") != std::string::npos);
}

TEST_CASE("a device that is switched off is not looked for") {
  const auto refused = make_cuda_backend({.enabled = false});
  CHECK(!refused && refused.error().code == ErrorCode::kNoDevice);
  CHECK(refused.error().message == "the device is switched off");
}

TEST_CASE("a scan that is cancelled says so") {
  Scene scene({});
  const std::atomic<bool> cancelled{true};
  EngineProfile profile;
  const auto stopped = scene.engine->scan(*scene.plan, scene.stores.inputs, DeviceChoice::kCpu,
                                          {.cancelled = &cancelled}, profile);
  CHECK(!stopped && stopped.error().code == ErrorCode::kCancelled);
}

TEST_CASE("a store whose columns have changed since the plan is refused") {
  Scene scene({});
  add_column(*scene.stores.stores[0], {"new", ColumnType::kInt64});
  EngineProfile profile;
  const auto refused = scene.engine->scan(*scene.plan, scene.stores.inputs, DeviceChoice::kCpu, {}, profile);
  CHECK(!refused && refused.error().code == ErrorCode::kMismatch);
}

}  // namespace covey::agg::test
