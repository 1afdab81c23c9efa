#include "server/resp_parser.h"

#include <algorithm>
#include <limits>

#include "replication/number.h"

namespace covey::server {
namespace {

constexpr size_t word_cost = 64;            // of memory, beside its bytes
constexpr size_t reserved_max = 16 * 1024;  // what a client only announces takes no more memory
constexpr size_t words_reserved_max = 16;   // likewise
// What Redis refuses from anybody. Who has not authenticated is told the same here.
constexpr int64_t redis_words_max = INT32_MAX;
constexpr int64_t redis_word_bytes_max = 512 * 1024 * 1024;

int hexadecimal(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char escaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
// As in Redis fewer end a word than may stand before it.
bool ends_word(char c) { return is_space(c) && c != '\v' && c != '\f'; }

// Behind the opening quote. false: it does not close as it must.
bool take_quoted(std::string_view& line, char quote, std::string& word) {
  while (!line.empty()) {
    const char c = line.front();
    line.remove_prefix(1);
    if (c == quote) return line.empty() || is_space(line.front());
    if (c != '\\' || line.empty()) {
      word.push_back(c);
    } else if (quote == '\'') {
      const bool quoted = line.front() == '\'';
      word.push_back(quoted ? '\'' : '\\');
      if (quoted) line.remove_prefix(1);
    } else if (line.size() >= 3 && line[0] == 'x' && hexadecimal(line[1]) >= 0 && hexadecimal(line[2]) >= 0) {
      word.push_back(static_cast<char>(hexadecimal(line[1]) * 16 + hexadecimal(line[2])));
      line.remove_prefix(3);
    } else {
      word.push_back(escaped(line.front()));
      line.remove_prefix(1);
    }
  }
  return false;
}

}  // namespace

std::optional<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  for (;;) {
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    if (line.empty()) return words;
    std::string& word = words.emplace_back();
    while (!line.empty() && !ends_word(line.front())) {
      const char c = line.front();
      line.remove_prefix(1);
      if (c != '"' && c != '\'') {
        word.push_back(c);
        continue;
      }
      if (!take_quoted(line, c, word)) return std::nullopt;
      break;
    }
  }
}

RespParser::Event RespParser::fail(std::string_view text) {
  error_ = "Protocol error: ";
  error_.append(text);
  words_.clear();
  return Event::failed;
}

RespParser::Event RespParser::parse(std::string_view& in, bool authenticated) {
  if (!error_.empty()) return Event::failed;
  for (;;) {
    if (words_missing_ > 0) {
      if (auto event = parse_word(in, authenticated)) return *event;
    } else if (in.empty()) {
      return Event::need_more;
    } else if (in.front() != '*') {
      const size_t before = in.size();
      const Event event = parse_inline(in, authenticated);
      if (event != Event::need_more || in.size() == before) return event;
    } else if (auto event = parse_length(in, authenticated)) {
      return *event;
    }
  }
}

// need_more with less in `in` than before: an empty line.
RespParser::Event RespParser::parse_inline(std::string_view& in, bool authenticated) {
  const size_t end = in.find('\n');
  if (std::min(end, in.size()) >= limits_.line_bytes) return fail("too big inline request");
  if (end == std::string_view::npos) return Event::need_more;
  std::string_view line = in.substr(0, end);
  in.remove_prefix(end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  auto words = split_words(line);
  if (!words) return fail("unbalanced quotes in request");
  if (words->empty()) return Event::need_more;
  if (!authenticated && words->size() > limits_.words_before_authentication)
    return fail("unauthenticated multibulk length");
  for (const std::string& word : *words) {
    if (!authenticated && word.size() > limits_.word_bytes_before_authentication)
      return fail("unauthenticated bulk length");
    if (word.size() > limits_.word_bytes) return fail("invalid bulk length");
  }
  words_ = std::move(*words);
  return Event::command;
}

// The array's first line. nullopt: go on.
std::optional<RespParser::Event> RespParser::parse_length(std::string_view& in, bool authenticated) {
  const size_t end = in.find('\r');
  if (std::min(end, in.size()) >= limits_.line_bytes) return fail("too big mbulk count string");
  if (end == std::string_view::npos || end + 1 >= in.size()) return Event::need_more;
  const auto count = parse_integer(in.substr(1, end - 1));
  in.remove_prefix(end + 2);
  const int64_t most = authenticated ? static_cast<int64_t>(limits_.words) : redis_words_max;
  if (!count || *count > most) return fail("invalid multibulk length");
  if (!authenticated && *count > static_cast<int64_t>(limits_.words_before_authentication))
    return fail("unauthenticated multibulk length");
  words_.clear();
  word_bytes_.reset();
  command_bytes_ = 0;
  words_missing_ = *count > 0 ? static_cast<size_t>(*count) : 0;  // nothing is asked: no answer
  words_.reserve(std::min(words_missing_, words_reserved_max));
  return std::nullopt;
}

// nullopt: go on.
std::optional<RespParser::Event> RespParser::parse_word(std::string_view& in, bool authenticated) {
  if (!word_bytes_) {
    const size_t end = in.find('\r');
    if (std::min(end, in.size()) >= limits_.line_bytes) return fail("too big bulk count string");
    if (end == std::string_view::npos || end + 1 >= in.size()) return Event::need_more;
    if (in.front() != '$') return fail("expected '$', got '" + std::string(1, in.front()) + "'");
    const auto size = parse_integer(in.substr(1, end - 1));
    in.remove_prefix(end + 2);
    const int64_t most = authenticated ? static_cast<int64_t>(limits_.word_bytes) : redis_word_bytes_max;
    if (!size || *size < 0 || *size > most) return fail("invalid bulk length");
    if (!authenticated && *size > static_cast<int64_t>(limits_.word_bytes_before_authentication))
      return fail("unauthenticated bulk length");
    word_bytes_ = static_cast<size_t>(*size);
    command_bytes_ += *word_bytes_ + word_cost;
    if (command_bytes_ > limits_.command_bytes) return fail("command is over the limit of its bytes");
    words_.emplace_back().reserve(std::min(*word_bytes_, reserved_max));
  }
  std::string& word = words_.back();
  const size_t taken = std::min(in.size(), *word_bytes_ - word.size());
  word.append(in.substr(0, taken));
  in.remove_prefix(taken);
  if (word.size() < *word_bytes_ || in.size() < 2) return Event::need_more;
  in.remove_prefix(2);  // "\r\n", which Redis does not look at either
  word_bytes_.reset();
  if (--words_missing_ > 0) return std::nullopt;
  return Event::command;
}

}  // namespace covey::server
