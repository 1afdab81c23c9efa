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

// False: not the encoding of a key of these columns.
bool decode_group_key(std::string_view key, std::span<const ColumnType> types, std::vector<Value>& values);

}  // namespace covey::agg
