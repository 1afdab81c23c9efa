#include "gpu/cost_model.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "gpu/tile.h"

namespace covey::agg {

namespace {

std::string in_ms(double us) {
  char text[32];
  std::snprintf(text, sizeof text, us < 10000 ? "%.1f ms" : "%.0f ms", us / 1000);
  return text;
}

uint64_t read_all(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t lane : sums) sum += lane;
  return sum;
}

}  // namespace

double CostModel::cpu_us(uint64_t bytes) const {
  return static_cast<double>(bytes) / std::max(1.0, cpu_bytes_per_us);
}

double CostModel::gpu_us(uint64_t bytes, uint64_t resident) const {
  if (gpu_bytes_per_us <= 0) return __builtin_inf();
  const auto missing = static_cast<double>(bytes - std::min(bytes, resident));
  return gpu_launch_us + static_cast<double>(bytes) / gpu_bytes_per_us +
         missing / std::max(1.0, link_bytes_per_us);
}

Decision decide(const CostModel& model, DeviceChoice choice, uint64_t bytes, uint64_t resident) {
  Decision decision;
  decision.cpu_us = model.cpu_us(bytes);
  decision.gpu_us = model.gpu_us(bytes, resident);
  if (model.gpu_bytes_per_us <= 0) {
    decision.reason = "no device; estimated cpu " + in_ms(decision.cpu_us);
    return decision;
  }
  const bool asked = choice != DeviceChoice::kAuto;
  decision.gpu = asked ? choice == DeviceChoice::kGpu : decision.gpu_us < decision.cpu_us;
  decision.reason = asked               ? "asked for"
                    : resident >= bytes ? "resident"
                    : resident > 0      ? "partly resident"
                                        : "not resident";
  decision.reason += "; estimated gpu " + in_ms(decision.gpu_us) + ", cpu " + in_ms(decision.cpu_us);
  return decision;
}

double measure_cpu_bytes_per_us(uint32_t threads, uint64_t bytes) {
  const uint64_t each = bytes / std::max(1u, threads) / 64 * 64;
  std::vector<ByteBlock> blocks;
  for (uint32_t i = 0; i < threads; ++i) {
    blocks.push_back(allocate_bytes(each));
    if (!blocks.back()) return 1000;
  }
  double best_us = __builtin_inf();
  std::atomic<uint64_t> kept{0};  // so that what is read is needed
  for (int round = 0; round < 3; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> readers;
    for (uint32_t i = 0; i < threads; ++i) {
      readers.emplace_back(
          [&, i] { kept += read_all(reinterpret_cast<const uint64_t*>(blocks[i].get()), each / 8); });
    }
    for (std::thread& reader : readers) reader.join();
    const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
    best_us = std::min(best_us, spent.count());
  }
  return static_cast<double>(each * threads) / std::max(1.0, best_us);
}

}  // namespace covey::agg
