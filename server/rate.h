// How fast a count rises, from samples that are taken now and then.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace covey::server {

class Rate {
 public:
  static constexpr size_t samples_max = 8;  // older ones are forgotten

  void sample(uint64_t now_us, uint64_t count) { samples_[taken_++ % samples_max] = {now_us, count}; }

  // Between the oldest sample and the newest; 0 with fewer than two.
  double per_second() const {
    if (taken_ < 2) return 0;
    const Sample& newest = samples_[(taken_ - 1) % samples_max];
    const Sample& oldest = samples_[taken_ < samples_max ? 0 : taken_ % samples_max];
    const uint64_t us = std::max<uint64_t>(newest.us - std::min(newest.us, oldest.us), 1);
    return static_cast<double>(newest.count - oldest.count) * 1e6 / static_cast<double>(us);
  }

 private:
  struct Sample {
    uint64_t us = 0, count = 0;
  };
  std::array<Sample, samples_max> samples_{};
  uint64_t taken_ = 0;
};

// Of a shard's Redis clients.
struct ClientRates {
  Rate commands, bytes_in, bytes_out;
};

}  // namespace covey::server
