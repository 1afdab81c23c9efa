// What clients may call themselves.
#pragma once

#include <algorithm>
#include <string_view>

namespace covey::server {

inline bool is_client_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

inline constexpr std::string_view bad_client_name =
    "ERR Client names cannot contain spaces, newlines or special characters.";

}  // namespace covey::server
