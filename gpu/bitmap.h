// A growing set of row slots, as bits. Not thread-safe; reading from many threads is.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace covey::agg {

class Bitmap {
 public:
  bool test(uint32_t bit) const {
    const size_t word = bit / 64;
    return word < words_.size() && ((words_[word] >> (bit % 64)) & 1) != 0;
  }
  // Both answer whether anything changed.
  bool set(uint32_t bit) {
    if (bit / 64 >= words_.size()) words_.resize(bit / 64 + 1);
    uint64_t& word = words_[bit / 64];
    const uint64_t mask = uint64_t{1} << (bit % 64);
    if (word & mask) return false;
    word |= mask;
    ++count_;
    return true;
  }
  bool clear(uint32_t bit) {
    if (!test(bit)) return false;
    words_[bit / 64] &= ~(uint64_t{1} << (bit % 64));
    --count_;
    return true;
  }
  uint64_t count() const { return count_; }
  // 64 slots from 64 * index; zero beyond the end.
  uint64_t word(size_t index) const { return index < words_.size() ? words_[index] : 0; }
  size_t words() const { return words_.size(); }
  // One past the highest slot that is set.
  uint32_t end() const {
    for (size_t i = words_.size(); i-- > 0;) {
      if (words_[i] != 0) return static_cast<uint32_t>(i * 64 + 64 - std::countl_zero(words_[i]));
    }
    return 0;
  }
  size_t bytes() const { return words_.capacity() * 8; }

 private:
  std::vector<uint64_t> words_;
  uint64_t count_ = 0;
};

}  // namespace covey::agg
