#include "gpu/engine.h"

#include <algorithm>
#include <thread>

namespace covey::agg {

Engine::Engine(std::unique_ptr<Backend> cpu, std::unique_ptr<Backend> gpu, CostModel model,
               std::string no_gpu)
    : cpu_(std::move(cpu)), gpu_(std::move(gpu)), model_(model), no_gpu_(std::move(no_gpu)) {
  COVEY_AGG_ASSERT(cpu_ != nullptr);
  counters_.gpu_present = gpu_ != nullptr;
  if (gpu_ == nullptr) model_.gpu_bytes_per_us = 0;
  if (gpu_ == nullptr && no_gpu_.empty()) no_gpu_ = "there is no device";
}

std::unique_ptr<Engine> Engine::start(CpuOptions cpu, CudaOptions cuda) {
  CostModel model;
  const uint32_t threads = cpu.threads == 0 ? std::max(1u, std::thread::hardware_concurrency()) : cpu.threads;
  model.cpu_bytes_per_us = measure_cpu_bytes_per_us(std::min(threads, 256u));
  Result<std::unique_ptr<Backend>> device = make_cuda_backend(cuda);
  if (!device) return std::make_unique<Engine>(make_cpu_backend(cpu), nullptr, model, device.error().message);
  (*device)->measure(model);
  return std::make_unique<Engine>(make_cpu_backend(cpu), std::move(*device), model);
}

void Engine::retire(const std::string& why) {
  const std::lock_guard lock(mutex_);
  counters_.gpu_present = false;
  counters_.gpu_retired = why;
  ++counters_.gpu_failures;
  no_gpu_ = "the device failed and was retired: " + why;
}

template <class Answer, class Ask>
Result<Answer> Engine::choose(const Plan& plan, std::span<const PartitionInput> inputs, DeviceChoice choice,
                              EngineProfile& profile, const Ask& ask) {
  const bool present = counters().gpu_present;
  if (choice == DeviceChoice::kGpu && !present) {
    return Error{ErrorCode::kNoDevice, "no device: " + no_gpu_ + "; ask with device auto or cpu", ""};
  }
  CostModel model = model_;
  if (!present) model.gpu_bytes_per_us = 0;
  const uint64_t bytes = needed_bytes(plan, inputs);
  const Decision decision = decide(model, choice, bytes, present ? gpu_->resident_bytes(plan, inputs) : 0);
  profile.reason = decision.reason;
  if (decision.gpu) {
    profile.device = "gpu";
    for (int attempt = 0; attempt < 2; ++attempt) {
      Result<Answer> answer = ask(*gpu_);
      const ErrorCode code = answer ? ErrorCode::kBadQuery : answer.error().code;
      if (code == ErrorCode::kNotForDevice) {
        profile.reason += "; not for the device: " + answer.error().message;
        break;
      }
      if (answer || (code != ErrorCode::kOutOfMemory && code != ErrorCode::kDeviceFailed)) {
        const std::lock_guard lock(mutex_);
        ++counters_.gpu_scans;
        return answer;
      }
      if (code == ErrorCode::kDeviceFailed) {
        retire(answer.error().message);
        profile.reason += "; the device failed: " + answer.error().message;
        break;
      }
      {
        const std::lock_guard lock(mutex_);
        ++counters_.gpu_out_of_memory;
      }
      profile.reason += attempt == 0 ? "; device out of memory, evicted" : "; out of memory again";
      if (attempt == 0) gpu_->evict(bytes);
    }
  }
  profile.device = "cpu";
  {
    const std::lock_guard lock(mutex_);
    ++counters_.cpu_scans;
  }
  return ask(*cpu_);
}

Result<Partials> Engine::scan(const Plan& plan, std::span<const PartitionInput> inputs, DeviceChoice choice,
                              const ScanOptions& options, EngineProfile& profile) {
  return choose<Partials>(plan, inputs, choice, profile, [&](Backend& backend) {
    return backend.scan(plan, inputs, options, profile.scan);
  });
}

Result<Refined> Engine::refine(const Plan& plan, const Refinement& ask,
                               std::span<const PartitionInput> inputs, DeviceChoice choice,
                               const ScanOptions& options, EngineProfile& profile) {
  // A further round of a request that was accepted: if the device has failed since, the CPU answers.
  if (choice == DeviceChoice::kGpu && !counters().gpu_present) choice = DeviceChoice::kCpu;
  return choose<Refined>(plan, inputs, choice, profile, [&](Backend& backend) {
    return backend.refine(plan, ask, inputs, options, profile.scan);
  });
}

void Engine::forget(uint64_t store_id) {
  cpu_->forget(store_id);
  if (gpu_ && counters().gpu_present) gpu_->forget(store_id);
}

EngineCounters Engine::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

MemoryReport Engine::gpu_memory() const {
  return gpu_ && counters().gpu_present ? gpu_->memory() : MemoryReport{};
}

std::string Engine::describe() const {
  const EngineCounters now = counters();
  return "cpu: " + cpu_->describe() + "; gpu: " + (now.gpu_present ? gpu_->describe() : "none, " + no_gpu_);
}

uint64_t needed_bytes(const Plan& plan, std::span<const PartitionInput> inputs) {
  uint64_t bytes = 0;
  for (const PartitionInput& input : inputs) {
    const ColumnStore& store = *input.store;
    for (const uint32_t column : plan.columns()) {
      if (column <= store.time_column()) bytes += store.column_bytes(column);
    }
    bytes += store.rows() / 8;
  }
  return bytes;
}

}  // namespace covey::agg
