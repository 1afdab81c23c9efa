// Stands in for the CUDA back end where it was not built.
#include "gpu/backend.h"

#ifndef COVEY_AGG_CUDA

namespace covey::agg {

Result<std::unique_ptr<Backend>> make_cuda_backend(CudaOptions options) {
  if (!options.enabled) return Error{ErrorCode::kNoDevice, "the device is switched off", ""};
  return Error{ErrorCode::kNoDevice, "this program was built without CUDA", ""};
}

}  // namespace covey::agg

#endif
