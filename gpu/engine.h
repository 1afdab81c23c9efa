// The one place that chooses a back end and survives its failures: a device out of memory is asked to evict
// and asked again, then the CPU answers; a device that fails is retired for the life of the process. A
// request never fails because of a device, unless it insisted on one (DeviceChoice::kGpu) and there is none.
//
// Thread-safety: run() by one thread at a time (the executor's); counters() from any.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "gpu/backend.h"
#include "gpu/cost_model.h"

namespace covey::agg {

struct EngineProfile {
  ScanProfile scan;
  std::string device;  // "cpu" or "gpu": which answered
  std::string reason;  // why, with the estimates and what failed
};

struct EngineCounters {
  uint64_t cpu_scans = 0;
  uint64_t gpu_scans = 0;
  uint64_t gpu_out_of_memory = 0;
  uint64_t gpu_failures = 0;
  bool gpu_present = false;  // and not retired
  std::string gpu_retired;   // why; empty unless it is
};

class Engine {
 public:
  // `gpu` may be null: `no_gpu` is then told by those who ask for it.
  Engine(std::unique_ptr<Backend> cpu, std::unique_ptr<Backend> gpu, CostModel model,
         std::string no_gpu = "");

  // A CPU back end, a CUDA one where there is a device, and measured constants: takes some tens of
  // milliseconds.
  static std::unique_ptr<Engine> start(CpuOptions cpu = {}, CudaOptions cuda = {});

  // One pass; the errors of Backend::scan that are not a device's, and kNoDevice.
  Result<Partials> scan(const Plan& plan, std::span<const PartitionInput> inputs, DeviceChoice choice,
                        const ScanOptions& options, EngineProfile& profile);
  // A further round for exact quantiles; never kNoDevice.
  Result<Refined> refine(const Plan& plan, const Refinement& ask, std::span<const PartitionInput> inputs,
                         DeviceChoice choice, const ScanOptions& options, EngineProfile& profile);

  void forget(uint64_t store_id);
  EngineCounters counters() const;
  MemoryReport gpu_memory() const;
  std::string describe() const;
  const CostModel& model() const { return model_; }

 private:
  template <class Answer, class Ask>
  Result<Answer> choose(const Plan& plan, std::span<const PartitionInput> inputs, DeviceChoice choice,
                        EngineProfile& profile, const Ask& ask);
  void retire(const std::string& why);

  std::unique_ptr<Backend> cpu_;
  std::unique_ptr<Backend> gpu_;
  CostModel model_;
  std::string no_gpu_;
  mutable std::mutex mutex_;  // counters_
  EngineCounters counters_;
};

// Bytes that a scan has to read: each needed tile and bitmap once.
uint64_t needed_bytes(const Plan& plan, std::span<const PartitionInput> inputs);

}  // namespace covey::agg
