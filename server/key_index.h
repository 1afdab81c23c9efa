// Which row slot each key of one (table, partition) has, and which key each slot: an open-addressing table of
// slots beside the keys by slot. Costs 32 bytes a slot, the bytes of keys beyond 15, and 8 to 16 for the
// table. Gives the lowest free slot, so that rows stay dense. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/slot_allocator.h"

namespace covey::server {

class KeyIndex {
 public:
  std::optional<agg::Slot> find(std::string_view key) const;
  // A hash of the key, and what of the table a search for it will touch, on its way to the cache: first its
  // place, later what that names. Many searches together cost little more than one so.
  static uint32_t hash_of(std::string_view key);
  void prefetch_place(uint32_t hash) const;
  void prefetch_key(uint32_t hash) const;
  // The key's slot, a new one if it has none; nullopt: there are no more slots.
  std::optional<agg::Slot> insert(std::string_view key);
  // Room for so many keys.
  void reserve(size_t keys);
  // The key gets this slot. false: the slot is taken, or the key has one.
  bool restore(agg::Slot slot, std::string_view key);
  // nullopt: it has none.
  std::optional<agg::Slot> erase(std::string_view key);
  size_t size() const { return slots_.count(); }
  // REQUIRES: the slot is taken.
  const std::string& key(agg::Slot slot) const { return keys_[slot]; }
  // The slots of keys that begin so, in any order.
  void with_prefix(std::string_view prefix, const std::function<void(agg::Slot)>& each) const;
  uint64_t bytes() const { return keys_.capacity() * sizeof(std::string) + key_bytes_ + places_.size() * 8; }
  void clear();

 private:
  struct Place {
    uint32_t hash = 0;
    agg::Slot slot = none;
  };
  static constexpr agg::Slot none = UINT32_MAX;
  size_t place_of(std::string_view key, uint32_t hash) const;  // where it is, or the free place for it
  void rehash(size_t places);
  void enter(Place& place, uint32_t hash, agg::Slot slot, std::string_view key);

  agg::SlotAllocator slots_;
  std::vector<std::string> keys_;  // by slot
  std::vector<Place> places_;      // a power of two, at most three quarters of them taken
  uint64_t key_bytes_ = 0;         // on the heap
};

}  // namespace covey::server
