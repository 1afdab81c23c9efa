#include "server/key_index.h"

#include <algorithm>
#include <bit>

#include "replication/hash.h"
#include "server/random_bits.h"

namespace covey::server {
namespace {

constexpr size_t bytes_within = 15;  // of a string that needs no memory of its own
constexpr size_t places_min = 16;

uint64_t outside(std::string_view key) { return key.size() > bytes_within ? key.size() + 1 : 0; }

}  // namespace

// Keys are the clients' choice: nobody outside may know which of them meet in one place.
uint32_t KeyIndex::hash_of(std::string_view key) {
  static const uint64_t seed = random_bits();
  return static_cast<uint32_t>(hash_bytes(key, seed));
}

void KeyIndex::prefetch_place(uint32_t hash) const {
  if (!places_.empty()) __builtin_prefetch(&places_[hash & (places_.size() - 1)]);
}

void KeyIndex::prefetch_key(uint32_t hash) const {
  if (places_.empty()) return;
  const Place& place = places_[hash & (places_.size() - 1)];
  if (place.slot != none) __builtin_prefetch(&keys_[place.slot]);
}

size_t KeyIndex::place_of(std::string_view key, uint32_t hash) const {
  const size_t mask = places_.size() - 1;
  size_t at = hash & mask;
  for (; places_[at].slot != none; at = (at + 1) & mask) {
    if (places_[at].hash == hash && keys_[places_[at].slot] == key) break;
  }
  return at;
}

std::optional<agg::Slot> KeyIndex::find(std::string_view key) const {
  if (places_.empty()) return std::nullopt;
  const Place& place = places_[place_of(key, hash_of(key))];
  return place.slot == none ? std::nullopt : std::optional(place.slot);
}

std::optional<agg::Slot> KeyIndex::insert(std::string_view key) {
  if ((size() + 1) * 4 > places_.size() * 3) rehash(places_.size() * 2);
  const uint32_t hash = hash_of(key);
  Place& place = places_[place_of(key, hash)];
  if (place.slot != none) return place.slot;
  auto slot = slots_.allocate();
  if (slot) enter(place, hash, *slot, key);
  return slot;
}

void KeyIndex::enter(Place& place, uint32_t hash, agg::Slot slot, std::string_view key) {
  if (slot >= keys_.size()) keys_.resize(slot + 1);
  keys_[slot] = key;
  key_bytes_ += outside(key);
  place = {hash, slot};
}

void KeyIndex::reserve(size_t keys) {
  const size_t places = std::bit_ceil(keys * 4 / 3 + 1);
  if (places > places_.size()) rehash(places);
}

bool KeyIndex::restore(agg::Slot slot, std::string_view key) {
  if ((size() + 1) * 4 > places_.size() * 3) rehash(places_.size() * 2);
  const uint32_t hash = hash_of(key);
  Place& place = places_[place_of(key, hash)];
  if (place.slot != none || !slots_.claim(slot)) return false;
  enter(place, hash, slot, key);
  return true;
}

std::optional<agg::Slot> KeyIndex::erase(std::string_view key) {
  if (places_.empty()) return std::nullopt;
  size_t hole = place_of(key, hash_of(key));
  const agg::Slot slot = places_[hole].slot;
  if (slot == none) return std::nullopt;
  key_bytes_ -= outside(key);
  keys_[slot] = std::string();
  slots_.release(slot);
  // Those behind it that could stand in the hole move up, so that no search ends too early (Knuth's
  // algorithm R).
  const size_t mask = places_.size() - 1;
  for (size_t at = (hole + 1) & mask; places_[at].slot != none; at = (at + 1) & mask) {
    const size_t home = places_[at].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    places_[hole] = places_[at];
    hole = at;
  }
  places_[hole] = {};
  return slot;
}

void KeyIndex::rehash(size_t places) {
  std::vector<Place> old(std::max(places_min, places));
  old.swap(places_);
  const size_t mask = places_.size() - 1;
  for (const Place& place : old) {
    if (place.slot == none) continue;
    size_t at = place.hash & mask;
    while (places_[at].slot != none) at = (at + 1) & mask;
    places_[at] = place;
  }
}

void KeyIndex::with_prefix(std::string_view prefix, const std::function<void(agg::Slot)>& each) const {
  for (agg::Slot slot = 0; slot < keys_.size(); ++slot) {
    if (slots_.taken(slot) && keys_[slot].starts_with(prefix)) each(slot);
  }
}

void KeyIndex::clear() { *this = KeyIndex(); }

}  // namespace covey::server
