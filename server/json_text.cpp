#include "server/json_text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "replication/result.h"

namespace covey::server {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t take_digits(std::string_view& text) {
  size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(count);
  return count;
}

}  // namespace

bool is_json_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  bool zero = text.starts_with('0');
  size_t whole = take_digits(text);
  if (whole == 0 || (zero && whole > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (take_digits(text) == 0) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (take_digits(text) == 0) return false;
  }
  return text.empty();
}

namespace {

// What stands for a number that 64 bits can't hold; empty: they can, or it is no number.
std::string_view stand_in(std::string_view token) {
  constexpr size_t held_by_64_bits = 18;  // any whole number of so many digits
  if (!is_json_number(token)) return {};
  if (!std::isfinite(std::strtod(std::string(token).c_str(), nullptr))) return "true";
  bool whole = token.find_first_of(".eE") == std::string_view::npos;
  if (!whole || token.size() <= held_by_64_bits) return {};
  bool negative = token.front() == '-';
  std::string_view digits = token.substr(negative ? 1 : 0);
  std::string_view most = negative ? "9223372036854775808" : "18446744073709551615";
  bool held = digits.size() != most.size() ? digits.size() < most.size() : digits <= most;
  return held ? std::string_view() : "0.0";
}

// The same text, byte for byte, but for numbers that 64 bits can't hold.
std::string with_held_numbers(std::string_view text) {
  std::string out(text);
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '-' || is_digit(c)) {
      size_t end = std::min(text.find_first_not_of("0123456789+-.eE", i), text.size());
      std::string_view replacement = stand_in(text.substr(i, end - i));
      if (!replacement.empty()) {
        std::fill_n(out.begin() + static_cast<ptrdiff_t>(i), end - i, ' ');
        out.replace(i, replacement.size(), replacement);
      }
      i = end - 1;
    }
  }
  return out;
}

}  // namespace

simdjson::error_code parse_json(simdjson::dom::parser& parser, std::string_view text,
                                simdjson::dom::element& out, bool* stood_in) {
  auto failed = parser.parse(text.data(), text.size()).get(out);
  if (stood_in != nullptr) *stood_in = failed == simdjson::NUMBER_ERROR;
  if (failed != simdjson::NUMBER_ERROR) return failed;
  return parser.parse(with_held_numbers(text)).get(out);
}

std::string minified_json(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element document;
  if (parse_json(parser, text, document) != simdjson::SUCCESS) return {};
  std::string out(text.size(), '\0');
  size_t length = 0;
  if (simdjson::minify(text.data(), text.size(), out.data(), length) != simdjson::SUCCESS) return {};
  out.resize(length);
  return out;
}

std::string raw_member(std::string_view object, std::string_view name) {
  thread_local simdjson::ondemand::parser parser;
  simdjson::padded_string padded(object);
  auto document = parser.iterate(padded);
  for (auto field : document.get_object()) {
    std::string_view found;
    if (field.unescaped_key().get(found) != simdjson::SUCCESS || found != name) continue;
    simdjson::ondemand::value value;
    simdjson::ondemand::json_type type;
    COVEY_ASSERT(field.value().get(value) == simdjson::SUCCESS);
    COVEY_ASSERT(value.type().get(type) == simdjson::SUCCESS);
    std::string_view raw;
    if (type == simdjson::ondemand::json_type::object) {
      simdjson::ondemand::object members;
      COVEY_ASSERT(value.get(members) == simdjson::SUCCESS &&
                   members.raw_json().get(raw) == simdjson::SUCCESS);
    } else if (type == simdjson::ondemand::json_type::array) {
      simdjson::ondemand::array elements;
      COVEY_ASSERT(value.get(elements) == simdjson::SUCCESS &&
                   elements.raw_json().get(raw) == simdjson::SUCCESS);
    } else {
      raw = value.raw_json_token();
    }
    return std::string(raw.substr(0, raw.find_last_not_of(" \t\r\n") + 1));
  }
  COVEY_ASSERT(false && "the member is there");
  return {};
}

}  // namespace covey::server
