#include "storage/object_cache.h"

#include <bit>
#include <cstring>

#include "replication/hash.h"

namespace covey {

namespace {
constexpr uint64_t useful_bytes = 64 << 10;
// Of the limit. A set is half full when each of its pairs has 256 bytes, so that few sets are too full.
constexpr uint64_t bytes_a_set = 1024;
constexpr uint64_t pair_bytes_max = 1 << 30;
constexpr uint64_t hash_seed = 0x6f626a6563747321;

struct Lengths {
  uint32_t key = 0;
  uint32_t value = 0;
  // What a pair of these lengths is given. In steps, so that a value that changes a little keeps its memory.
  size_t pair_bytes() const { return (sizeof(Lengths) + key + value + 15) & ~size_t{15}; }
};
Lengths lengths_of(const char* pair) {
  Lengths out;
  std::memcpy(&out, pair, sizeof(out));
  return out;
}
}  // namespace

ObjectCache::ObjectCache(uint64_t bytes_max) : bytes_max_(bytes_max) {
  if (bytes_max < useful_bytes) return;
  sets_.resize(std::bit_floor(bytes_max / bytes_a_set));
  bytes_ = sets_.size() * sizeof(Set);
}

ObjectCache::Spot ObjectCache::spot_of(std::string_view key) const {
  const uint64_t hash = hash_bytes(key, hash_seed);
  return {hash & (sets_.size() - 1), static_cast<uint8_t>(hash >> 56)};
}

ObjectCache::Pair* ObjectCache::pair_of(Spot spot, std::string_view key) {
  Set& set = sets_[spot.set];
  for (size_t i = 0; i < ways; ++i) {
    if (set.tags[i] != spot.tag || set.pairs[i] == nullptr) continue;
    const char* pair = set.pairs[i].get();
    if (std::string_view(pair + sizeof(Lengths), lengths_of(pair).key) == key) return &set.pairs[i];
  }
  return nullptr;
}

std::optional<std::string_view> ObjectCache::find(std::string_view key) {
  if (sets_.empty()) return std::nullopt;
  const Pair* pair = pair_of(spot_of(key), key);
  if (pair == nullptr) return std::nullopt;
  return std::string_view(pair->get() + sizeof(Lengths) + key.size(), lengths_of(pair->get()).value);
}

void ObjectCache::put(std::string_view key, std::string_view value) {
  if (sets_.empty()) return;
  const Spot spot = spot_of(key);
  Pair* pair = pair_of(spot, key);
  const uint64_t needed = key.size() + value.size();
  if (needed > std::min(bytes_max_ / 256, pair_bytes_max)) {
    if (pair != nullptr) free(*pair);
    return;
  }
  Set& set = sets_[spot.set];
  for (size_t i = 0; pair == nullptr && i < ways; ++i) {
    if (set.pairs[i] == nullptr) pair = &set.pairs[i];
  }
  if (pair == nullptr) pair = &set.pairs[set.turn++ % ways];
  const Lengths lengths{static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
  if (*pair == nullptr || lengths_of(pair->get()).pair_bytes() != lengths.pair_bytes()) {
    free(*pair);
    *pair = std::make_unique_for_overwrite<char[]>(lengths.pair_bytes());
    bytes_ += lengths.pair_bytes();
  }
  char* to = pair->get();
  std::memcpy(to, &lengths, sizeof(lengths));
  to = std::copy(key.begin(), key.end(), to + sizeof(lengths));
  std::copy(value.begin(), value.end(), to);
  set.tags[static_cast<size_t>(pair - set.pairs.data())] = spot.tag;
  for (; bytes_ > bytes_max_; hand_ = (hand_ + 1) & (sets_.size() - 1)) {
    for (Pair& other : sets_[hand_].pairs) {
      if (&other != pair && bytes_ > bytes_max_) free(other);
    }
  }
}

void ObjectCache::erase(std::string_view key) {
  if (sets_.empty()) return;
  if (Pair* pair = pair_of(spot_of(key), key)) free(*pair);
}

void ObjectCache::clear() {
  for (Set& set : sets_) {
    for (Pair& pair : set.pairs) free(pair);
  }
}

void ObjectCache::free(Pair& pair) {
  if (pair == nullptr) return;
  bytes_ -= lengths_of(pair.get()).pair_bytes();
  pair.reset();
}

}  // namespace covey
