// Who scans: the CPU, a CUDA device, or a test's wrapper that fails on purpose.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/bitmap.h"
#include "gpu/column_store.h"
#include "gpu/cost_model.h"
#include "gpu/partials.h"
#include "gpu/plan.h"
#include "gpu/result.h"

namespace covey::agg {

// One partition's share of a scan. Nothing is owned and nothing may change while the scan runs.
struct PartitionInput {
  const ColumnStore* store = nullptr;
  // By Query::row_set: the rows of this partition that a key prefix, range or list means. REQUIRES
  // Plan::row_sets() entries; null: no row.
  std::vector<const Bitmap*> row_sets;
};

struct ScanOptions {
  uint32_t threads = 0;                          // at most so many; 0: all that the back end has
  const std::atomic<bool>* cancelled = nullptr;  // looked at between tiles
};

// Wall time of each phase in microseconds; phases do not overlap, what is missing in their sum is the
// caller's.
struct ScanProfile {
  double upload_us = 0;  // host to device
  double scan_us = 0;
  double download_us = 0;      // device to host
  double merge_us = 0;         // of threads' and partitions' states
  uint64_t bytes_scanned = 0;  // of values and bitmaps that the scan read, each once
  uint64_t rows = 0;           // slots of the row groups looked at
  uint64_t tiles_skipped = 0;  // row groups that no query needed to look at, by their zone maps
  void add(const ScanProfile& other);
};

struct MemoryReport {
  uint64_t total_bytes = 0;     // device: of the arena; CPU: 0, the stores own the tiles
  uint64_t resident_bytes = 0;  // device: of cached tiles
  uint64_t state_bytes = 0;     // held for states between scans
};

// Thread-safety: one scan at a time (the executor's); memory() and name() from any thread.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  // "cpu", "gpu"
  virtual std::string describe() const = 0;   // for people: instruction set or device, threads, memory

  // One pass over the needed columns of all the partitions. Errors here concern the whole batch:
  // kOutOfMemory, kDeviceFailed, kCancelled, kMismatch (a store of another schema); those of one selection
  // are in the partials. The partials are the same bits on every back end.
  virtual Result<Partials> scan(const Plan& plan, std::span<const PartitionInput> inputs,
                                const ScanOptions& options, ScanProfile& profile) = 0;
  virtual Result<Refined> refine(const Plan& plan, const Refinement& ask,
                                 std::span<const PartitionInput> inputs, const ScanOptions& options,
                                 ScanProfile& profile) = 0;

  // Bytes of the needed tiles that the back end has where it computes; the rest has to cross the link first.
  virtual uint64_t resident_bytes(const Plan& plan, std::span<const PartitionInput> inputs) const = 0;
  virtual MemoryReport memory() const = 0;
  // Frees what it keeps between scans, least valuable first, until `bytes` are free or nothing is left.
  virtual void evict(uint64_t bytes) = 0;
  // A store is gone: forget its tiles.
  virtual void forget(uint64_t store_id) = 0;
  // Sets the model's constants of this device.
  virtual void measure(CostModel&) {}
};

struct CpuOptions {
  uint32_t threads =
      0;  // workers, the caller's thread included; 0: as many as the machine has cores, at most 256
  // The highest instruction set to use; the machine's own limit holds as well.
  enum class Isa : uint8_t { kScalar = 1, kAvx2, kAvx512, kAvx512Ifma } isa = Isa::kAvx512Ifma;
};
// Never fails: it is what every other back end falls back to. Its threads sleep between scans.
std::unique_ptr<Backend> make_cpu_backend(CpuOptions options = {});

struct CudaOptions {
  bool enabled = true;
  int device = 0;
  uint64_t bytes_max = 0;  // of the arena; 0: nine tenths of what is free
};
// kNoDevice with the reason: built without CUDA, no driver, no such device, not enabled.
Result<std::unique_ptr<Backend>> make_cuda_backend(CudaOptions options = {});

// All rounds on one back end: for one node alone, tests and benchmarks.
Result<Partials> run(Backend& backend, const Plan& plan, std::span<const PartitionInput> inputs,
                     const ScanOptions& options, ScanProfile& profile);

}  // namespace covey::agg
