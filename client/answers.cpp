#include "client/answers.h"

#include <algorithm>
#include <charconv>

#include "client/encoding.h"

namespace covey::client {
namespace {

Error::Kind kind_of(int status) {
  switch (status) {
    case 404:
      return Error::Kind::not_found;
    case 429:
      return Error::Kind::overloaded;
    case 503:
      return Error::Kind::unavailable;
    case 504:
      return Error::Kind::timed_out;
    default:
      return status >= 400 && status < 500 ? Error::Kind::refused : Error::Kind::failed;
  }
}

void fill_from_object(Error& error, const Json& object) {
  error.details = object;
  error.code = object.value("code", "");
  error.message = object.value("message", "");
  error.outcome_unknown = object.value("outcome", "") == "unknown";
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Reading::Replicas replicas_from_header(std::string_view text) {  // "2/3": answered/owners
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  return {.owners = number(text.substr(slash + 1)).value_or(0),
          .answered = number(text.substr(0, slash)).value_or(0)};
}

std::vector<Version> versions_from(const Json& object) {
  std::vector<Version> versions;
  if (object.contains("siblings")) {
    for (const Json& sibling : object.at("siblings")) versions.push_back(version_from(sibling));
  } else if (object.contains("value") || object.contains("value_base64")) {
    versions.push_back(version_from(object));
  }
  return versions;
}

Reading reading_from_json(const Json& object, const HttpResponse& response) {
  Reading reading;
  reading.versions = versions_from(object);
  reading.context = object.contains("context") ? object.at("context").get<std::string>()
                                               : std::string(response.header("Covey-Context"));
  reading.replicas = replicas_from_header(response.header("Covey-Replicas"));
  if (const auto counts = object.find("replicas"); counts != object.end()) {
    reading.replicas = {.owners = counts->value("owners", 0),
                        .asked = counts->value("asked", 0),
                        .answered = counts->value("answered", 0),
                        .behind = counts->value("behind", 0)};
  }
  return reading;
}

// Calls `each` with every non-empty line of newline-delimited JSON. Throws Json::exception.
template <class Each>
void for_each_line(std::string_view body, Each each) {
  while (!body.empty()) {
    const size_t end = body.find('\n');
    const std::string_view line = body.substr(0, end);
    body = end == std::string_view::npos ? std::string_view() : body.substr(end + 1);
    if (line.find_first_not_of(" \r\t") != std::string_view::npos) each(Json::parse(line));
  }
}

Error error_from_line(const Json& line, int status) {
  Error error;
  error.status = status;
  error.kind = kind_of(status);
  if (line.contains("error")) fill_from_object(error, line.at("error"));
  if (error.message.empty()) error.message = "the node answered " + std::to_string(status);
  if (status == 504) error.outcome_unknown = true;
  return error;
}

}  // namespace

Error error_from(const HttpResponse& response) {
  Error error;
  error.status = response.status;
  error.kind = kind_of(response.status);
  const Json body = Json::parse(response.body, nullptr, false);
  if (body.is_object() && body.contains("error") && body["error"].is_object())
    fill_from_object(error, body["error"]);
  if (error.message.empty()) error.message = "the node answered " + std::to_string(response.status);
  if (const auto seconds = number(response.header("Retry-After")))
    error.retry_after = std::chrono::seconds(*seconds);
  return error;
}

Error bad_answer(std::string message) {
  return Error{.kind = Error::Kind::failed,
               .message = "the node's answer makes no sense: " + std::move(message)};
}

Result<Json, Error> json_from(const HttpResponse& response) {
  if (response.status < 200 || response.status > 299) return error_from(response);
  if (response.body.empty()) return Json::object();
  Json body = Json::parse(response.body, nullptr, false);
  if (body.is_discarded()) return bad_answer("its body is not JSON");
  return body;
}

Result<Reading, Error> reading_from(const HttpResponse& response) try {
  const bool detailed = response.header("Content-Type").starts_with("application/vnd.covey+json");
  // A 404 without a context is not about the key: the table or the path is unknown.
  const bool absent = response.status == 404 && !response.header("Covey-Context").empty();
  if (response.status != 200 && response.status != 300 && !absent && !(response.status == 404 && detailed)) {
    return error_from(response);
  }
  if (detailed || response.status == 300) return reading_from_json(Json::parse(response.body), response);
  Reading reading;
  reading.context = response.header("Covey-Context");
  reading.replicas = replicas_from_header(response.header("Covey-Replicas"));
  if (response.status == 200) {
    reading.versions.push_back({response.body, std::string(response.header("Content-Type")), "", ""});
  }
  return reading;
} catch (const Json::exception& problem) {
  return bad_answer(problem.what());
}

Result<Written, Error> written_from(const HttpResponse& response) try {
  if (response.status < 200 || response.status > 299) {
    Error error = error_from(response);
    // Only these two say that nothing was written; any other failure of the node may have come too late.
    const bool nothing_written = response.status < 500 || response.status == 503;
    error.outcome_unknown = error.outcome_unknown || !nothing_written;
    return error;
  }
  const Json body = Json::parse(response.body);
  Written written;
  written.dot = body.at("dot").get<std::string>();
  written.context = body.contains("context") ? body.at("context").get<std::string>()
                                             : std::string(response.header("Covey-Context"));
  if (const auto acks = body.find("acks"); acks != body.end()) {
    written.acks_needed = acks->value("needed", 0);
    written.acks_received = acks->value("received", 0);
  }
  return written;
} catch (const Json::exception& problem) {
  Error error = bad_answer(problem.what());
  error.outcome_unknown = true;
  return error;
}

Result<Health, Error> health_from(const HttpResponse& response) {
  if (response.status == 200) return Health{.good = true};
  const Error error = error_from(response);
  if (response.status != 503) return error;
  return Health{.good = false, .reason = error.message};
}

Json key_json(std::string_view key) {
  if (valid_utf8(key)) return {{"key", key}};
  return {{"key_base64", base64_encode(key)}};
}

std::string key_from(const Json& object) {
  if (!object.contains("key_base64")) return object.at("key").get<std::string>();
  auto key = base64_decode(object.at("key_base64").get<std::string>());
  if (!key) throw Json::other_error::create(501, "key_base64 is not base64", &object);
  return *key;
}

Json version_json(const Version& version) {
  Json object = Json::object();
  Json value = is_json_type(version.content_type) ? Json::parse(version.value, nullptr, false) : Json();
  if (is_json_type(version.content_type) && !value.is_discarded()) {
    object["value"] = std::move(value);
  } else {
    object["value_base64"] = base64_encode(version.value);
    object["content_type"] = version.content_type;
  }
  if (!version.dot.empty()) object["dot"] = version.dot;
  if (!version.time.empty()) object["time"] = version.time;
  return object;
}

Version version_from(const Json& object) {
  Version version;
  version.dot = object.value("dot", "");
  if (const auto time = object.find("time"); time != object.end()) {
    version.time = time->is_string() ? time->get<std::string>() : time->dump();
  }
  version.content_type = object.value("content_type", "");
  const bool encoded = object.contains("value_base64");
  const Json& value = encoded ? object.at("value_base64") : object.at("value");
  if (encoded || object.value("base64", false)) {
    auto bytes = base64_decode(value.get<std::string>());
    if (!bytes) throw Json::other_error::create(501, "the value is not base64", &object);
    version.value = std::move(*bytes);
    if (version.content_type.empty()) version.content_type = "application/octet-stream";
  } else if (value.is_string() && !version.content_type.empty() && !is_json_type(version.content_type)) {
    version.value = value.get<std::string>();
  } else {
    version.value = value.dump();
    if (version.content_type.empty()) version.content_type = "application/json";
  }
  return version;
}

std::string batch_line(const BatchOperation& operation) {
  std::string line = key_json(operation.key).dump();
  line.pop_back();  // the closing brace: the value is appended as it is, not parsed and spelled anew
  if (operation.kind == BatchOperation::Kind::get) line += R"(,"op":"get")";
  if (operation.kind == BatchOperation::Kind::del) line += R"(,"op":"delete")";
  if (operation.kind == BatchOperation::Kind::put) {
    const std::string type =
        operation.content_type.empty() ? guess_content_type(operation.value) : operation.content_type;
    const bool one_line = operation.value.find_first_of("\r\n") == std::string::npos;
    if (type == "application/json" && one_line && nlohmann::json::accept(operation.value)) {
      line += R"(,"value":)" + operation.value;
    } else {
      line += R"(,"value_base64":")" + base64_encode(operation.value) + R"(","content_type":)" +
              Json(type).dump();
    }
    if (operation.ttl) line += R"(,"ttl_ms":)" + std::to_string(operation.ttl->count());
  }
  if (!operation.context.empty()) line += R"(,"context":)" + Json(operation.context).dump();
  return line + "}";
}

Result<std::vector<BatchOutcome>, Error> outcomes_from(const HttpResponse& response,
                                                       const std::vector<BatchOperation>& operations) try {
  if (response.status != 200) {
    Error error = error_from(response);
    error.outcome_unknown = error.outcome_unknown || response.status == 504;
    return error;
  }
  std::vector<BatchOutcome> outcomes;
  for_each_line(response.body, [&](const Json& line) {
    BatchOutcome outcome;
    outcome.status = line.at("status").get<int>();
    outcome.dot = line.value("dot", "");
    outcome.context = line.value("context", "");
    const size_t at = outcomes.size();
    const bool is_get = at < operations.size() && operations[at].kind == BatchOperation::Kind::get;
    const bool absent = is_get && outcome.status == 404 && line.contains("context");
    if (outcome.status < 400) {
      if (is_get) outcome.versions = versions_from(line);
    } else if (!absent) {
      outcome.error = error_from_line(line, outcome.status);
    }
    outcomes.push_back(std::move(outcome));
  });
  if (outcomes.size() == operations.size()) return outcomes;
  Error error = bad_answer(std::to_string(outcomes.size()) + " results for " +
                           std::to_string(operations.size()) + " operations");
  error.outcome_unknown = true;
  return error;
} catch (const Json::exception& problem) {
  Error error = bad_answer(problem.what());
  error.outcome_unknown = true;
  return error;
}

Result<ScanPage, Error> scan_page_from(const HttpResponse& response) try {
  if (response.status != 200) return error_from(response);
  ScanPage page;
  bool ended = false;
  std::optional<Error> failure;
  for_each_line(response.body, [&](const Json& line) {
    if (line.contains("error")) {
      failure = error_from_line(line, line.value("status", 503));
    } else if (line.contains("cursor")) {
      ended = true;
      if (!line.at("cursor").is_null()) page.cursor = line.at("cursor").get<std::string>();
    } else {
      page.entries.push_back({key_from(line), versions_from(line), line.value("context", "")});
    }
  });
  if (failure) return *failure;
  if (!ended) return bad_answer("the scan ends without its cursor line");
  return page;
} catch (const Json::exception& problem) {
  return bad_answer(problem.what());
}

}  // namespace covey::client
