#include "gpu/cuda_memory.h"

#include <algorithm>
#include <cstring>

namespace covey::agg::cuda {

namespace {
constexpr uint64_t kHalfBytes = uint64_t{8} << 20;
}

void Arena::add_free(uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return;
  free_.emplace(offset, bytes);
  by_size_.emplace(bytes, offset);
}

void Arena::drop_free(uint64_t offset, uint64_t bytes) {
  free_.erase(offset);
  by_size_.erase({bytes, offset});
}

uint64_t Arena::take(uint64_t bytes) {
  bytes = rounded(bytes);
  const auto found = by_size_.lower_bound({bytes, 0});
  if (found == by_size_.end()) return kNoRoom;
  const auto [size, offset] = *found;
  drop_free(offset, size);
  add_free(offset + bytes, size - bytes);
  taken_.emplace(offset, bytes);
  used_ += bytes;
  return offset;
}

void Arena::give(uint64_t offset) {
  const auto taken = taken_.find(offset);
  COVEY_AGG_ASSERT(taken != taken_.end());
  uint64_t bytes = taken->second;
  taken_.erase(taken);
  used_ -= bytes;
  const auto after = free_.lower_bound(offset);
  if (after != free_.end() && after->first == offset + bytes) {
    const auto [next, size] = *after;
    drop_free(next, size);
    bytes += size;
  }
  const auto next = free_.lower_bound(offset);
  if (next != free_.begin()) {
    const auto [before, size] = *std::prev(next);
    if (before + size == offset) {
      drop_free(before, size);
      offset = before;
      bytes += size;
    }
  }
  add_free(offset, bytes);
}

Result<std::unique_ptr<DeviceMemory>> DeviceMemory::make(Device& device, uint64_t bytes_max) {
  const uint64_t most = device.info().bytes_free / 10 * 9;
  const uint64_t bytes = bytes_max == 0 ? most : std::min(bytes_max, most);
  Result<std::byte*> pinned = device.allocate_pinned(2 * kHalfBytes);
  if (!pinned) return pinned.error();
  Result<std::byte*> base = device.allocate(bytes);
  if (!base) return base.error();
  device.in_use(*base, bytes, false);
  return std::unique_ptr<DeviceMemory>(new DeviceMemory(device, *base, bytes, *pinned));
}

std::byte* DeviceMemory::take(uint64_t bytes) {
  const uint64_t offset = arena_.take(bytes);
  if (offset == Arena::kNoRoom) return nullptr;
  device_.in_use(base_ + offset, bytes, true);
  return base_ + offset;
}

void DeviceMemory::give(std::byte* at) {
  const auto offset = static_cast<uint64_t>(at - base_);
  const uint64_t before = arena_.used();
  arena_.give(offset);
  device_.in_use(at, before - arena_.used(), false);
}

Status DeviceMemory::upload(std::byte* to, const void* from, uint64_t bytes) {
  const auto* source = static_cast<const std::byte*>(from);
  while (bytes > 0) {
    if (filled_ == kHalfBytes) {
      if (Status marked = device_.mark(half_); !marked) return marked;
      marked_[half_] = true;
      half_ = 1 - half_;
      filled_ = 0;
      if (marked_[half_]) {
        if (Status waited = device_.wait_for(half_); !waited) return waited;
        marked_[half_] = false;
      }
    }
    const uint64_t part = std::min(bytes, kHalfBytes - filled_);
    std::byte* const staged = pinned_ + static_cast<uint64_t>(half_) * kHalfBytes + filled_;
    std::memcpy(staged, source, part);
    if (Status begun = device_.upload(to, staged, part); !begun) return begun;
    filled_ += (part + 63) / 64 * 64;
    to += part;
    source += part;
    bytes -= part;
  }
  return Done{};
}

Status DeviceMemory::download(void* to, const std::byte* from, uint64_t bytes) {
  auto* into = static_cast<std::byte*>(to);
  // What is still on its way out of the buffer has to be gone.
  if (Status waited = device_.wait(); !waited) return waited;
  marked_[0] = marked_[1] = false;
  half_ = 0;
  filled_ = 0;
  while (bytes > 0) {
    const uint64_t part = std::min(bytes, 2 * kHalfBytes);
    if (Status begun = device_.download(pinned_, from, part); !begun) return begun;
    if (Status waited = device_.wait(); !waited) return waited;
    std::memcpy(into, pinned_, part);
    into += part;
    from += part;
    bytes -= part;
  }
  return Done{};
}

}  // namespace covey::agg::cuda
