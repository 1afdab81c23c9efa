// A group's key as bytes whose order is the answer's: for each column 0 (null), 1 and the order-mapped bits,
// most significant first, or 2 and the string with 0 written as 0 255 and closed by 0 1.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/value.h"

namespace covey::agg {

void append_null_key(std::string& key);
void append_number_key(std::string& key, uint64_t ordered);
void append_string_key(std::string& key, std::string_view text);

// Many keys, one behind the other: no memory of its own for each.
class GroupKeys {
 public:
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {bytes_.data() + begin, ends_[i] - begin};
  }
  void push_back(std::string_view key) {
    bytes_.append(key);
    ends_.push_back(bytes_.size());
  }
  // Calls add(bytes), which appends one key.
  template <class Add>
  void add(Add add_key) {
    add_key(bytes_);
    ends_.push_back(bytes_.size());
  }
  void append(const GroupKeys& others);
  void reserve(size_t keys, size_t bytes) {
    ends_.reserve(keys);
    bytes_.reserve(bytes);
  }
  void clear() {
    ends_.clear();
    bytes_.clear();
  }
  uint64_t bytes() const { return bytes_.size() + ends_.size() * 8; }  // of memory
  bool operator==(const GroupKeys&) const = default;

 private:
  std::string bytes_;
  std::vector<uint64_t> ends_;
};

// The keys' places in bytewise order; empty: they have it already. No two keys are equal.
std::vector<uint32_t> sorted_order(const GroupKeys& keys);

// False: not the encoding of a key of these columns.
bool decode_group_key(std::string_view key, std::span<const ColumnType> types, std::vector<Value>& values);

}  // namespace covey::agg
