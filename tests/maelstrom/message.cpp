#include "tests/maelstrom/message.h"

namespace covey::maelstrom {

Parsed parse_message(std::string_view line) {
  bool too_deep = false;
  auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > json_depth_max;
    return !too_deep;
  };
  Json json = Json::parse(line.begin(), line.end(), shallow, false);
  if (too_deep) return {{}, "it is nested deeper than " + std::to_string(json_depth_max) + " levels"};
  if (json.is_discarded()) return {{}, "it is not JSON"};
  if (!json.is_object()) return {{}, "it is not a JSON object"};
  auto src = json.find("src");
  auto dest = json.find("dest");
  if (src == json.end() || !src->is_string() || dest == json.end() || !dest->is_string())
    return {{}, "it does not have the strings 'src' and 'dest'"};
  Parsed parsed;
  Message& message = parsed.message.emplace();
  message.src = src->get<std::string>();
  message.dest = dest->get<std::string>();
  auto body = json.find("body");
  if (body == json.end() || !body->is_object()) {
    parsed.error = "it does not have the object 'body'";
    return parsed;
  }
  message.body = std::move(*body);
  auto id = message.body.find("msg_id");
  if (id != message.body.end()) {
    if (!id->is_number_unsigned()) {
      parsed.error = "'msg_id' is not a number from 0 on";
      return parsed;
    }
    message.msg_id = id->get<uint64_t>();
  }
  auto type = message.body.find("type");
  if (type == message.body.end() || !type->is_string()) {
    parsed.error = "its body does not have the string 'type'";
    return parsed;
  }
  message.type = type->get<std::string>();
  return parsed;
}

std::string message_line(const std::string& src, const std::string& dest, Json body) {
  Json json{{"src", src}, {"dest", dest}};
  json["body"] = std::move(body);
  return json.dump();
}

Json error_body(ErrorCode code, const std::string& text) {
  return {{"type", "error"}, {"code", static_cast<int>(code)}, {"text", text}};
}

}  // namespace covey::maelstrom
