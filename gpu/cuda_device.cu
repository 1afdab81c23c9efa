// The device's calls, made of CUDA's. Each is checked; the first error that is not about memory is the last
// call.
#include <cuda_runtime.h>

#include <algorithm>

#include "gpu/cuda_block.cuh"
#include "gpu/cuda_body.h"
#include "gpu/cuda_device.h"

namespace covey::agg::cuda {

namespace {

constexpr uint32_t kBlocksAMultiprocessor = 2;
constexpr uint32_t kSharedReserved = 1024;  // of each block, the system's

extern __shared__ __align__(16) unsigned char shared_memory[];

__global__ void __launch_bounds__(kThreads, kBlocksAMultiprocessor)
    scan_on_device(const __grid_constant__ ScanJob job) {
  CudaBlock block(shared_memory);
  scan_kernel(block, job);
}
__global__ void __launch_bounds__(kThreads, kBlocksAMultiprocessor)
    one_on_device(const __grid_constant__ ScanJob job) {
  CudaBlock block(shared_memory);
  one_kernel(block, job);
}
__global__ void __launch_bounds__(kThreads) carry_on_device(const __grid_constant__ CarryJob job) {
  CudaBlock block(shared_memory);
  carry_kernel(block, job);
}
__global__ void __launch_bounds__(kThreads, kBlocksAMultiprocessor)
    refine_on_device(const __grid_constant__ RefineJob job) {
  CudaBlock block(shared_memory);
  refine_kernel(block, job);
}
__global__ void __launch_bounds__(kThreads) read_on_device(const __grid_constant__ ReadJob job) {
  CudaBlock block(shared_memory);
  read_kernel(block, job);
}

Status status_of(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return Done{};
  const std::string message = std::string(what) + ": " + cudaGetErrorString(error);
  if (error != cudaErrorMemoryAllocation) return Error{ErrorCode::kDeviceFailed, message, ""};
  (void)cudaGetLastError();  // it does not stick
  return Error{ErrorCode::kOutOfMemory, message, ""};
}

class CudaDevice final : public Device {
 public:
  // kNoDevice: what CUDA says.
  static Result<std::unique_ptr<Device>> open(int number) {
    auto device = std::unique_ptr<CudaDevice>(new CudaDevice(number));
    if (Status opened = device->start(); !opened)
      return Error{ErrorCode::kNoDevice, opened.error().message, ""};
    return std::unique_ptr<Device>(std::move(device));
  }
  ~CudaDevice() override {
    // What fails here has failed before.
    for (std::byte* const at : device_memory_) (void)cudaFree(at);
    for (std::byte* const at : host_memory_) (void)cudaFreeHost(at);
    for (const cudaEvent_t mark : marks_) {
      if (mark != nullptr) (void)cudaEventDestroy(mark);
    }
    if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
  }

  const DeviceInfo& info() const override { return info_; }

