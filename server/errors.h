// The one table of errors: what the core refused, and what the front end refuses itself, as an HTTP status, a
// code and a sentence that says what to do. Every protocol takes its errors from here.
#pragma once

#include <string>
#include <string_view>

#include "replication/request.h"

namespace covey::server {

struct ErrorAnswer {
  int status = 500;     // HTTP
  std::string code;     // API.md's word
  std::string message;  // one sentence that says what to do
  std::string
      details;  // JSON members to append to the error object, each beginning with a comma; may be empty
};

// REQUIRES: response.status is neither ok nor (for the reader's own answer) not_found.
ErrorAnswer error_of(const Response& response, Operation operation);

ErrorAnswer bad_request(std::string message);
ErrorAnswer not_found(std::string message);
ErrorAnswer no_such_table(std::string_view table);
ErrorAnswer too_large(std::string message);
ErrorAnswer bad_column(std::string message);
ErrorAnswer overloaded(std::string message);
ErrorAnswer method_not_allowed(std::string_view method, std::string_view allowed);

// {"error": {"code": ..., "message": ...}}, without the outer braces so that others can stand beside it.
std::string error_member(const ErrorAnswer& error);
// The same as a whole document.
std::string error_body(const ErrorAnswer& error);

std::string_view reason_phrase(int http_status);

}  // namespace covey::server
