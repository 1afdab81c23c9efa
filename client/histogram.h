// A histogram of durations with a bounded relative error, after the idea of HdrHistogram: each power of two
// is cut into 128 equal buckets, so a reported percentile is at most 0.8 % above the true one. No allocation
// when recording. One thread at a time; histograms of several threads are added.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace covey::client {

class Histogram {
 public:
  // Values from 0 to value_max, in whatever unit the caller keeps to; larger ones count as value_max.
  static constexpr uint64_t value_max = (uint64_t{1} << 42) - 1;

  Histogram() : counts_(bucket_of(value_max) + 1) {}

  void record(uint64_t value) {
    value = std::min(value, value_max);
    ++counts_[bucket_of(value)];
    ++count_;
    smallest_ = std::min(smallest_, value);
    largest_ = std::max(largest_, value);
  }

  void add(const Histogram& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    smallest_ = std::min(smallest_, other.smallest_);
    largest_ = std::max(largest_, other.largest_);
  }

  // The smallest recorded value (to the bucket's upper bound) that at least `percent` of all values do not
  // exceed; percent from 0 to 100. Zero when nothing was recorded.
  uint64_t percentile(double percent) const {
    if (count_ == 0) return 0;
    const double share = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_);
    const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share - 1e-6)));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::clamp(upper_bound(i), smallest_, largest_);
    }
    return largest_;
  }

  uint64_t count() const { return count_; }
  uint64_t smallest() const { return count_ == 0 ? 0 : smallest_; }
  uint64_t largest() const { return largest_; }

 private:
  static constexpr int sub_bits = 7;
  static constexpr uint64_t sub_count = uint64_t{1} << sub_bits;

  static size_t bucket_of(uint64_t value) {
    if (value < sub_count) return value;
    const int shift = std::bit_width(value) - 1 - sub_bits;
    return static_cast<size_t>(shift + 1) * sub_count + ((value >> shift) - sub_count);
  }
  static uint64_t upper_bound(size_t bucket) {
    if (bucket < sub_count) return bucket;
    const auto shift = static_cast<int>(bucket / sub_count) - 1;
    return ((bucket % sub_count + sub_count + 1) << shift) - 1;
  }

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t smallest_ = value_max;
  uint64_t largest_ = 0;
};

}  // namespace covey::client
