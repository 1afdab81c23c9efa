// Which row slots of one (table, partition) are taken. The feed owns one beside each ColumnStore; the slot
// that a key gets is kept in its replica-local record, so that updates need no index from key to row. Not
// thread-safe. Gives the lowest free slot, so that rows stay dense.
#pragma once

#include <cstdint>
#include <optional>

#include "gpu/bitmap.h"

namespace covey::agg {

using Slot = uint32_t;
inline constexpr Slot kSlotsMax = uint32_t{1} << 31;  // of one (table, partition)

class SlotAllocator {
 public:
  // None: slots_max are taken.
  explicit SlotAllocator(Slot slots_max = kSlotsMax) : slots_max_(slots_max) {}
  std::optional<Slot> allocate();
  // For a slot read back from a record. False: it is taken already, or beyond the limit.
  bool claim(Slot slot);
  // False: it was not taken.
  bool release(Slot slot);
  bool taken(Slot slot) const { return taken_.test(slot); }
  uint64_t count() const { return taken_.count(); }

 private:
  Slot slots_max_;
  size_t first_free_word_ = 0;  // no word before it has a free slot
  Bitmap taken_;
};

}  // namespace covey::agg
