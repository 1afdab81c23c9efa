// Recently used objects of one shard, as they are stored. Each write reads its object first, and a search in
// RocksDB (memtable, then tables) costs several times as much as a look here.
//
// Set-associative: a key has eight places to stand in, found by a few bits of its hash; a new key takes a
// free one, or one of the eight in turn. No order of use to maintain, no chains, and nothing that depends on
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace covey {

// Used by one thread.
class ObjectCache {
 public:
  // bytes_max: of keys, values and places together; below 64 KiB nothing is kept at all.
  explicit ObjectCache(uint64_t bytes_max);

  // nullopt: not known here. The view is valid until the next call of another method.
  std::optional<std::string_view> find(std::string_view key) const;
  // Replaces whatever has the place. A pair above a 256th of the limit is not kept.
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  void clear();
  uint64_t bytes() const { return bytes_; }

 private:
  struct Place {
    std::string pair;  // the key, then the value; empty: free
    size_t key_bytes = 0;
  };
  static constexpr size_t ways = 8;
  struct Spot {
    size_t first;  // of the key's places
    uint16_t tag;  // more bits of its hash
  };
  static constexpr size_t nowhere = SIZE_MAX;
  Spot spot_of(std::string_view key) const;
  size_t index_of(Spot spot, std::string_view key) const;  // nowhere: not here
  void free(Place& place);

  const uint64_t bytes_max_;
  std::vector<Place> places_;   // a power of two, or none
  std::vector<uint16_t> tags_;  // of the places' keys
  uint64_t bytes_ = 0;
  size_t hand_ = 0;  // where room is made next
  size_t turn_ = 0;  // which of eight full places is taken next
};

}  // namespace covey
