#include "server/errors.h"

#include "server/text.h"

namespace covey::server {
namespace {

void append_member(std::string& out, std::string_view name, uint64_t value) {
  out.append(",\"").append(name).append("\":");
  append_number(out, value);
}

void append_owners(std::string& out, const Response& response) {
  out.append(",\"owners\":{");
  bool first = true;
  for (const OwnerOutcome& outcome : response.outcomes) {
    if (!first) out.push_back(',');
    first = false;
    append_json_string(out, outcome.node.name);
    out.push_back(':');
    append_json_string(out, outcome.state);
  }
  out.push_back('}');
}

ErrorAnswer unavailable(const Response& response, Operation operation) {
  ErrorAnswer error{503, "unavailable", {}, {}};
  error.message = std::to_string(response.needed) + " of " + std::to_string(response.owners) +
                  " owners must answer and " + std::to_string(response.reachable) + " can be reached" +
                  (writes(operation) ? "; nothing was written" : "") +
                  ": ask for a lower level, or try again when more owners are back.";
  append_member(error.details, "needed", response.needed);
  append_member(error.details, "reachable", response.reachable);
  append_owners(error.details, response);
  return error;
}

ErrorAnswer timed_out(const Response& response, Operation operation) {
  ErrorAnswer error{504, "timeout", {}, {}};
  error.message = std::to_string(response.received) + " of " + std::to_string(response.needed) +
                  " needed owners answered in time" +
                  (writes(operation) ? ": the write may still take effect; read the key before trying again."
                                     : ": try again, or ask for a lower level.");
  append_member(error.details, "needed", response.needed);
  append_member(error.details, "received", response.received);
  append_owners(error.details, response);
  if (writes(operation)) error.details.append(",\"outcome\":\"unknown\"");
  return error;
}

ErrorAnswer change_refused(Status status) {
  switch (status) {
    case Status::wrong_type:
      return {409,
              "wrong_type",
              "The key holds another type than this operation is for: use the operations of its type, or "
              "delete it.",
              {}};
    case Status::not_a_number:
      return {409,
              "not_a_number",
              "What is stored is no number that this could be added to: an integer takes integers alone.",
              {}};
    case Status::number_overflow:
      return {409, "number_overflow", "The sum would be beyond what a counter holds: add less.", {}};
    case Status::too_many_elements:
      return {409,
              "too_many_elements",
              "The key holds as many elements as it may (limits.elements): remove some, or use several keys.",
              {}};
    case Status::too_many_tokens:
      return {409,
              "too_many_tokens",
              "The counter remembers as many tokens as it may: increment it without a token, or try again "
              "when the "
              "oldest are an hour old.",
              {}};
    default:
      return too_large(
          "All elements of the key together would be over limits.value_bytes: remove some, or use several "
          "keys.");
  }
}

}  // namespace

ErrorAnswer error_of(const Response& response, Operation operation) {
  switch (response.status) {
    case Status::unavailable:
      return unavailable(response, operation);
    case Status::timeout:
      return timed_out(response, operation);
    case Status::overloaded: {
      bool node = response.outcomes.empty();  // else owners were busy
      ErrorAnswer error =
          overloaded(node ? "The node has its limit of requests in flight: send this one again later."
                          : "Too much is on its way between the nodes: send this request again later.");
      if (!node) append_owners(error.details, response);
      return error;
    }
    case Status::too_many_siblings:
      return {409,
              "too_many_siblings",
              "The key holds as many concurrent values as it may: read it and write one value with the "
              "context you get.",
              {}};
    case Status::precondition_failed:
      return {412,
              "precondition_failed",
              "The coordinating replica holds something else than the condition says: read the key again.",
              {}};
    case Status::disk_full:
      return {507,
              "disk_full",
              "The disk is below its free-space floor and writes are refused, reads go on: free some space.",
              {}};
    case Status::storage_failed:
      return {500,
              "storage_failed",
              "The coordinating replica could not use its storage and wrote nothing: look into its log.",
              {}};
    case Status::wrong_type:
    case Status::not_a_number:
    case Status::number_overflow:
    case Status::too_many_elements:
    case Status::too_many_tokens:
    case Status::object_too_large:
      return change_refused(response.status);
    case Status::count:
      break;
    case Status::not_found:
      return not_found("Nothing is stored under this key: write it first.");
    case Status::ok:
      break;
  }
  return {500, "storage_failed", "The request ended without an answer: look into the node's log.", {}};
}

ErrorAnswer bad_request(std::string message) { return {400, "bad_request", std::move(message), {}}; }
ErrorAnswer not_found(std::string message) { return {404, "not_found", std::move(message), {}}; }
ErrorAnswer too_large(std::string message) { return {413, "too_large", std::move(message), {}}; }
ErrorAnswer bad_column(std::string message) { return {422, "bad_column", std::move(message), {}}; }
ErrorAnswer overloaded(std::string message) { return {429, "overloaded", std::move(message), {}}; }

ErrorAnswer no_such_table(std::string_view table) {
  ErrorAnswer error{404, "no_such_table", {}, {}};
  error.message =
      "There is no table of this name: make it with PUT /v1/tables/{table}, or see GET /v1/tables.";
  error.details = ",\"table\":";
  append_json_string(error.details, table);
  return error;
}

ErrorAnswer method_not_allowed(std::string_view method, std::string_view allowed) {
  ErrorAnswer error{405, "method_not_allowed", {}, {}};
  error.message =
      std::string(method.substr(0, 32)) + " is not for this path: use " + std::string(allowed) + ".";
  return error;
}

std::string error_member(const ErrorAnswer& error) {
  std::string out = "\"error\":{\"code\":";
  append_json_string(out, error.code);
  out.append(",\"message\":");
  append_json_string(out, error.message);
  out.append(error.details);
  out.push_back('}');
  return out;
}

std::string error_body(const ErrorAnswer& error) { return "{" + error_member(error) + "}\n"; }

std::string_view reason_phrase(int http_status) {
  switch (http_status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 300:
      return "Multiple Choices";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

}  // namespace covey::server
