#include "gpu/tile.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "gpu/fold.h"
#include "gpu/order.h"
#include "gpu/result.h"

namespace covey::agg {

void invariant_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "covey: invariant broken: %s (%s:%d)\n", what, file, line);
  std::abort();
}

void FreeBytes::operator()(std::byte* bytes) const { std::free(bytes); }

ByteBlock allocate_bytes(size_t bytes) {
  const size_t alignment = bytes >= 65536 ? 4096 : 64;
  const size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, whole);
  if (memory != nullptr) std::memset(memory, 0, whole);
  return ByteBlock(static_cast<std::byte*>(memory));
}

void ZoneMap::add_float(double value) {
  if (is_special_bits(bits_of(value))) {
    has_special = true;
    return;
  }
  const uint64_t key = order_float(value);
  min = std::min(min, key);
  max = std::max(max, key);
  if (value == 0) return;
  const Scaled parts = scaled(value);
  const auto magnitude = static_cast<uint64_t>(parts.mantissa < 0 ? -parts.mantissa : parts.mantissa);
  const int lowest = parts.exponent + std::countr_zero(magnitude);
  const int highest = parts.exponent + static_cast<int>(std::bit_width(magnitude));
  low = low == kNoExponent ? lowest : std::min(low, lowest);
  high = high == kNoExponent ? highest : std::max(high, highest);
}

void ZoneMap::add_int(int64_t value) {
  min = std::min(min, order_int(value));
  max = std::max(max, order_int(value));
}

}  // namespace covey::agg
