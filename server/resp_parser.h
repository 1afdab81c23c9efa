// Takes commands out of a byte stream as the Redis protocol sends them: arrays of bulk strings, and lines
// ("inline commands", for people with a terminal). Errors are Redis' own texts. Works on pieces of any size.
//
// Limits: what a client may make it hold is RespLimits; what is longer fails, and a stream that failed stays
// so. Before authentication at most 10 words of 16 KiB each, as in Redis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace covey::server {

struct RespLimits {
  size_t words = 65'536;                    // of a command
  size_t word_bytes = 1024 * 1024;          // of one word
  size_t command_bytes = 64 * 1024 * 1024;  // of all words, and 64 for each
  size_t line_bytes = 64 * 1024;            // of an inline command, or of a length
  size_t words_before_authentication = 10;
  size_t word_bytes_before_authentication = 16 * 1024;
};

class RespParser {
 public:
  explicit RespParser(const RespLimits& limits) : limits_(limits) {}

  enum class Event { need_more, command, failed };
  // Takes bytes from the front of `in`. need_more: what is left in `in`, at most line_bytes, is to come
  // again in front of what follows. command: see words(), at least one.
  Event parse(std::string_view& in, bool authenticated);

  // REQUIRES: parse() said command. Moved out.
  std::vector<std::string> take_words() { return std::move(words_); }
  // REQUIRES: parse() said failed. "Protocol error: ..."
  const std::string& error() const { return error_; }
  bool within_command() const { return words_missing_ > 0; }

 private:
  Event fail(std::string_view text);
  Event parse_inline(std::string_view& in, bool authenticated);
  std::optional<Event> parse_length(std::string_view& in, bool authenticated);
  std::optional<Event> parse_word(std::string_view& in, bool authenticated);

  RespLimits limits_;
  std::vector<std::string> words_;
  size_t words_missing_ = 0;          // of the array that has begun
  std::optional<size_t> word_bytes_;  // of the word that has begun
  size_t command_bytes_ = 0;
  std::string error_;
};

// Words of a line, as a shell would part them: "..." with \n \r \t \b \a \xHH, '...' with \'. nullopt: a
// quote that is not closed, or not followed by a space.
std::optional<std::vector<std::string>> split_words(std::string_view line);

}  // namespace covey::server
