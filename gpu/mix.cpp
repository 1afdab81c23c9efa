#include "gpu/mix.h"

#include <bit>
#include <cstring>

namespace covey::agg {

namespace {
constexpr uint64_t kOdd = 0x9fb21c651e98df25u;
}

void Checksum::update(const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  length_ += bytes;
  uint64_t words[4];
  if (next_ == 0) {
    for (; bytes >= sizeof words; bytes -= sizeof words, at += sizeof words) {
      std::memcpy(words, at, sizeof words);
      for (int lane = 0; lane < 4; ++lane) lanes_[lane] = std::rotl((lanes_[lane] ^ words[lane]) * kOdd, 29);
    }
  }
  while (bytes > 0) {
    const size_t taken = bytes < 8 ? bytes : 8;
    uint64_t word = 0;
    std::memcpy(&word, at, taken);
    lanes_[next_] = std::rotl((lanes_[next_] ^ word) * kOdd, 29);
    next_ = (next_ + 1) % 4;
    at += taken;
    bytes -= taken;
  }
}

uint64_t Checksum::value() const {
  uint64_t result = mix64(length_);
  for (const uint64_t lane : lanes_) result = mix64(result ^ lane);
  return result;
}

uint64_t hash_text(std::string_view text) {
  Checksum sum;
  sum.update(text.data(), text.size());
  return sum.value();
}

}  // namespace covey::agg
