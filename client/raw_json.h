// Pieces of JSON text as they stand, so that a value passes through the client as it was spelled: parsed and
// printed again, a number with more digits than a double holds would come out as another one.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace covey::client {

// The text of an object's member; of several with that name, the last. REQUIRES: `object` is the text of a
// valid JSON object. Views are into it.
std::optional<std::string_view> raw_member(std::string_view object, std::string_view name);

// The texts of an array's elements. REQUIRES: `array` is the text of a valid JSON array.
std::vector<std::string_view> raw_elements(std::string_view array);

// As nlohmann::ordered_json::parse, but a number beyond every double, which is JSON all the same, is read as
// null: its digits are in the text. Throws nlohmann::json::parse_error.
nlohmann::ordered_json parse_json(std::string_view text);

// Valid JSON text on one line: line ends in it, which can only be white space, become blanks.
std::string on_one_line(std::string_view json);

}  // namespace covey::client
