// Which device will answer a batch sooner. Estimates only choose; they never change an answer.
#pragma once

#include <cstdint>
#include <string>

namespace covey::agg {

enum class DeviceChoice : uint8_t { kAuto = 1, kCpu, kGpu };

// Measured when the engine starts; bytes and microseconds.
struct CostModel {
  double cpu_bytes_per_us = 10000;
  double gpu_bytes_per_us = 0;   // 0: there is none
  double link_bytes_per_us = 0;  // host to device
  double gpu_launch_us = 30;     // of a batch that reads nothing

  double cpu_us(uint64_t bytes) const;
  // Resident bytes go at the device's speed, the others cross the link besides.
  double gpu_us(uint64_t bytes, uint64_t resident) const;
};

struct Decision {
  bool gpu = false;
  double cpu_us = 0;
  double gpu_us = 0;
  std::string reason;  // "resident; estimated gpu 1.9 ms, cpu 333 ms"
};

Decision decide(const CostModel& model, DeviceChoice choice, uint64_t bytes, uint64_t resident);

// Plain reads of `bytes` of memory by so many threads.
double measure_cpu_bytes_per_us(uint32_t threads, uint64_t bytes = uint64_t{64} << 20);

}  // namespace covey::agg
