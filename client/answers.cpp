#include "client/answers.h"

#include <charconv>

#include "client/encoding.h"
#include "client/raw_json.h"
#include "replication/base64.h"

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

Reading reading_from_json(const HttpResponse& response) {
  const Json object = parse_json(response.body);
  Reading reading;
  reading.versions = versions_from(object, response.body);
  reading.context = object.contains("context") ? object.at("context").get<std::string>()
                                               : std::string(response.header("Covey-Context"));
  reading.replicas = replicas_from_header(response.header("Covey-Replicas"));
  reading.type = response.header("Covey-Type");
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
    if (line.find_first_not_of(" \r\t") != std::string_view::npos) each(parse_json(line), line);
  }
}

Error error_from_line(const Json& line, int status) {
  Error error;
  error.status = status;
  error.kind = kind_of(status);
  if (line.contains("error")) fill_from_object(error, line.at("error"));
  if (error.message.empty()) error.message = "the node answered " + std::to_string(status);
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
  if (detailed || response.status == 300) return reading_from_json(response);
  Reading reading;
  reading.context = response.header("Covey-Context");
  reading.replicas = replicas_from_header(response.header("Covey-Replicas"));
  reading.type = response.header("Covey-Type");
  if (response.status == 200) {
    std::string_view dot = response.header("ETag");
    if (dot.size() >= 2 && dot.front() == '"' && dot.back() == '"') dot = dot.substr(1, dot.size() - 2);
    reading.versions.push_back({.value = response.body,
                                .content_type = std::string(response.header("Content-Type")),
                                .dot = std::string(dot)});
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

Result<Changed, Error> changed_from(const HttpResponse& response) try {
  auto written = written_from(response);
  if (!written) return written.error();
  const Json body = Json::parse(response.body);
  Changed changed;
  static_cast<Written&>(changed) = std::move(*written);
  if (body.contains("value")) changed.value = raw_member(response.body, "value").value();
  changed.added = body.value("added", uint64_t{0});
  changed.removed = body.value("removed", uint64_t{0});
  changed.repeated = body.value("repeated", false);
  return changed;
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

std::string key_member(std::string_view key) {
  if (valid_utf8(key)) return R"("key":)" + Json(key).dump();
  return R"("key_base64":")" + base64_encode(key) + '"';
}

std::string value_members(std::string_view value, std::string_view content_type) {
  const bool json = is_json_type(content_type) && nlohmann::json::accept(value);
  std::string members =
      json ? R"("value":)" + on_one_line(value) : R"("value_base64":")" + base64_encode(value) + '"';
  // Without a type, "value" means JSON; base64 must always say.
  if (!json || content_type != "application/json")
    members += R"(,"content_type":)" + Json(content_type).dump();
  return members;
}

std::string key_from(const Json& object) {
  if (!object.contains("key_base64")) return object.at("key").get<std::string>();
  auto key = base64_decode(object.at("key_base64").get<std::string>());
  if (!key) throw Json::other_error::create(501, "key_base64 is not base64", &object);
  return *key;
}

Version version_from(const Json& object, std::string_view text) {
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
    const auto spelled = raw_member(text, "value");
    COVEY_ASSERT(spelled.has_value());  // or object.at("value") would have thrown
    version.value = *spelled;
    if (version.content_type.empty()) version.content_type = "application/json";
  }
  return version;
}

std::vector<Version> versions_from(const Json& object, std::string_view text) {
  std::vector<Version> versions;
  if (object.contains("siblings")) {
    const Json& siblings = object.at("siblings");
    if (!siblings.is_array()) throw Json::other_error::create(501, "siblings is not an array", &object);
    const std::vector<std::string_view> texts = raw_elements(*raw_member(text, "siblings"));
    COVEY_ASSERT(texts.size() == siblings.size());
    for (size_t i = 0; i < texts.size(); ++i) versions.push_back(version_from(siblings[i], texts[i]));
  } else if (object.contains("value") || object.contains("value_base64")) {
    versions.push_back(version_from(object, text));
  }
  return versions;
}

std::string batch_line(const BatchOperation& operation) {
  std::string line = "{" + key_member(operation.key);
  if (operation.kind == BatchOperation::Kind::get) line += R"(,"op":"get")";
  if (operation.kind == BatchOperation::Kind::del) line += R"(,"op":"delete")";
  if (operation.kind == BatchOperation::Kind::change) {
    line += "," + operation.value;
    if (operation.ttl) line += R"(,"ttl_ms":)" + std::to_string(operation.ttl->count());
  }
  if (operation.kind == BatchOperation::Kind::put) {
    const bool guess = operation.content_type.empty();
    line += "," + value_members(operation.value,
                                guess ? guess_content_type(operation.value) : operation.content_type);
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
  for_each_line(response.body, [&](const Json& line, std::string_view text) {
    BatchOutcome outcome;
    outcome.status = line.at("status").get<int>();
    outcome.dot = line.value("dot", "");
    outcome.context = line.value("context", "");
    const size_t at = outcomes.size();
    const bool is_get = at < operations.size() && operations[at].kind == BatchOperation::Kind::get;
    const bool absent = is_get && outcome.status == 404 && line.contains("context");
    if (outcome.status < 400) {
      if (is_get) outcome.versions = versions_from(line, text);
    } else if (!absent) {
      outcome.error = error_from_line(line, outcome.status);
      if (outcome.status == 504 && !is_get) outcome.error->outcome_unknown = true;
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
  for_each_line(response.body, [&](const Json& line, std::string_view text) {
    if (line.contains("error")) {
      failure = error_from_line(line, line.value("status", 503));
    } else if (line.contains("cursor")) {
      ended = true;
      if (!line.at("cursor").is_null()) page.cursor = line.at("cursor").get<std::string>();
    } else {
      page.entries.push_back(
          {key_from(line), versions_from(line, text), line.value("context", ""), line.value("type", "")});
    }
  });
  if (failure) return *failure;
  if (!ended) return bad_answer("the scan ends without its cursor line");
  return page;
} catch (const Json::exception& problem) {
  return bad_answer(problem.what());
}

}  // namespace covey::client
