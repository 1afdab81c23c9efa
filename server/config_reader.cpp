#include "server/config_reader.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "server/text.h"

namespace covey::server {
namespace {

using nlohmann::json;

const json empty_object = json::object();

std::string place_of(std::string_view text, size_t byte) {
  size_t line = 1;
  size_t column = 1;
  for (size_t i = 0; i + 1 < byte && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// The library's text says where in its own words first; what follows the last "; " or ": " says what.
std::string syntax_text(const json::parse_error& error) {
  std::string what = error.what();
  size_t begin = what.find("syntax error");
  return begin == std::string::npos ? what : what.substr(begin);
}

std::string expand(const std::string& text, const std::string& path) {
  std::string out;
  size_t at = 0;
  while (true) {
    size_t open = text.find("${", at);
    if (open == std::string::npos) return out + text.substr(at);
    size_t close = text.find('}', open);
    if (close == std::string::npos) throw ConfigFault{path + ": \"${\" has no \"}\" behind it"};
    std::string name = text.substr(open + 2, close - open - 2);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) {
      throw ConfigFault{path + ": the environment variable " + name +
                        " is not set; set it, or write the value here"};
    }
    out += text.substr(at, open - at) + value;
    at = close + 1;
  }
}

void expand_all(json& value, const std::string& path) {
  if (value.is_string()) {
    value = expand(value.get<std::string>(), path);
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) expand_all(value[i], path + "/" + std::to_string(i));
  } else if (value.is_object()) {
    for (auto& [key, member] : value.items()) expand_all(member, path + "/" + key);
  }
}

}  // namespace

json parse_config_json(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  auto watch = [&keys](int depth, json::parse_event_t event, json& parsed) {
    if (depth > static_cast<int>(json_depth_max))
      throw ConfigFault{"it is nested deeper than " + std::to_string(json_depth_max) + " levels"};
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw ConfigFault{"the key \"" + parsed.get<std::string>() +
                        "\" is given twice in one object; keep one of them"};
    }
    return true;
  };
  try {
    json whole = json::parse(text, watch, true, true);
    if (!whole.is_object()) throw ConfigFault{"the file must hold one JSON object"};
    expand_all(whole, "");
    return whole;
  } catch (const json::parse_error& error) {
    throw ConfigFault{place_of(text, error.byte) + ": " + syntax_text(error)};
  } catch (const json::out_of_range&) {
    throw ConfigFault{"a number is beyond every double, like 1e999: write a smaller one"};
  }
}

ConfigReader::ConfigReader(const json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object_.is_object()) throw ConfigFault{path_ + ": must be an object"};
}

const json* ConfigReader::find(const char* key) {
  known_.emplace_back(key);
  auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

bool ConfigReader::has(const char* key) { return object_.contains(key); }

void ConfigReader::fail(const std::string& key, const std::string& what) const {
  throw ConfigFault{path_of(key) + ": " + what};
}

std::string ConfigReader::text(const char* key, const char* allowed) {
  const json* value = find(key);
  if (value == nullptr) fail(key, std::string("is missing; ") + allowed);
  if (!value->is_string()) fail(key, std::string("must be a string; ") + allowed);
  return value->get<std::string>();
}

std::string ConfigReader::text_or(const char* key, std::string otherwise, const char* allowed) {
  if (!has(key)) {
    known_.emplace_back(key);
    return otherwise;
  }
  return text(key, allowed);
}

uint64_t ConfigReader::number_or(const char* key, uint64_t otherwise, uint64_t least, uint64_t most) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  bool fits =
      value->is_number_unsigned() && value->get<uint64_t>() >= least && value->get<uint64_t>() <= most;
  if (!fits) {
    fail(key, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most) +
                  ", not " + value->dump());
  }
  return value->get<uint64_t>();
}

double ConfigReader::real_or(const char* key, double otherwise, double above, double most) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  bool fits = value->is_number() && value->get<double>() > above && value->get<double>() <= most;
  if (!fits) {
    fail(key, "must be a number above " + json(above).dump() + " and at most " + json(most).dump() +
                  ", not " + value->dump());
  }
  return value->get<double>();
}

bool ConfigReader::boolean_or(const char* key, bool otherwise) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) fail(key, "must be true or false, not " + value->dump());
  return value->get<bool>();
}

size_t ConfigReader::choice_or(const char* key, size_t otherwise, const std::vector<std::string>& words) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_string()) {
    auto found = std::find(words.begin(), words.end(), value->get<std::string>());
    if (found != words.end()) return static_cast<size_t>(found - words.begin());
  }
  std::string allowed;
  for (const std::string& word : words) allowed += (allowed.empty() ? "\"" : ", \"") + word + "\"";
  fail(key, "must be one of " + allowed + ", not " + value->dump());
}

std::vector<std::string> ConfigReader::texts_or_none(const char* key, const char* allowed) {
  std::vector<std::string> texts;
  const json* value = find(key);
  if (value == nullptr) return texts;
  if (!value->is_array()) fail(key, std::string("must be an array of strings; ") + allowed);
  for (size_t i = 0; i < value->size(); ++i) {
    if (!(*value)[i].is_string())
      fail(std::string(key) + "/" + std::to_string(i), std::string("must be a string; ") + allowed);
    texts.push_back((*value)[i].get<std::string>());
  }
  return texts;
}

ConfigReader ConfigReader::object(const char* key) {
  const json* value = find(key);
  return ConfigReader(value == nullptr ? empty_object : *value, path_of(key));
}

ConfigReader ConfigReader::required_object(const char* key) {
  if (!has(key)) fail(key, "is missing; it must be an object");
  return object(key);
}

void ConfigReader::finish() const {
  for (const auto& [key, value] : object_.items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::string allowed;
    for (const std::string& known : known_) allowed += (allowed.empty() ? "" : ", ") + known;
    fail(key, "is not a key that is known here; allowed are: " + allowed);
  }
}

}  // namespace covey::server
