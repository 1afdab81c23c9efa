// One keep-alive HTTP/1.1 connection, synchronous, every step with a deadline. Knows nothing of covey.
// The benchmark uses it directly; everything else goes through client.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "replication/result.h"

namespace covey::client {

using Deadline = std::chrono::steady_clock::time_point;

struct Endpoint {
  std::string host;  // a name, an IPv4 address or an IPv6 address without brackets
  std::string port;  // decimal, 1 to 65535
  std::string text;  // as it was given, for messages and the Host header
};

// "HOST:PORT" or "[IPv6]:PORT". The error is a sentence.
Result<Endpoint, std::string> parse_endpoint(std::string_view text);

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, already encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // The first header of that name, without regard to case; empty if absent.
  std::string_view header(std::string_view name) const;
};

struct TransportError {
  std::string message;
  bool sent = false;       // some of the request may have reached the server
  bool timed_out = false;  // the deadline passed; otherwise the connection failed
};

// One thread at a time. Any error closes the connection; the next send opens a new one.
class HttpConnection {
 public:
  explicit HttpConnection(Endpoint endpoint,
                          std::chrono::milliseconds connect_timeout = std::chrono::seconds(1));
  ~HttpConnection();
  HttpConnection(HttpConnection&&) noexcept;
  HttpConnection& operator=(HttpConnection&&) noexcept;

  // Sends one request and reads its response. A kept connection that the server has closed meanwhile is
  // noticed before sending and replaced. Responses over response_bytes_max are an error.
  Result<HttpResponse, TransportError> exchange(const HttpRequest& request, Deadline deadline);

  // The two halves, for pipelining: responses come in the order of the requests. REQUIRES for receive: more
  // requests sent than responses received on this connection, with no error since.
  Result<Done, TransportError> send(const HttpRequest& request, Deadline deadline);
  Result<HttpResponse, TransportError> receive(Deadline deadline);

  void close();
  const Endpoint& endpoint() const;

  static constexpr size_t response_bytes_max = size_t{256} << 20;
  static constexpr uint32_t header_bytes_max = 64 << 10;  // of a response: a context of the longest fits

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace covey::client
