// One block of threads as the kernels of gpu/cuda_body.h see it.
#pragma once

#include "gpu/cuda_rows.h"

namespace covey::agg::cuda {

class CudaBlock {
 public:
  COVEY_AGG_KERNEL explicit CudaBlock(unsigned char* shared) : shared_(shared) {}
  COVEY_AGG_KERNEL uint32_t block() const { return blockIdx.x; }
  COVEY_AGG_KERNEL uint32_t blocks() const { return gridDim.x; }
  COVEY_AGG_KERNEL unsigned char* shared() const { return shared_; }
  template <class F>
  COVEY_AGG_KERNEL void each(F&& action) const {
    action(threadIdx.x);
    __syncthreads();
  }
  COVEY_AGG_KERNEL void add(uint64_t* at, uint64_t value) const {
    atomicAdd(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
  }
  COVEY_AGG_KERNEL void most(uint64_t* at, uint64_t value) const {
    atomicMax(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
  }
  COVEY_AGG_KERNEL uint64_t exchange_if(uint64_t* at, uint64_t expected, uint64_t value) const {
    return atomicCAS(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(expected),
                     static_cast<unsigned long long>(value));
  }
  COVEY_AGG_KERNEL uint32_t add32(uint32_t* at, uint32_t value) const { return atomicAdd(at, value); }
  COVEY_AGG_KERNEL void most32(uint32_t* at, uint32_t value) const { atomicMax(at, value); }
  COVEY_AGG_KERNEL void or32(uint32_t* at, uint32_t value) const { atomicOr(at, value); }

 private:
  unsigned char* shared_;
};

}  // namespace covey::agg::cuda
