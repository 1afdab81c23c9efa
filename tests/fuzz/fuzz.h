// A fuzz target is handed any bytes and must come back. What it expects of a decoder's answer it checks with
// COVEY_ASSERT, which ends the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "replication/result.h"

// Named by libFuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace covey::fuzz {

inline std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace covey::fuzz
