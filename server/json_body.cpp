#include "server/json_body.h"

#include "server/text.h"

namespace covey::server {

Result<nlohmann::ordered_json, ErrorAnswer> parse_body(const std::string& text) {
  if (nested_too_deeply(text)) {
    return bad_request("The body must not be nested deeper than " + std::to_string(json_depth_max) +
                       " levels.");
  }
  auto json = nlohmann::ordered_json::parse(text.empty() ? "{}" : text, nullptr, false);
  if (!json.is_object()) return bad_request("The body must be a JSON object.");
  return json;
}

std::string body_text(const nlohmann::ordered_json& body) {
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace covey::server
