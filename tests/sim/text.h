// Words, numbers and durations of scenario files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace covey::sim {

// Words between blanks; what follows a word '#' is a comment.
std::vector<std::string> split_words(std::string_view line);

// Each throws ScenarioError for text that it can't read.
uint64_t parse_number(std::string_view text);
uint64_t parse_duration_us(std::string_view text);  // 50us 20ms 3s 2m
uint64_t parse_ppm(std::string_view text);          // 0% to 100%, to parts per million
int64_t parse_signed_ms(std::string_view text);     // +5s -200ms

std::string duration_text(uint64_t us);
std::string percent_text(uint64_t ppm);

// The words of a line after its verb: plain ones in order and those of the form name=value.
class Arguments {
 public:
  explicit Arguments(std::vector<std::string> words);
  const std::string& at(size_t index) const;  // throws ScenarioError if there are fewer
  size_t size() const { return plain_.size(); }
  const std::vector<std::string>& plain() const { return plain_; }
  bool has(std::string_view word) const;  // among the plain ones
  std::optional<std::string> option(std::string_view name) const;

 private:
  std::vector<std::string> plain_;
  std::vector<std::pair<std::string, std::string>> options_;
};

}  // namespace covey::sim
