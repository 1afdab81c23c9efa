// JSON text: read whatever the size of its numbers, and pieces of it as they stand.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

namespace covey::server {

// As parser.parse(text), which refuses numbers that 64 bits can't hold, though they are JSON. Where a text
// has such numbers, a whole one is read as 0.0 (a number, but no int64) and one beyond every double as `true`
// (no number at all), so that checks of types stay right; their digits are in the text alone.
// `stood_in`, if given, is told whether it has.
simdjson::error_code parse_json(simdjson::dom::parser& parser, std::string_view text,
                                simdjson::dom::element& out, bool* stood_in = nullptr);

// RFC 8259's grammar of a number.
bool is_json_number(std::string_view text);

// The text without white space between its tokens; empty: it is not JSON.
std::string minified_json(std::string_view text);

// A member's value as it stands in the text. REQUIRES: parse_json took the text, it is an object, has the
// member, once.
std::string raw_member(std::string_view object, std::string_view name);

}  // namespace covey::server
