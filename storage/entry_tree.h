// The order of a memtable's entries, as a B+ tree of wide nodes.
//
// A skip list visits some twenty entries on its way to a place, and waits for memory at most of them: with a
// memtable of 32 MiB that was a fifth to a quarter of a put. Here a node keeps, beside its entries' places,
// the bytes that all its keys begin with and the next eight bytes of each, so that a search reads three or
// four nodes and, as a rule, one entry. (Nodes with prefixes cut off and pieces of keys side by side: Graefe,
// "Modern B-Tree Techniques", 2011, section 2.)
//
// An entry lies in memory as RocksDB's memtables have it (part of MemTableRep's contract): the length of the
// internal key as a varint, the user's key, eight bytes of sequence number and kind, then the value. They are
// ordered by the user's key, bytewise, and among equal ones the newest first. Nothing is ever removed.
//
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

namespace covey {

struct EntryKey {
  std::string_view user;
  uint64_t tag = 0;  // sequence number and kind
  bool operator==(const EntryKey&) const = default;
};

EntryKey key_of_entry(const char* entry);
// internal_key: the user's key and the eight bytes. REQUIRES: it has these.
EntryKey key_of_internal(std::string_view internal_key);

class EntryTree {
 public:
  static constexpr size_t node_entries = 64;

  // Some neighbours in order, and one of them. They stay where they are, whatever is inserted.
  struct Window {
    std::array<const char*, node_entries> entries;
    size_t size = 0;  // 0: there is no such entry
    size_t at = 0;
  };

  // allocate: memory, aligned to 8 bytes, that lives as long as the tree.
  explicit EntryTree(std::function<char*(size_t bytes)> allocate) : allocate_(std::move(allocate)) {}

  // False: an equal entry is there. Borrows the entry.
  bool insert(const char* entry);

  // Where the first, the last, the first not below, or the first above a key stands; likewise backwards.
  void first(Window& window) const { copy({head_, 0}, window); }
  void last(Window& window) const { copy(back({nullptr, 0}), window); }
  void at_least(const EntryKey& key, Window& window) const { copy(place_of(key), window); }
  void above(const EntryKey& key, Window& window) const;
  void at_most(const EntryKey& key, Window& window) const;
  void below(const EntryKey& key, Window& window) const { copy(back(place_of(key)), window); }

 private:
  struct Node;
  struct Leaf;
  struct Inner;
  struct Place {
    const Leaf* leaf;  // nullptr: behind the last
    size_t at;
  };
  static constexpr size_t levels_max = 12;  // nodes are half full at least, but for those at an end
  struct Step {
    Inner* node;
    size_t child;
  };

  template <class T>
  T* make(uint16_t level);
  Leaf* split(Leaf& leaf, size_t at, const char* entry, const EntryKey& key);
  void add_child(Step* path, size_t steps, const char* separator, Node* child);
  Place place_of(const EntryKey& key) const;
  Place back(Place place) const;
  static void copy(Place place, Window& window);

  std::function<char*(size_t)> allocate_;
  uint64_t newest_ = 0;  // the highest tag
  Node* root_ = nullptr;
  Leaf* head_ = nullptr;
  Leaf* tail_ = nullptr;
};

}  // namespace covey