  Result<std::byte*> allocate(uint64_t bytes) override {
    void* at = nullptr;
    if (Status done = status_of(cudaMalloc(&at, bytes), "cudaMalloc"); !done) return done.error();
    device_memory_.push_back(static_cast<std::byte*>(at));
    return device_memory_.back();
  }
  Result<std::byte*> allocate_pinned(uint64_t bytes) override {
    void* at = nullptr;
    if (Status done = status_of(cudaMallocHost(&at, bytes), "cudaMallocHost"); !done) return done.error();
    host_memory_.push_back(static_cast<std::byte*>(at));
    return host_memory_.back();
  }
  Status upload(std::byte* to, const std::byte* from, uint64_t bytes) override {
    return status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_),
                     "a copy to the device");
  }
  Status download(std::byte* to, const std::byte* from, uint64_t bytes) override {
    return status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_),
                     "a copy from the device");
  }
  Status clear(std::byte* at, uint64_t bytes) override {
    return status_of(cudaMemsetAsync(at, 0, bytes, stream_), "cudaMemsetAsync");
  }
  Status launch(Kernel kernel, uint32_t blocks, uint32_t shared_bytes, const void* job) override {
    switch (kernel) {
      case Kernel::kScan:
        scan_on_device<<<blocks, kThreads, shared_bytes, stream_>>>(*static_cast<const ScanJob*>(job));
        break;
      case Kernel::kOne:
        one_on_device<<<blocks, kThreads, shared_bytes, stream_>>>(*static_cast<const ScanJob*>(job));
        break;
      case Kernel::kCarry:
        carry_on_device<<<blocks, kThreads, shared_bytes, stream_>>>(*static_cast<const CarryJob*>(job));
        break;
      case Kernel::kRefine:
        refine_on_device<<<blocks, kThreads, shared_bytes, stream_>>>(*static_cast<const RefineJob*>(job));
        break;
      case Kernel::kRead:
        read_on_device<<<blocks, kThreads, shared_bytes, stream_>>>(*static_cast<const ReadJob*>(job));
        break;
    }
    return status_of(cudaGetLastError(), "a launch");
  }
  Status mark(int which) override {
    return status_of(cudaEventRecord(marks_[which], stream_), "cudaEventRecord");
  }
  Status wait_for(int which) override {
    return status_of(cudaEventSynchronize(marks_[which]), "cudaEventSynchronize");
  }
  Status wait() override { return status_of(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

 private:
  explicit CudaDevice(int number) : number_(number) {}

  Status start() {
    int count = 0;
    if (Status done = status_of(cudaGetDeviceCount(&count), "cudaGetDeviceCount"); !done) return done;
    if (number_ < 0 || number_ >= count) {
      return Error{ErrorCode::kNoDevice,
                   "there is no device " + std::to_string(number_) + ", of " + std::to_string(count), ""};
    }
    if (Status done = status_of(cudaSetDevice(number_), "cudaSetDevice"); !done) return done;
    cudaDeviceProp properties;
    if (Status done = status_of(cudaGetDeviceProperties(&properties, number_), "cudaGetDeviceProperties");
        !done)
      return done;
    size_t free = 0;
    size_t total = 0;
    if (Status done = status_of(cudaMemGetInfo(&free, &total), "cudaMemGetInfo"); !done) return done;
    info_.name = properties.name;
    info_.bytes_free = free;
    info_.blocks = static_cast<uint32_t>(properties.multiProcessorCount) * kBlocksAMultiprocessor;
    const auto half = static_cast<uint32_t>(properties.sharedMemPerMultiprocessor) / kBlocksAMultiprocessor;
    info_.shared_bytes =
        std::min(static_cast<uint32_t>(properties.sharedMemPerBlockOptin), half - kSharedReserved) / 16 * 16;
    for (const void* const kernel :
         {reinterpret_cast<const void*>(scan_on_device), reinterpret_cast<const void*>(one_on_device)}) {
      const Status allowed =
          status_of(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(info_.shared_bytes)),
                    "cudaFuncSetAttribute");
      if (!allowed) return allowed;
    }
    for (cudaEvent_t& mark : marks_) {
      if (Status done = status_of(cudaEventCreateWithFlags(&mark, cudaEventDisableTiming), "cudaEventCreate");
          !done)
        return done;
    }
    return status_of(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }

  int number_;
  DeviceInfo info_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t marks_[2] = {};
  std::vector<std::byte*> device_memory_, host_memory_;
};

}  // namespace

}  // namespace covey::agg::cuda

namespace covey::agg {

Result<std::unique_ptr<Backend>> make_cuda_backend(CudaOptions options) {
  if (!options.enabled) return Error{ErrorCode::kNoDevice, "the device is switched off", ""};
  Result<std::unique_ptr<cuda::Device>> device = cuda::CudaDevice::open(options.device);
  if (!device) return device.error();
  Result<std::unique_ptr<Backend>> made =
      cuda::make_device_backend(std::move(*device), {.bytes_max = options.bytes_max});
  if (!made) return Error{ErrorCode::kNoDevice, made.error().message, ""};
  return made;
}

}  // namespace covey::agg
