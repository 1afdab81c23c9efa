// A seeded generator with distributions of our own: the standard's differ between libraries, and a run must
// repeat on every machine. (SplitMix64: Steele, Lea, Flood, OOPSLA 2014.)
#pragma once

#include <cstdint>

namespace covey {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // 0 to bound - 1. REQUIRES bound > 0. The bias for bounds below 2^32 is under one in four billion.
  uint64_t below(uint64_t bound) { return next() % bound; }

 private:
  uint64_t state_;
};

}  // namespace covey
