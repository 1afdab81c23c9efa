#include "gpu/group_key.h"

#include <algorithm>

#include "gpu/order.h"

namespace covey::agg {

void append_null_key(std::string& key) { key.push_back(0); }

void append_number_key(std::string& key, uint64_t ordered) {
  char bytes[9] = {1};
  for (int i = 0; i < 8; ++i) bytes[i + 1] = static_cast<char>(ordered >> (56 - 8 * i));
  key.append(bytes, sizeof bytes);
}

void append_string_key(std::string& key, std::string_view text) {
  key.push_back(2);
  for (const char c : text) {
    key.push_back(c);
    if (c == 0) key.push_back(static_cast<char>(0xff));
  }
  key.push_back(0);
  key.push_back(1);
}

void GroupKeys::append(const GroupKeys& others) {
  const size_t before = bytes_.size();
  bytes_.append(others.bytes_);
  for (const uint64_t end : others.ends_) ends_.push_back(before + end);
}

namespace {

struct Place {
  uint64_t bits;  // of the key
  uint32_t at;
};

// The first 8 bytes of keys that tell them apart: where all are equally long those in which any two differ,
// else those behind what all begin with.
class KeyBits {
 public:
  explicit KeyBits(const GroupKeys& keys) {
    const std::string_view first = keys[0];
    std::string differ(first.size(), 0);
    size_t common = first.size();
    bool equally_long = true;
    for (size_t i = 1; i < keys.size(); ++i) {
      const std::string_view key = keys[i];
      const size_t length = std::min(key.size(), first.size());
      equally_long = equally_long && key.size() == first.size();
      common = std::min(common, length);
      for (size_t k = 0; k < length; ++k) differ[k] = static_cast<char>(differ[k] | (key[k] ^ first[k]));
    }
    while (begin_ < common && differ[begin_] == 0) ++begin_;
    for (size_t k = begin_; k < common && equally_long && places_.size() < 8; ++k) {
      if (differ[k] != 0) places_.push_back(k);
    }
  }
  uint64_t of(std::string_view key) const {
    uint64_t bits = 0;
    if (!places_.empty()) {
      for (const size_t place : places_) bits = bits << 8 | static_cast<unsigned char>(key[place]);
      return bits;
    }
    for (size_t i = begin_; i < begin_ + 8; ++i)
      bits = bits << 8 | (i < key.size() ? static_cast<unsigned char>(key[i]) : 0);
    return bits;
  }

 private:
  size_t begin_ = 0;            // of the first byte that differs
  std::vector<size_t> places_;  // empty: from there on
};

// By `bits`, least digit first, and only digits that differ.
void radix_sort(std::vector<Place>& places) {
  constexpr int kDigitBits = 11;
  constexpr size_t kDigits = size_t{1} << kDigitBits;
  uint64_t differ = 0;
  for (const Place& place : places) differ |= place.bits ^ places[0].bits;
  std::vector<Place> other(places.size());
  for (int shift = 0; shift < 64; shift += kDigitBits) {
    if ((differ >> shift & (kDigits - 1)) == 0) continue;
    std::vector<size_t> begins(kDigits + 1);
    for (const Place& place : places) ++begins[(place.bits >> shift & (kDigits - 1)) + 1];
    for (size_t digit = 1; digit < kDigits; ++digit) begins[digit] += begins[digit - 1];
    for (const Place& place : places) other[begins[place.bits >> shift & (kDigits - 1)]++] = place;
    places.swap(other);
  }
}

}  // namespace

std::vector<uint32_t> sorted_order(const GroupKeys& keys) {
  constexpr size_t kRadixMin = 4096;
  bool sorted = true;
  for (size_t i = 1; i < keys.size() && sorted; ++i) sorted = keys[i - 1] < keys[i];
  if (sorted) return {};
  const KeyBits bits(keys);
  std::vector<Place> places;
  places.reserve(keys.size());
  for (uint32_t i = 0; i < keys.size(); ++i) places.push_back({bits.of(keys[i]), i});
  const auto by_key = [&](const Place& a, const Place& b) {
    return a.bits != b.bits ? a.bits < b.bits : keys[a.at] < keys[b.at];
  };
  if (places.size() < kRadixMin) {
    std::sort(places.begin(), places.end(), by_key);
  } else {
    radix_sort(places);
    for (auto begin = places.begin(); begin != places.end();) {
      const auto end =
          std::find_if(begin, places.end(), [&](const Place& p) { return p.bits != begin->bits; });
      if (end - begin > 1) std::sort(begin, end, by_key);
      begin = end;
    }
  }
  std::vector<uint32_t> order;
  order.reserve(places.size());
  for (const Place& place : places) order.push_back(place.at);
  return order;
}

namespace {

bool decode_string(std::string_view& key, std::string& text) {
  for (size_t i = 0; i + 1 < key.size(); ++i) {
    if (key[i] != 0) {
      text.push_back(key[i]);
    } else if (key[++i] == 1) {
      key.remove_prefix(i + 1);
      return text.size() <= kStringBytesMax;
    } else if (key[i] == static_cast<char>(0xff)) {
      text.push_back(0);
    } else {
      return false;
    }
  }
  return false;
}

}  // namespace

bool decode_group_key(std::string_view key, std::span<const ColumnType> types, std::vector<Value>& values) {
  values.clear();
  for (const ColumnType type : types) {
    if (key.empty()) return false;
    const char tag = key.front();
    key.remove_prefix(1);
    if (tag == 0) {
      values.emplace_back();
    } else if (tag == 1 && type != ColumnType::kString) {
      if (key.size() < 8) return false;
      uint64_t ordered = 0;
      for (int i = 0; i < 8; ++i)
        ordered = ordered << 8 | static_cast<unsigned char>(key[static_cast<size_t>(i)]);
      key.remove_prefix(8);
      values.push_back(type == ColumnType::kInt64 ? Value(int_from_order(ordered))
                                                  : Value(float_from_order(ordered)));
    } else if (tag == 2 && type == ColumnType::kString) {
      std::string text;
      if (!decode_string(key, text)) return false;
      values.emplace_back(std::move(text));
    } else {
      return false;
    }
  }
  return key.empty();
}

}  // namespace covey::agg
