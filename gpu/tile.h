// A tile: one column's values for a run of row slots, with their validity and zone map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "gpu/value.h"

namespace covey::agg {

inline constexpr uint32_t kTileRows = 65536;  // 65,536 rows, and less in tests
inline constexpr uint32_t kTileRowsMin =
    64;  // tiles are a power of two, so that words of 64 rows never cross them
inline constexpr int kNoExponent = INT32_MIN;  // no finite value other than zero was seen

// Bounds of what a tile held since it was made: they only widen, so an update costs a comparison and no pass.
// The counts are exact.
struct ZoneMap {
  uint32_t count = 0;  // rows that are not null, specials included
  // Of finite values, on order-mapped bits (gpu/order.h); min > max: none. Strings keep none.
  uint64_t min = UINT64_MAX;
  uint64_t max = 0;
  // float64: every finite value other than 0 is a multiple of 2^low and below 2^high in magnitude.
  int32_t low = kNoExponent;
  int32_t high = kNoExponent;
  bool has_special = false;  // NaN or an infinity

  void add_float(double value);
  void add_int(int64_t value);
};

struct FreeBytes {
  void operator()(std::byte* bytes) const;
};
using ByteBlock = std::unique_ptr<std::byte[], FreeBytes>;
// Zeroed, aligned to 4,096 bytes. Empty: no memory.
ByteBlock allocate_bytes(size_t bytes);

// Rows that are null or dead hold zero bits, so that sums over a whole tile need no mask.
struct Tile {
  ByteBlock values;    // tile_rows times 8 bytes; string columns: 4 (codes of the dictionary)
  ByteBlock validity;  // tile_rows bits: live and not null
  ZoneMap zone;
  uint64_t version = 0;  // of the last change, once in a store: what a device's copy is compared with

  const double* floats() const { return reinterpret_cast<const double*>(values.get()); }
  const int64_t* ints() const { return reinterpret_cast<const int64_t*>(values.get()); }
  const uint32_t* codes() const { return reinterpret_cast<const uint32_t*>(values.get()); }
  const uint64_t* valid() const { return reinterpret_cast<const uint64_t*>(validity.get()); }
};

constexpr size_t value_bytes(ColumnType type) { return type == ColumnType::kString ? 4 : 8; }

}  // namespace covey::agg
