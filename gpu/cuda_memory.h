// The device's memory: one arena, and the way in and out through a pinned buffer.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "gpu/cuda_device.h"

namespace covey::agg::cuda {

// Best fit in steps of 256 bytes; neighbours that are free become one. Knows addresses alone, and touches
// nothing.
class Arena {
 public:
  static constexpr uint64_t kStep = 256;
  static constexpr uint64_t rounded(uint64_t bytes) {
    return bytes == 0 ? kStep : (bytes + kStep - 1) / kStep * kStep;
  }
  explicit Arena(uint64_t bytes) : total_(bytes / kStep * kStep) { add_free(0, total_); }
  static constexpr uint64_t kNoRoom = UINT64_MAX;
  uint64_t take(uint64_t bytes);  // an offset, or kNoRoom
  void give(uint64_t offset);     // REQUIRES it was taken
  uint64_t total() const { return total_; }
  uint64_t used() const { return used_; }

 private:
  void add_free(uint64_t offset, uint64_t bytes);
  void drop_free(uint64_t offset, uint64_t bytes);
  uint64_t total_;
  uint64_t used_ = 0;
  std::map<uint64_t, uint64_t> taken_;  // offset and bytes
  std::map<uint64_t, uint64_t> free_;
  std::set<std::pair<uint64_t, uint64_t>> by_size_;
};

class DeviceMemory {
 public:
  // Of what is free, at most bytes_max (0: nine tenths). kOutOfMemory, kDeviceFailed.
  static Result<std::unique_ptr<DeviceMemory>> make(Device& device, uint64_t bytes_max);

  std::byte* take(uint64_t bytes);  // null: no room
  void give(std::byte* at);
  uint64_t total() const { return arena_.total(); }
  uint64_t used() const { return arena_.used(); }

  // From and to any host memory. An upload has read its source when it returns; a download is complete.
  Status upload(std::byte* to, const void* from, uint64_t bytes);
  Status download(void* to, const std::byte* from, uint64_t bytes);

 private:
  DeviceMemory(Device& device, std::byte* base, uint64_t bytes, std::byte* pinned)
      : device_(device), arena_(bytes), base_(base), pinned_(pinned) {}
  Device& device_;
  Arena arena_;
  std::byte* base_;
  std::byte* pinned_;  // two halves: one is filled while the other travels
  int half_ = 0;
  uint64_t filled_ = 0;  // of the half
  bool marked_[2] = {};
};

// A part of the arena for a time.
class DeviceBlock {
 public:
  DeviceBlock() = default;
  DeviceBlock(DeviceMemory& memory, std::byte* at) : memory_(&memory), at_(at) {}
  DeviceBlock(DeviceBlock&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), at_(std::exchange(other.at_, nullptr)) {}
  DeviceBlock& operator=(DeviceBlock&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(at_, other.at_);
    return *this;
  }
  ~DeviceBlock() {
    if (at_ != nullptr) memory_->give(at_);
  }
  std::byte* at() const { return at_; }

 private:
  DeviceMemory* memory_ = nullptr;
  std::byte* at_ = nullptr;
};

}  // namespace covey::agg::cuda
