// One line of a batch: what it asks for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/request.h"
#include "replication/result.h"
#include "server/errors.h"

namespace covey::server {

struct BatchLine {
  Operation operation = Operation::put;
  std::string key;
  bool key_is_text = true;  // given as "key": answered so
  std::string value;
  std::string content_type;
  std::optional<std::string> context;
  uint64_t ttl_ms = 0;  // 0: none
  std::vector<Change> changes;
};

// The body's lines that are not blank, and for each its number, from 1. Views into body.
struct NumberedLine {
  size_t number = 0;
  std::string_view text;
};
std::vector<NumberedLine> split_lines(std::string_view body);

// nullopt: every line is a JSON object; else the error that names the line.
std::optional<ErrorAnswer> check_lines(const std::vector<NumberedLine>& lines);

// A line that check_lines passed. Errors are this line's alone. `key` is filled in before them where it can
// be.
[[nodiscard]] std::optional<ErrorAnswer> parse_line(std::string_view text, size_t value_bytes_max,
                                                    BatchLine& line);

// "key": text, or "key_base64": base64 for bytes that are not text, or were not given as text.
void append_key(std::string& out, std::string_view key, bool as_text);

}  // namespace covey::server
