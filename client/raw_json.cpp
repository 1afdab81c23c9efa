#include "client/raw_json.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace covey::client {
namespace {

size_t skip_blanks(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(" \t\r\n", at), text.size());
}

size_t skip_string(std::string_view text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

// Behind the value that begins at `at`.
size_t skip_value(std::string_view text, size_t at) {
  size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;  // of the object or array around it
      --depth;
      ++at;
    } else if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
      return at;
    } else {
      ++at;
      continue;
    }
    if (depth == 0) return at;
  }
  return at;
}

}  // namespace

std::optional<std::string_view> raw_member(std::string_view object, std::string_view name) {
  std::optional<std::string_view> found;
  size_t at = skip_blanks(object, skip_blanks(object, 0) + 1);
  while (at < object.size() && object[at] == '"') {
    const size_t name_end = skip_string(object, at);
    const std::string_view spelled = object.substr(at, name_end - at);
    const bool escaped = spelled.find('\\') != std::string_view::npos;
    const bool same = escaped ? nlohmann::json::parse(spelled, nullptr, false) == nlohmann::json(name)
                              : spelled.substr(1, spelled.size() - 2) == name;
    const size_t start = skip_blanks(object, skip_blanks(object, name_end) + 1);  // behind the colon
    const size_t end = skip_value(object, start);
    if (same) found = object.substr(start, end - start);
    at = skip_blanks(object, end);
    if (at < object.size() && object[at] == ',') at = skip_blanks(object, at + 1);
  }
  return found;
}

std::vector<std::string_view> raw_elements(std::string_view array) {
  std::vector<std::string_view> elements;
  size_t at = skip_blanks(array, skip_blanks(array, 0) + 1);
  while (at < array.size() && array[at] != ']') {
    const size_t end = skip_value(array, at);
    elements.push_back(array.substr(at, end - at));
    at = skip_blanks(array, end);
    if (at < array.size() && array[at] == ',') at = skip_blanks(array, at + 1);
  }
  return elements;
}

nlohmann::ordered_json parse_json(std::string_view text) {
  nlohmann::ordered_json parsed = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!parsed.is_discarded()) return parsed;
  std::string held(text);  // with nulls, byte for byte
  for (size_t at = 0; at < held.size();) {
    if (held[at] == '"') {
      at = skip_string(held, at);
    } else if (held[at] == '-' || (held[at] >= '0' && held[at] <= '9')) {
      const size_t end = std::min(held.find_first_not_of("0123456789+-.eE", at), held.size());
      const std::string number = held.substr(at, end - at);
      char* read = nullptr;
      const bool vast = std::isinf(std::strtod(number.c_str(), &read)) && *read == '\0';
      if (vast) held.replace(at, number.size(), "null" + std::string(number.size() - 4, ' '));
      at = end;
    } else {
      ++at;
    }
  }
  return nlohmann::ordered_json::parse(held);
}

std::string on_one_line(std::string_view json) {
  std::string line(json);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

}  // namespace covey::client
