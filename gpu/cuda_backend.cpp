// The back end of a device, whatever makes its calls.
#include <algorithm>
#include <chrono>
#include <mutex>

#include "gpu/cpu_scan.h"
#include "gpu/cuda_scan.h"

namespace covey::agg::cuda {

namespace {

using Clock = std::chrono::steady_clock;
double us_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

class DeviceBackend final : public Backend {
 public:
  DeviceBackend(std::unique_ptr<Device> device, std::unique_ptr<DeviceMemory> memory, uint64_t rows_a_word)
      : device_(std::move(device)), memory_(std::move(memory)), tiles_(*memory_), rows_a_word_(rows_a_word) {}

  std::string_view name() const override { return "gpu"; }
  std::string describe() const override {
    return device_->info().name + ", " + std::to_string(memory_->total() >> 20) + " MiB for tiles";
  }

  Result<Partials> scan(const Plan& plan, std::span<const PartitionInput> inputs, const ScanOptions& options,
                        ScanProfile& profile) override {
    Result<BoundScan> bound = bind(plan, inputs);
    if (!bound) return bound.error();
    Result<Partials> answer = ask(plan, *bound, options, profile);
    forget_own_stores(*bound);
    return answer;
  }

  Result<Refined> refine(const Plan& plan, const Refinement& ask, std::span<const PartitionInput> inputs,
                         const ScanOptions& options, ScanProfile& profile) override {
    if (ask.fingerprint != plan.fingerprint())
      return Error{ErrorCode::kMismatch, "a round of other queries: ask again", ""};
    Result<BoundScan> bound = bind(plan, inputs);
    if (!bound) return bound.error();
    Workplace place{*device_, *memory_, tiles_, rows_a_word_};
    Result<Refined> found = refine_on_device(place, *bound, ask, options, profile);
    for (const BoundScan::Unit& unit : bound->units) profile.bytes_scanned += unit_bytes(*bound, unit);
    forget_own_stores(*bound);
    return found;
  }

  uint64_t resident_bytes(const Plan& plan, std::span<const PartitionInput> inputs) const override {
    uint64_t bytes = 0;
    for (const PartitionInput& input : inputs) {
      for (const uint32_t column : plan.columns()) bytes += tiles_.resident(*input.store, column);
      bytes += tiles_.resident(*input.store, TileCache::kLive);
    }
    return bytes;
  }
  MemoryReport memory() const override {
    const std::lock_guard lock(mutex_);
    return report_;
  }
  void evict(uint64_t bytes) override {
    tiles_.begin();
    tiles_.evict(bytes);
    report();
  }
  void forget(uint64_t store_id) override {
    tiles_.forget(store_id);
    report();
  }
  void measure(CostModel& model) override;

 private:
  Result<Partials> ask(const Plan& plan, const BoundScan& bound, const ScanOptions& options,
                       ScanProfile& profile) {
    Workplace place{*device_, *memory_, tiles_, rows_a_word_};
    DeviceScan groups(place, bound, options, profile);
    DeviceScan scan(place, bound, options, profile);
    Result<Partials> answer = ask(plan, bound, groups, scan, profile);
    return answer ? std::move(answer) : settle(place, answer.error());
  }
  Result<Partials> ask(const Plan& plan, const BoundScan& bound, DeviceScan& groups, DeviceScan& scan,
                       ScanProfile& profile) {
    const Result<HashedTables> tables = groups.enter_groups();
    if (!tables) return tables.error();
    Result<Program> program = Program::make(bound, *tables, scan.limits());
    if (!program) return program.error();
    ScanJob job;
    if (Status done = scan.prepare(*program, job); !done) return done.error();
    if (Status done = scan.round(*program, job, Round::kMain); !done) return done.error();
    if (program->has_times()) {
      if (Status done = scan.round(*program, job, Round::kTimes); !done) return done.error();
    }
    for (const BoundScan::Unit& unit : bound.units) {
      profile.bytes_scanned += unit_bytes(bound, unit);
      profile.rows += bound.inputs[unit.input].store->capacity(unit.tile);
    }
    const double downloaded = profile.download_us;
    const auto merging = Clock::now();
    Result<std::vector<SelectionState>> states = read_states(scan, *program);
    if (!states) return states.error();
    Partials partials(plan);
    partials.selections() = std::move(*states);
    profile.merge_us += us_since(merging) - (profile.download_us - downloaded);
    return partials;
  }
  // Those that were made for the time of a scan.
  void forget_own_stores(const BoundScan& bound) {
    for (const BoundInput& input : bound.inputs) {
      if (input.own_store) tiles_.forget(input.store->id());
    }
    report();
  }
  void report() {
    const std::lock_guard lock(mutex_);
    report_ = {memory_->total(), tiles_.bytes(), memory_->used() - tiles_.bytes()};
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceMemory> memory_;
  TileCache tiles_;
  uint64_t rows_a_word_;
  mutable std::mutex mutex_;  // report_
  MemoryReport report_;
};

// Plain reads and copies of a part of the arena, each the best of three. What can't be measured stays as it
// was.
void DeviceBackend::measure(CostModel& model) {
  constexpr uint64_t kCopied = uint64_t{64} << 20;
  const uint64_t bytes = std::min(uint64_t{1} << 30, memory_->total() / 4) / 256 * 256;
  std::byte* const at = memory_->take(bytes);
  std::byte* const sum = memory_->take(16);
  const auto best_us = [&](const auto& work) {
    double best = 0;
    for (int i = 0; i < 4; ++i) {  // the first is not counted
      const auto begin = Clock::now();
      if (!work() || !device_->wait()) return 0.0;
      const double us = us_since(begin);
      best = i < 2 ? us : std::min(best, us);
    }
    return std::max(best, 0.001);
  };
  const auto read = [&](uint64_t words) {
    const ReadJob job{reinterpret_cast<const uint64_t*>(at), words, reinterpret_cast<uint64_t*>(sum)};
    return device_->launch(Kernel::kRead, device_->info().blocks, 0, &job);
  };
  if (at != nullptr && sum != nullptr && device_->clear(at, bytes) && device_->clear(sum, 16)) {
    const double empty = best_us([&] { return read(0).ok(); });
    const double full = best_us([&] { return read(bytes / 8).ok(); });
    const std::string zeros(std::min(kCopied, bytes), 0);
    const double copied = best_us([&] { return memory_->upload(at, zeros.data(), zeros.size()).ok(); });
    if (empty > 0 && full > 0 && copied > 0) {
      model.gpu_launch_us = empty * 4;  // a clear, a scan, and two copies
      model.gpu_bytes_per_us = static_cast<double>(bytes) / std::max(0.001, full - empty * 0.5);
      model.link_bytes_per_us = static_cast<double>(zeros.size()) / copied;
    }
  }
  if (at != nullptr) memory_->give(at);
  if (sum != nullptr) memory_->give(sum);
}

}  // namespace

Result<std::unique_ptr<Backend>> make_device_backend(std::unique_ptr<Device> device, DeviceOptions options) {
  Result<std::unique_ptr<DeviceMemory>> memory = DeviceMemory::make(*device, options.bytes_max);
  if (!memory) return memory.error();
  return std::unique_ptr<Backend>(
      std::make_unique<DeviceBackend>(std::move(device), std::move(*memory), options.rows_a_word));
}

}  // namespace covey::agg::cuda
