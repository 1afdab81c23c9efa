// The different strings of one string column of a table, as codes 0, 1, 2... Shared by the stores of all
// partitions of a table on a node, so that one code means one string in all of them.
//
// Thread-safety: none; the executor that alternates updates and scans owns it. Codes are counted: a string
// that no row holds any more is forgotten and its code given again. A code is stable as long as one row holds
// it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace covey::agg {

class Dictionary {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  // entries_max: of different strings; beyond it acquire() answers kNone and stores refuse the batch
  // (kDictionaryFull).
  explicit Dictionary(uint32_t entries_max = 1u << 24) : entries_max_(entries_max) {}
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  // The code of a string, entered if new; counts one more holder.
  uint32_t acquire(std::string_view text);
  // One holder less. REQUIRES a code with a holder.
  void release(uint32_t code);
  // Gives its memory back, if no row holds any string.
  void trim();
  // kNone: no row holds it.
  uint32_t find(std::string_view text) const;
  bool holds(uint32_t code) const { return code < entries_.size() && entries_[code].holders > 0; }
  // REQUIRES holds(code)
  const std::string& text(uint32_t code) const { return *entries_[code].text; }
  // Its string's fixed hash, as `distinct` uses it on every node.
  uint64_t hash(uint32_t code) const { return entries_[code].hash; }
  // One past the highest code given so far.
  uint32_t end() const { return static_cast<uint32_t>(entries_.size()); }
  uint32_t size() const { return static_cast<uint32_t>(codes_.size()); }
  uint32_t entries_max() const { return entries_max_; }
  uint64_t bytes() const { return text_bytes_ + entries_.capacity() * sizeof(Entry) + codes_.size() * 96; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Entry {
    const std::string* text = nullptr;  // the map's key
    uint64_t hash = 0;
    uint64_t holders = 0;
  };
  uint32_t entries_max_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> codes_;
  uint64_t text_bytes_ = 0;
};

}  // namespace covey::agg
