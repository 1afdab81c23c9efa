// Recently used objects of one shard, as they are stored. Each write reads its object first, and a search in
// RocksDB (memtable, then tables) costs several times as much as a look here.
//
// Set-associative: a key may stand in one of seven places, a line of the processor's cache with a byte of the
// keys' hashes for each; a new key takes a free one, or one of the seven in turn. No order of use to
// maintain, no chains, and nothing that depends on time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace covey {

// Used by one thread.
class ObjectCache {
 public:
  // bytes_max: of pairs and places together; below 64 KiB nothing is kept at all.
  explicit ObjectCache(uint64_t bytes_max);

  // nullopt: not known here. The view is valid until the next call of another method.
  std::optional<std::string_view> find(std::string_view key);
  // Replaces whatever has the place. A pair above a 256th of the limit is not kept.
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  void clear();
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr size_t ways = 7;
  using Pair = std::unique_ptr<char[]>;  // the lengths of key and value, then both
  struct alignas(64) Set {
    std::array<uint8_t, ways> tags{};  // of the pairs' keys
    uint8_t turn = 0;                  // which of seven full places is taken next
    std::array<Pair, ways> pairs;      // nullptr: free
  };
  struct Spot {
    size_t set;
    uint8_t tag;  // more bits of the key's hash
  };
  Spot spot_of(std::string_view key) const;
  Pair* pair_of(Spot spot, std::string_view key);  // nullptr: not here
  void free(Pair& pair);

  const uint64_t bytes_max_;
  std::vector<Set> sets_;  // a power of two, or none
  uint64_t bytes_ = 0;
  size_t hand_ = 0;  // the set where room is made next
};

}  // namespace covey
