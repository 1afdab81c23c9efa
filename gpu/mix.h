// The fixed 64-bit mixes behind `distinct`, plan fingerprints and checksums. Never changed: nodes compare
// them and checkpoints keep them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gpu/portable.h"

namespace covey::agg {

// A bijection of 64 bits: two rounds of xor-shift and odd multiplication (constants: SplitMix64's; Steele,
// Lea and Flood, 2014). Different numbers have different hashes.
COVEY_AGG_HD inline uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t hash_text(std::string_view text);

// Four lanes over 32-byte blocks; each step is a bijection of its lane for any word and of the word for any
// lane, so a change within one word of 8 bytes is always seen.
class Checksum {
 public:
  void update(const void* data, size_t bytes);  // REQUIRES: all but the last are multiples of 8 bytes
  uint64_t value() const;

 private:
  uint64_t lanes_[4] = {0x243f6a8885a308d3u, 0x13198a2e03707344u, 0xa4093822299f31d0u, 0x082efa98ec4e6c89u};
  uint64_t length_ = 0;
  unsigned next_ = 0;
};

}  // namespace covey::agg
