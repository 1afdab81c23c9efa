#include "tests/sim/text.h"

#include <algorithm>
#include <cctype>

#include "tests/sim/failure.h"

namespace covey::sim {

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < line.size()) {
    while (at < line.size() && std::isspace(static_cast<unsigned char>(line[at]))) ++at;
    size_t begin = at;
    while (at < line.size() && !std::isspace(static_cast<unsigned char>(line[at]))) ++at;
    if (begin == at) break;
    if (line[begin] == '#') break;
    words.emplace_back(line.substr(begin, at - begin));
  }
  return words;
}

uint64_t parse_number(std::string_view text) {
  uint64_t value = 0;
  if (text.empty() || text.size() > 18) throw ScenarioError("'" + std::string(text) + "' is not a number");
  for (char c : text) {
    if (c < '0' || c > '9') throw ScenarioError("'" + std::string(text) + "' is not a number");
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

uint64_t parse_duration_us(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits]))) ++digits;
  uint64_t value = parse_number(text.substr(0, digits));
  std::string_view unit = text.substr(digits);
  if (unit == "us") return value;
  if (unit == "ms") return value * 1'000;
  if (unit == "s") return value * 1'000'000;
  if (unit == "m") return value * 60'000'000;
  throw ScenarioError("'" + std::string(text) + "' is not a duration such as 50us, 20ms, 3s or 2m");
}

uint64_t parse_ppm(std::string_view text) {
  if (text.empty() || text.back() != '%')
    throw ScenarioError("'" + std::string(text) + "' is not a share such as 2.5%");
  text.remove_suffix(1);
  size_t point = text.find('.');
  uint64_t ppm = parse_number(text.substr(0, point)) * 10'000;
  if (point != std::string_view::npos) {
    std::string decimals(text.substr(point + 1));
    decimals.resize(4, '0');
    ppm += parse_number(decimals);
  }
  if (ppm > 1'000'000) throw ScenarioError("a share is at most 100%");
  return ppm;
}

int64_t parse_signed_ms(std::string_view text) {
  if (text.empty() || (text[0] != '+' && text[0] != '-')) {
    throw ScenarioError("'" + std::string(text) + "' is not a step such as +5s or -200ms");
  }
  auto ms = static_cast<int64_t>(parse_duration_us(text.substr(1)) / 1000);
  return text[0] == '-' ? -ms : ms;
}

std::string duration_text(uint64_t us) {
  if (us % 1'000'000 == 0) return std::to_string(us / 1'000'000) + "s";
  if (us % 1'000 == 0) return std::to_string(us / 1'000) + "ms";
  return std::to_string(us) + "us";
}

std::string percent_text(uint64_t ppm) {
  std::string decimals = std::to_string(10'000 + ppm % 10'000).substr(1);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  return std::to_string(ppm / 10'000) + (decimals.empty() ? "" : "." + decimals) + "%";
}

Arguments::Arguments(std::vector<std::string> words) {
  for (auto& word : words) {
    size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      plain_.push_back(std::move(word));
    } else {
      options_.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
}

const std::string& Arguments::at(size_t index) const {
  if (index >= plain_.size()) throw ScenarioError("words are missing");
  return plain_[index];
}

bool Arguments::has(std::string_view word) const {
  return std::find(plain_.begin(), plain_.end(), word) != plain_.end();
}

std::optional<std::string> Arguments::option(std::string_view name) const {
  for (const auto& [option, value] : options_) {
    if (option == name) return value;
  }
  return std::nullopt;
}

}  // namespace covey::sim
