// Random numbers of our own: the same on every machine and with every standard library (xoshiro256**,
// Blackman and Vigna; seeded by splitmix64).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace covey::sim {

class Random {
 public:
  explicit Random(uint64_t seed) {
    for (auto& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }

  uint64_t next() {
    uint64_t out = std::rotl(state_[1] * 5, 7) * 9;
    uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return out;
  }

  // 0 to bound - 1. REQUIRES bound > 0. The bias for the small bounds used here is below 2^-32.
  uint64_t below(uint64_t bound) { return (next() >> 8) % bound; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }  // both included
  bool chance_ppm(uint64_t parts_per_million) {
    return parts_per_million > 0 && below(1'000'000) < parts_per_million;
  }
  bool one_in(uint64_t count) { return below(count) == 0; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::array<uint64_t, 4> state_;
};

}  // namespace covey::sim
