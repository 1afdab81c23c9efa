// Requests out of a stream of bytes: a thin cover over Boost.Beast's parser that keeps only the header fields
// that covey knows, enforces the limits while bytes arrive, and costs no memory allocation once its strings
// have grown.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "server/errors.h"

namespace covey::server {

enum class Method { get, head, put, post, erase, other };

struct HttpRequest {
  Method method = Method::other;
  std::string method_text;
  std::string target;  // as sent: path and query, encoded
  std::string content_type;
  std::string accept;
  std::string context;  // Covey-Context
  std::string if_match;
  std::string if_none_match;
  std::string body;
  bool has_context = false;
  bool expects_continue = false;
  bool keep_alive = true;
  bool http_1_1 = true;  // else HTTP/1.0
  void clear();
};

struct HttpLimits {
  size_t header_bytes = 48 * 1024;        // request line and header fields together: a context fits
  size_t value_bytes = 1024 * 1024;       // bodies of everything but batches
  size_t batch_bytes = 64 * 1024 * 1024;  // bodies of POST
};

class HttpParser {
 public:
  enum class Event {
    need_more,  // all usable bytes were taken; what is left belongs to a header that is not complete
    header,     // the header is complete and its sender waits for "100 Continue" before the body
    complete,   // request() is whole; call next() before the next parse()
    failed,     // error() says why; the connection can't go on
  };

  explicit HttpParser(const HttpLimits& limits);
  ~HttpParser();

  // Takes bytes from the front of `bytes`.
  Event parse(std::string_view& bytes);
  HttpRequest& request() { return request_; }
  const ErrorAnswer& error() const { return error_; }
  void next();             // forgets the request; its strings keep their memory
  bool in_header() const;  // some bytes of a header were taken, and more are missing

 private:
  class Machine;
  HttpLimits limits_;
  HttpRequest request_;
  ErrorAnswer error_;
  std::unique_ptr<Machine> machine_;
};

}  // namespace covey::server
