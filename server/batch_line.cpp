#include "server/batch_line.h"

#include <algorithm>

#include "replication/base64.h"
#include "server/call_options.h"
#include "server/change_body.h"
#include "server/json_text.h"
#include "server/text.h"

namespace covey::server {
namespace {

namespace dom = simdjson::dom;

dom::parser& parser() {
  thread_local dom::parser one;
  return one;
}

std::optional<ErrorAnswer> take_text(const dom::element& value, std::string_view name, std::string& out) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS)
    return bad_request("\"" + std::string(name) + "\" must be a string.");
  out = text;
  return std::nullopt;
}

std::optional<ErrorAnswer> take_base64(const dom::element& value, std::string_view name, std::string& out) {
  std::string text;
  if (auto error = take_text(value, name, text)) return error;
  auto bytes = base64_decode(text);
  if (!bytes) return bad_request("\"" + std::string(name) + "\" must be base64.");
  out = std::move(*bytes);
  return std::nullopt;
}

std::optional<ErrorAnswer> take_operation(const dom::element& value, std::string_view& name, Operation& out) {
  bool known = value.get(name) == simdjson::SUCCESS &&
               (name == "put" || name == "delete" || name == "get" || is_change(name));
  if (!known) return bad_request("\"op\" must be put, delete, get, " + std::string(change_names()) + ".");
  out = name == "put"      ? Operation::put
        : name == "delete" ? Operation::erase
        : name == "get"    ? Operation::get
                           : Operation::change;
  return std::nullopt;
}

struct Seen {
  std::vector<std::string_view> names;
  bool key = false;
  bool value = false;
  bool json_value = false;
  std::string_view op;
  ChangeMembers change;
};

std::optional<ErrorAnswer> take_member(std::string_view name, const dom::element& value, BatchLine& line,
                                       Seen& seen) {
  if (std::find(seen.names.begin(), seen.names.end(), name) != seen.names.end())
    return bad_request("A member of a line stands there twice: give each once.");
  seen.names.push_back(name);
  if (name == "key" || name == "key_base64") {
    if (seen.key) return bad_request("A line needs \"key\" or \"key_base64\", once.");
    seen.key = true;
    line.key_is_text = name == "key";
    return line.key_is_text ? take_text(value, name, line.key) : take_base64(value, name, line.key);
  }
  if (name == "value" || name == "value_base64") {
    if (seen.value) return bad_request("A line needs \"value\" or \"value_base64\", once.");
    seen.value = true;
    seen.json_value = name == "value";
    return seen.json_value ? std::nullopt : take_base64(value, name, line.value);
  }
  if (name == "op") return take_operation(value, seen.op, line.operation);
  if (name == "content_type") {
    if (auto error = take_text(value, name, line.content_type)) return error;
    if (line.content_type.size() > 256) return bad_request("\"content_type\" must have at most 256 bytes.");
    for (char c : line.content_type) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
        return bad_request("\"content_type\" must be plain text.");
    }
    return std::nullopt;
  }
  if (name == "context") {
    if (value.is_null()) return std::nullopt;
    line.context.emplace();
    return take_text(value, name, *line.context);
  }
  if (name == "ttl_ms") {
    if (value.get(line.ttl_ms) == simdjson::SUCCESS && line.ttl_ms >= 1 && line.ttl_ms <= ttl_ms_max)
      return std::nullopt;
    return bad_request("\"ttl_ms\" must be a whole number from 1 to " + std::to_string(ttl_ms_max) + ".");
  }
  if (ChangeMembers::knows(name)) {
    seen.change.take(name, value);
    return std::nullopt;
  }
  return bad_request(
      "A line has a member that is not known; known are key, key_base64, value, value_base64, op, "
      "content_type, context, ttl_ms, and of changes by, token, members, fields and field.");
}

}  // namespace

std::vector<NumberedLine> split_lines(std::string_view body) {
  std::vector<NumberedLine> lines;
  for (size_t number = 1; !body.empty(); ++number) {
    size_t end = std::min(body.find('\n'), body.size());
    std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) lines.push_back({number, line});
  }
  return lines;
}

std::optional<ErrorAnswer> check_lines(const std::vector<NumberedLine>& lines) {
  for (const NumberedLine& line : lines) {
    dom::element document;
    auto failed = parse_json(parser(), line.text, document);
    if (failed == simdjson::SUCCESS && document.is_object()) continue;
    std::string number = std::to_string(line.number);
    ErrorAnswer error = bad_request(
        "Line " + number + " is not a JSON object" +
        (failed == simdjson::SUCCESS ? "" : std::string(" (") + simdjson::error_message(failed) + ")") +
        ": send one JSON object a line; nothing was tried.");
    error.details = ",\"line\":" + number;
    return error;
  }
  return std::nullopt;
}

std::optional<ErrorAnswer> parse_line(std::string_view text, size_t value_bytes_max, BatchLine& line) {
  dom::element document;
  dom::object object;
  bool stood_in = false;
  if (parse_json(parser(), text, document, &stood_in) != simdjson::SUCCESS ||
      document.get(object) != simdjson::SUCCESS)
    return bad_request("A line must be a JSON object.");
  Seen seen;
  std::optional<ErrorAnswer> first_error;
  for (auto [name, value] : object) {
    auto error = take_member(name, value, line, seen);
    if (error && !first_error) first_error = std::move(error);
  }
  if (first_error) return first_error;
  if (!seen.key) return bad_request("A line needs \"key\" or \"key_base64\".");
  if (auto error = check_key(line.key)) return error;
  if (line.operation == Operation::change) {
    if (seen.value || line.context || !line.content_type.empty())
      return bad_request("A change takes no value, content_type or context: leave them out.");
    auto changes = seen.change.changes(seen.op, {text, line.ttl_ms, stood_in});
    if (!changes) return changes.error();
    line.changes = std::move(*changes);
    return std::nullopt;
  }
  if (!seen.change.empty())
    return bad_request("Only changes (" + std::string(change_names()) +
                       ") take by, token, members, fields and field: leave them out.");
  if (line.operation != Operation::put) return std::nullopt;
  if (!seen.value) return bad_request("A put needs \"value\" or \"value_base64\".");
  if (seen.json_value) {
    line.value = raw_member(text, "value");
    if (line.content_type.empty()) line.content_type = "application/json";
  }
  if (line.value.size() > value_bytes_max) {
    return too_large("The value is over the limit of " + std::to_string(value_bytes_max) +
                     " bytes: send less.");
  }
  return std::nullopt;
}

void append_key(std::string& out, std::string_view key, bool as_text) {
  if (as_text && is_utf8(key)) {
    out.append("\"key\":");
    append_json_string(out, key);
  } else {
    out.append("\"key_base64\":\"").append(base64_encode(key)).push_back('"');
  }
}

}  // namespace covey::server
