#include "server/call_options.h"

#include <algorithm>
#include <vector>

#include "server/text.h"

namespace covey::server {
namespace {

ErrorAnswer bad_level(std::string_view name, uint32_t replicas) {
  return bad_request("The parameter " + std::string(name) +
                     " must be one, quorum, all or a number from 1 to " + std::to_string(replicas) + ".");
}

ErrorAnswer bad_number(std::string_view name, uint64_t least, uint64_t most) {
  return bad_request("The parameter " + std::string(name) + " must be a whole number from " +
                     std::to_string(least) + " to " + std::to_string(most) + ".");
}

std::optional<uint64_t> number_within(const std::string& text, uint64_t least, uint64_t most) {
  auto number = parse_number(text);
  if (!number || *number < least || *number > most) return std::nullopt;
  return number;
}

std::optional<ErrorAnswer> take(CallOptions& options, uint32_t replicas, std::string_view name,
                                std::string value) {
  if (name == "r" || name == "w") {
    auto level = parse_level(value, replicas);
    if (!level) return bad_level(name, replicas);
    (name == "r" ? options.read : options.write) = *level;
  } else if (name == "sloppy") {
    if (value != "true" && value != "false")
      return bad_request("The parameter sloppy must be true or false.");
    options.sloppy = value == "true";
  } else if (name == "timeout_ms") {
    auto number = number_within(value, 1, 60'000);
    if (!number) return bad_number(name, 1, 60'000);
    options.timeout_ms = static_cast<uint32_t>(*number);
  } else if (name == "ttl_ms") {
    auto number = number_within(value, 1, ttl_ms_max);
    if (!number) return bad_number(name, 1, ttl_ms_max);
    options.ttl_ms = *number;
  } else if (name == "limit") {
    auto number = number_within(value, 1, scan_keys_max);
    if (!number) return bad_number(name, 1, scan_keys_max);
    options.limit = static_cast<uint32_t>(*number);
  } else if (name == "prefix" || name == "start") {
    if (value.size() > key_bytes_max) {
      return too_large("The parameter " + std::string(name) +
                       " is over the limit of 2048 bytes: send a shorter one.");
    }
    (name == "prefix" ? options.prefix : options.start) = std::move(value);
  } else if (name == "cursor") {
    options.cursor = std::move(value);
  } else {
    return bad_request(
        "There is no parameter of this name; known are r, w, sloppy, timeout_ms, ttl_ms, prefix, start, "
        "limit and cursor.");
  }
  return std::nullopt;
}

}  // namespace

Result<CallOptions, ErrorAnswer> parse_options(const Config& config, std::string_view query) {
  CallOptions options;
  options.read = config.read_level;
  options.write = config.write_level;
  options.sloppy = config.sloppy;
  options.timeout_ms = config.timeout_ms;
  std::vector<std::string> seen;
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    size_t equals = std::min(part.find('='), part.size());
    auto name = percent_decode(part.substr(0, equals), {.plus_is_space = true});
    auto value = percent_decode(part.substr(std::min(equals + 1, part.size())), {.plus_is_space = true});
    if (!name || !value) return bad_request("The query has a % without two hexadecimal digits behind it.");
    if (std::find(seen.begin(), seen.end(), *name) != seen.end())
      return bad_request("The parameter " + *name + " stands there twice: send it once.");
    seen.push_back(*name);
    if (auto error = take(options, config.replicas, *name, std::move(*value))) return *error;
  }
  return options;
}

std::optional<ErrorAnswer> check_key(std::string_view key) {
  if (key.empty()) return bad_request("The key is empty: it must have 1 to 2048 bytes.");
  if (key.size() > key_bytes_max) {
    return too_large("The key is over the limit of 2048 bytes: it has " + std::to_string(key.size()) + ".");
  }
  return std::nullopt;
}

Result<std::string, ErrorAnswer> parse_key(std::string_view encoded) {
  auto key = percent_decode(encoded);
  if (!key) return bad_request("The key has a % without two hexadecimal digits behind it.");
  if (auto error = check_key(*key)) return *error;
  return std::move(*key);
}

}  // namespace covey::server
