// Tiles and bitmaps of row groups that the device keeps between scans, by store, column, tile and version:
// only what changed crosses the link again.
#pragma once

#include <unordered_map>
#include <vector>

#include "gpu/column_store.h"
#include "gpu/cuda_memory.h"

namespace covey::agg::cuda {

class TileCache {
 public:
  explicit TileCache(DeviceMemory& memory) : memory_(memory) {}

  // What is got from now on stays until the next begin().
  void begin() { ++now_; }

  struct Got {
    const std::byte* values = nullptr;  // null without an error: no room, even after eviction
    const std::byte* bits = nullptr;
  };
  // The device's copy of a tile with values, or of a row group's liveness; uploaded if it is missing or has
  // changed. `uploaded` rises by the bytes that crossed the link.
  Result<Got> tile(const ColumnStore& store, uint32_t column, uint32_t tile, uint64_t& uploaded);
  Result<Got> live(const ColumnStore& store, uint32_t tile, uint64_t& uploaded);

  // Bytes of a column's tiles, or of the liveness (column kLive), that are here and current.
  uint64_t resident(const ColumnStore& store, uint32_t column) const;
  uint64_t bytes() const { return bytes_; }
  // Frees what was used least recently, and of that what was used least often, until so many bytes are free
  // or nothing is left that was not got since begin(). Answers how much it freed.
  uint64_t evict(uint64_t bytes);
  void forget(uint64_t store_id);
  // Room in the arena, with eviction. Null: none.
  std::byte* take(uint64_t bytes);

  static constexpr uint32_t kLive = kColumnsMax + 1;

 private:
  struct Entry {
    std::byte* at = nullptr;
    uint64_t bytes = 0;
    uint64_t version = 0;
    uint32_t capacity = 0;
    uint32_t uses = 0;
    uint64_t used = 0;
  };
  struct Source {
    const void* values = nullptr;
    uint64_t values_bytes = 0;
    const void* bits = nullptr;
    uint64_t bits_bytes = 0;
    uint64_t version = 0;
    uint32_t capacity = 0;
  };
  static uint64_t room_of(const Source& source) { return bits_offset(source) + source.bits_bytes; }
  // Bitmaps begin at a multiple of 256 bytes, with a gap where values end at one.
  static uint64_t bits_offset(const Source& source) {
    return source.values_bytes == 0 ? 0 : (source.values_bytes / Arena::kStep + 1) * Arena::kStep;
  }
  Result<Got> get(uint64_t store_id, uint32_t column, uint32_t tile, const Source& source,
                  uint64_t& uploaded);
  void drop(Entry& entry);

  DeviceMemory& memory_;
  std::unordered_map<uint64_t, std::vector<std::vector<Entry>>> stores_;  // by store, column, tile
  uint64_t bytes_ = 0;
  uint64_t now_ = 1;
};

}  // namespace covey::agg::cuda
