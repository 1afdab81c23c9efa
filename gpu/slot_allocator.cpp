#include "gpu/slot_allocator.h"

namespace covey::agg {

std::optional<Slot> SlotAllocator::allocate() {
  if (taken_.count() >= slots_max_) return std::nullopt;
  size_t word = first_free_word_;
  while (taken_.word(word) == UINT64_MAX) ++word;
  first_free_word_ = word;
  const Slot slot = static_cast<Slot>(word * 64 + static_cast<size_t>(std::countr_one(taken_.word(word))));
  if (slot >= slots_max_) return std::nullopt;
  taken_.set(slot);
  return slot;
}

bool SlotAllocator::claim(Slot slot) { return slot < slots_max_ && taken_.set(slot); }

bool SlotAllocator::release(Slot slot) {
  if (!taken_.clear(slot)) return false;
  if (slot / 64 < first_free_word_) first_free_word_ = slot / 64;
  return true;
}

}  // namespace covey::agg
