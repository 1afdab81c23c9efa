#include "storage/object_cache.h"

#include <bit>

#include "replication/hash.h"

namespace covey {

namespace {
constexpr uint64_t useful_bytes = 64 << 10;
constexpr uint64_t bytes_a_place =
    256;  // of the limit: about a key with a value of 100 bytes, and room to spare
constexpr uint64_t hash_seed = 0x6f626a6563747321;
}  // namespace

ObjectCache::ObjectCache(uint64_t bytes_max) : bytes_max_(bytes_max) {
  if (bytes_max < useful_bytes) return;
  places_.resize(std::bit_floor(bytes_max / bytes_a_place));
  bytes_ = places_.size() * (sizeof(Place) + std::string().capacity());
}

size_t ObjectCache::place_of(std::string_view key) const {
  return hash_bytes(key, hash_seed) & (places_.size() - 1);
}

bool ObjectCache::holds(const Place& place, std::string_view key) const {
  return place.key_bytes == key.size() && std::string_view(place.pair).substr(0, place.key_bytes) == key &&
         !place.pair.empty();
}

std::optional<std::string_view> ObjectCache::find(std::string_view key) const {
  if (places_.empty()) return std::nullopt;
  const Place& place = places_[place_of(key)];
  if (!holds(place, key)) return std::nullopt;
  return std::string_view(place.pair).substr(place.key_bytes);
}

void ObjectCache::put(std::string_view key, std::string_view value) {
  if (places_.empty()) return;
  Place& place = places_[place_of(key)];
  const uint64_t needed = key.size() + value.size();
  if (needed > bytes_max_ / 256 || key.empty()) {
    if (holds(place, key)) free(place);
    return;
  }
  bytes_ -= place.pair.capacity();
  place.pair.assign(key).append(value);
  // A short pair does not keep a long one's memory.
  if (place.pair.capacity() > 2 * needed + 64) place.pair.shrink_to_fit();
  place.key_bytes = key.size();
  bytes_ += place.pair.capacity();
  for (; bytes_ > bytes_max_; hand_ = (hand_ + 1) & (places_.size() - 1)) {
    if (&places_[hand_] != &place) free(places_[hand_]);
  }
}

void ObjectCache::erase(std::string_view key) {
  if (places_.empty()) return;
  Place& place = places_[place_of(key)];
  if (holds(place, key)) free(place);
}

void ObjectCache::clear() {
  for (Place& place : places_) free(place);
}

void ObjectCache::free(Place& place) {
  bytes_ -= place.pair.capacity();
  std::string().swap(place.pair);  // an assignment would keep the memory
  place.key_bytes = 0;
  bytes_ += place.pair.capacity();
}

}  // namespace covey
