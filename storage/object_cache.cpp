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
  tags_.resize(places_.size());
  bytes_ = places_.size() * (sizeof(Place) + sizeof(uint16_t) + std::string().capacity());
}

ObjectCache::Spot ObjectCache::spot_of(std::string_view key) const {
  const uint64_t hash = hash_bytes(key, hash_seed);
  return {hash & (places_.size() - ways), static_cast<uint16_t>(hash >> 48)};
}

size_t ObjectCache::index_of(Spot spot, std::string_view key) const {
  for (size_t i = spot.first; i < spot.first + ways; ++i) {
    if (tags_[i] != spot.tag) continue;
    const Place& place = places_[i];
    if (place.key_bytes == key.size() && !key.empty() && place.pair.starts_with(key)) return i;
  }
  return nowhere;
}

std::optional<std::string_view> ObjectCache::find(std::string_view key) const {
  if (places_.empty()) return std::nullopt;
  const size_t at = index_of(spot_of(key), key);
  if (at == nowhere) return std::nullopt;
  return std::string_view(places_[at].pair).substr(places_[at].key_bytes);
}

void ObjectCache::put(std::string_view key, std::string_view value) {
  if (places_.empty()) return;
  const Spot spot = spot_of(key);
  size_t at = index_of(spot, key);
  const uint64_t needed = key.size() + value.size();
  if (needed > bytes_max_ / 256 || key.empty()) {
    if (at != nowhere) free(places_[at]);
    return;
  }
  for (size_t i = spot.first; at == nowhere && i < spot.first + ways; ++i) {
    if (places_[i].key_bytes == 0) at = i;
  }
  if (at == nowhere) at = spot.first + turn_++ % ways;
  Place& place = places_[at];
  bytes_ -= place.pair.capacity();
  place.pair.assign(key).append(value);
  // A short pair does not keep a long one's memory.
  if (place.pair.capacity() > 2 * needed + 64) place.pair.shrink_to_fit();
  place.key_bytes = key.size();
  tags_[at] = spot.tag;
  bytes_ += place.pair.capacity();
  for (; bytes_ > bytes_max_; hand_ = (hand_ + 1) & (places_.size() - 1)) {
    if (&places_[hand_] != &place) free(places_[hand_]);
  }
}

void ObjectCache::erase(std::string_view key) {
  if (places_.empty()) return;
  const size_t at = index_of(spot_of(key), key);
  if (at != nowhere) free(places_[at]);
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
