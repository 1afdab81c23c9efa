#include "server/glob.h"

#include <algorithm>

namespace covey::server {
namespace {

// Of a pattern that begins behind '[': whether it matches c; takes the closing ']' too, which may be missing
// at the end.
bool take_class(std::string_view& pattern, char c) {
  const auto byte = [](char one) { return static_cast<unsigned char>(one); };
  const bool negated = !pattern.empty() && pattern.front() == '^';
  if (negated) pattern.remove_prefix(1);
  bool found = false;
  while (!pattern.empty() && pattern.front() != ']') {
    if (pattern.front() == '\\' && pattern.size() >= 2) {
      found = found || pattern[1] == c;
      pattern.remove_prefix(2);
    } else if (pattern.size() >= 3 && pattern[1] == '-') {
      const auto [least, most] = std::minmax({byte(pattern[0]), byte(pattern[2])});
      found = found || (byte(c) >= least && byte(c) <= most);
      pattern.remove_prefix(3);
    } else {
      found = found || pattern.front() == c;
      pattern.remove_prefix(1);
    }
  }
  if (!pattern.empty()) pattern.remove_prefix(1);
  return found != negated;
}

// One byte against the pattern's next element, which is no '*', and is taken.
bool take_one(std::string_view& pattern, char c) {
  const char first = pattern.front();
  pattern.remove_prefix(1);
  if (first == '?') return true;
  if (first == '[') return take_class(pattern, c);
  if (first != '\\' || pattern.empty()) return first == c;
  const char literal = pattern.front();
  pattern.remove_prefix(1);
  return literal == c;
}

}  // namespace

// Only the last '*' is ever tried again: what an earlier one could take more of, the later one can too.
bool matches_glob(std::string_view pattern, std::string_view text) {
  std::string_view retry_pattern, retry_text;
  bool can_retry = false;
  while (!text.empty() || !pattern.empty()) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      if (pattern.empty()) return true;
      retry_pattern = pattern;
      retry_text = text;
      can_retry = true;
      continue;
    }
    if (!pattern.empty() && !text.empty() && take_one(pattern, text.front())) {
      text.remove_prefix(1);
      continue;
    }
    if (!can_retry || retry_text.empty()) return false;
    retry_text.remove_prefix(1);
    text = retry_text;
    pattern = retry_pattern;
  }
  return true;
}

std::string literal_prefix(std::string_view pattern) {
  std::string prefix;
  while (!pattern.empty() && pattern.front() != '*' && pattern.front() != '?' && pattern.front() != '[') {
    if (pattern.front() == '\\' && pattern.size() >= 2) pattern.remove_prefix(1);
    prefix.push_back(pattern.front());
    pattern.remove_prefix(1);
  }
  return prefix;
}

}  // namespace covey::server
