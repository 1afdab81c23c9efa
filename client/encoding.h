// Text forms that the client and the command line share. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace covey::client {

// Percent-encodes every byte outside [A-Za-z0-9-._~], so that any key is one path segment or query value.
std::string percent_encode(std::string_view bytes);

// Shortest-form UTF-8 without surrogates, as JSON strings need it.
bool valid_utf8(std::string_view bytes);

// "application/json" and "...+json", with or without parameters.
bool is_json_type(std::string_view content_type);

// What a value's bytes look like: application/json, text/plain; charset=utf-8 or application/octet-stream.
std::string guess_content_type(std::string_view value);

// A decimal number with its unit: ms, s, m, h or d ("250ms", "1.5s"). nullopt for a missing or unknown unit,
// a negative number, or more than a hundred years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// "one", "quorum", "all" or a number from 1 to 99; whether the cluster has so many replicas is the server's
// to say.
bool valid_level(std::string_view text);

}  // namespace covey::client
