// The few calls that the CUDA back end makes of a device: memory, copies, launches. gpu/cuda_device.cu makes
// them of CUDA; the tests have one that runs the kernels on the CPU and fails where it is told to.
//
// Everything is ordered on one stream. One thread at a time calls. Each call says whether it worked:
// kOutOfMemory, or kDeviceFailed, after which the device must not be used again.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "gpu/backend.h"
#include "gpu/cuda_program.h"
#include "gpu/result.h"

namespace covey::agg::cuda {

struct DeviceInfo {
  std::string name;
  uint64_t bytes_free = 0;
  uint32_t blocks = 1;        // that run at the same time
  uint32_t shared_bytes = 0;  // that each of them may have
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;

  // Both live as long as the device. Addresses of allocate() are the device's: nobody else reads through
  // them.
  virtual Result<std::byte*> allocate(uint64_t bytes) = 0;
  virtual Result<std::byte*> allocate_pinned(uint64_t bytes) = 0;  // host memory that copies are fast from

  // Begin, and are done when wait() or wait_for() a later mark() returns. Host addresses are pinned.
  virtual Status upload(std::byte* to, const std::byte* from, uint64_t bytes) = 0;
  virtual Status download(std::byte* to, const std::byte* from, uint64_t bytes) = 0;
  virtual Status clear(std::byte* at, uint64_t bytes) = 0;
  // `job` is the kernel's: ScanJob, CarryJob, RefineJob, ReadJob.
  virtual Status launch(Kernel kernel, uint32_t blocks, uint32_t shared_bytes, const void* job) = 0;

  virtual Status mark(int which) = 0;  // 0 or 1
  virtual Status wait_for(int which) = 0;
  virtual Status wait() = 0;

  // What part of its memory is in use, for a device that can tell who oversteps.
  virtual void in_use(std::byte*, uint64_t /*bytes*/, bool /*used*/) {}
};

struct DeviceOptions {
  uint64_t bytes_max = 0;             // of the arena; 0: nine tenths of what is free
  uint64_t rows_a_word = kRowsAWord;  // at most; less in tests
};
// Takes its arena at once. kOutOfMemory, kDeviceFailed.
Result<std::unique_ptr<Backend>> make_device_backend(std::unique_ptr<Device> device, DeviceOptions options);

}  // namespace covey::agg::cuda
