// JSON in the bodies of requests and answers of the status and cluster pages: small texts that are read
// whole.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "replication/result.h"
#include "server/errors.h"

namespace covey::server {

// An object; nothing is an empty one. Not deeper than json_depth_max.
[[nodiscard]] Result<nlohmann::ordered_json, ErrorAnswer> parse_body(const std::string& text);

// A line of it. What is not UTF-8 is replaced.
std::string body_text(const nlohmann::ordered_json& body);

}  // namespace covey::server
