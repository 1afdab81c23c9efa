// Maelstrom's messages: one JSON object a line, {"src", "dest", "body": {"type", "msg_id", "in_reply_to",
// ...}}. What they mean is in Maelstrom's doc/protocol.md and doc/workloads.md.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace covey::maelstrom {

using Json = nlohmann::json;

// Maelstrom's numbers of errors. Definite: the operation has not taken place and never will.
enum class ErrorCode : int {
  timeout = 0,                   // indefinite
  not_supported = 10,            // definite, as all that follow but crash
  temporarily_unavailable = 11,  // refused before trying
  malformed_request = 12,
  crash = 13,  // indefinite
  abort = 14,
  key_does_not_exist = 20,
  precondition_failed = 22,
};

struct Message {
  std::string src;
  std::string dest;
  Json body;                       // an object
  std::string type;                // empty: it has none
  std::optional<uint64_t> msg_id;  // of a request
};

inline constexpr size_t line_bytes_max = 4 * 1024 * 1024;
inline constexpr int json_depth_max = 32;

// What a line says, or why it cannot be obeyed. `message` is there, as far as it could be read, whenever it
// is known whom to answer.
struct Parsed {
  std::optional<Message> message;
  std::string error;  // empty: the message is sound
};

Parsed parse_message(std::string_view line);

// A line without its end. The body gets what Maelstrom asks of it.
std::string message_line(const std::string& src, const std::string& dest, Json body);

Json error_body(ErrorCode code, const std::string& text);

}  // namespace covey::maelstrom
