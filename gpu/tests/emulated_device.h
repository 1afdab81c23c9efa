// A device that runs the kernels on the CPU, for tests: block after block and thread after thread, in an
// order that changes with each launch. Memory is what the heap gives, poisoned where it is not in use, so
// that AddressSanitizer sees who oversteps. Nothing is done before it is waited for, as late as a device may
// do it. Calls fail where told to.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "gpu/cuda_device.h"
#include "gpu/tests/tools.h"

namespace covey::agg::test {

// What a device was asked for, and what it shall refuse; shared with the test, which outlives it.
struct DeviceLog {
  uint64_t calls = 0;
  uint64_t fail_call = 0;  // the number, from 1, of the call that fails; 0: none
  ErrorCode fail_with = ErrorCode::kDeviceFailed;
  uint64_t uploaded = 0;  // bytes
  std::map<cuda::Kernel, uint64_t> launches;
};

struct EmulatedOptions {
  uint32_t blocks = 3;
  uint32_t shared_bytes = 100000;
  uint64_t bytes = uint64_t{64} << 20;
  uint64_t rows_a_word = cuda::kRowsAWord;
};

std::unique_ptr<Backend> make_emulated_backend(EmulatedOptions options = {},
                                               std::shared_ptr<DeviceLog> log = {});
// The device's errors as they come.
Result<std::unique_ptr<Backend>> try_emulated_backend(EmulatedOptions options,
                                                      std::shared_ptr<DeviceLog> log);

}  // namespace covey::agg::test
