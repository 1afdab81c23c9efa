// Small pieces of text that several front ends write: JSON strings, times, percent-encoding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace covey::server {

bool is_utf8(std::string_view bytes);

// Appends a JSON string with its quotes. Bytes that are not UTF-8 are written as U+FFFD, so that the result
// is JSON whatever the input was.
void append_json_string(std::string& out, std::string_view text);

void append_number(std::string& out, uint64_t value);

// "2026-03-01T12:34:56.789Z"
std::string iso_time(uint64_t wall_ms);
// "Sun, 01 Mar 2026 12:34:56 GMT", as HTTP's Date header has it.
std::string http_date(uint64_t wall_ms);

// nullopt: a '%' without two hexadecimal digits. plus_is_space: as in the query of a form.
struct PercentOptions {
  bool plus_is_space = false;
};
std::optional<std::string> percent_decode(std::string_view text, PercentOptions options = {});

// The whole text as a number; nullopt: something else, or out of range.
std::optional<uint64_t> parse_number(std::string_view text);

// Of what is read whole into a tree of values: definitions, requests, introductions.
inline constexpr size_t json_depth_max = 32;
// Whether objects and lists are nested deeper: what such a tree would be copied and written by recursion.
// Says nothing about whether the text is JSON.
bool nested_too_deeply(std::string_view text);

}  // namespace covey::server
