#include "gpu/group_key.h"

#include "gpu/order.h"

namespace covey::agg {

void append_null_key(std::string& key) { key.push_back(0); }

void append_number_key(std::string& key, uint64_t ordered) {
  key.push_back(1);
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(ordered >> shift));
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
