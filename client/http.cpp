// The only file of the library that includes Beast: it takes long to compile.
#include "client/http.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>

namespace covey::client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

error_code last_error() { return {errno, boost::system::system_category()}; }

}  // namespace

// A non-blocking socket that waits with poll() until its deadline: Beast's synchronous stream concepts need
// no more, and no event loop has to run for a synchronous client. Outside the unnamed namespace, as what a
// class of the header holds.
class TimedSocket {
 public:
  using executor_type = asio::system_executor;
  ~TimedSocket() { close(); }

  bool open() const { return fd_ >= 0; }
  size_t bytes_sent() const { return bytes_sent_; }
  void begin(Deadline deadline) {
    deadline_ = deadline;
    bytes_sent_ = 0;
  }

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  error_code connect(const addrinfo& address) {
    close();
    fd_ = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return last_error();
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, address.ai_addr, address.ai_addrlen) == 0) return {};
    if (errno != EINPROGRESS) return last_error();
    if (const error_code error = wait(POLLOUT)) return error;
    int failure = 0;
    socklen_t size = sizeof failure;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &failure, &size);
    return {failure, boost::system::system_category()};
  }

  // Whether the peer has closed, or sent what nobody asked for.
  bool stale() const {
    pollfd entry{fd_, POLLIN, 0};
    return ::poll(&entry, 1, 0) != 0;
  }

  template <class Buffers>
  size_t read_some(const Buffers& buffers, error_code& error) {
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
      const asio::mutable_buffer buffer = *at;
      if (buffer.size() == 0) continue;
      for (;;) {
        const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (count > 0) return error = {}, static_cast<size_t>(count);
        if (count == 0) return error = asio::error::eof, 0;
        if (!again(POLLIN, error)) return 0;
      }
    }
    error = {};
    return 0;
  }
  template <class Buffers>
  size_t read_some(const Buffers& buffers) {
    error_code error;
    const size_t count = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return count;
  }

  template <class Buffers>
  size_t write_some(const Buffers& buffers, error_code& error) {
    iovec parts[16];
    size_t parts_count = 0;
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
      const asio::const_buffer buffer = *at;
      if (buffer.size() == 0) continue;
      if (parts_count == std::size(parts)) break;
      parts[parts_count++] = {const_cast<void*>(buffer.data()), buffer.size()};
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = parts_count;
    for (;;) {
      const ssize_t count = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (count >= 0) {
        bytes_sent_ += static_cast<size_t>(count);
        return error = {}, static_cast<size_t>(count);
      }
      if (!again(POLLOUT, error)) return 0;
    }
  }
  template <class Buffers>
  size_t write_some(const Buffers& buffers) {
    error_code error;
    const size_t count = write_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return count;
  }

 private:
  // After a failed call: waits if it would have blocked. False with the error if it cannot go on.
  bool again(short events, error_code& error) {
    if (errno == EINTR) return true;
    error = errno == EAGAIN || errno == EWOULDBLOCK ? wait(events) : last_error();
    return !error;
  }

  error_code wait(short events) {
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
      if (left.count() <= 0) return asio::error::timed_out;
      pollfd entry{fd_, events, 0};
      const int ready = ::poll(&entry, 1, static_cast<int>(std::min<int64_t>(left.count(), 3'600'000)));
      if (ready > 0) return {};
      if (ready < 0 && errno != EINTR) return last_error();
    }
  }

  int fd_ = -1;
  size_t bytes_sent_ = 0;
  Deadline deadline_{};
};

namespace {

struct AddressList {
  addrinfo* first = nullptr;
  ~AddressList() {
    if (first) ::freeaddrinfo(first);
  }
};

bool equal_without_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

Result<Endpoint, std::string> parse_endpoint(std::string_view text) {
  const auto bad = [&] {
    return "\"" + std::string(text) + "\" is not HOST:PORT, for example 127.0.0.1:7101";
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool whole = error == std::errc() && end == port.data() + port.size();
  if (host.empty() || !whole || number < 1 || number > 65535) return bad();
  return Endpoint{std::string(host), std::string(port), std::string(text)};
}

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_without_case(key, name)) return value;
  }
  return {};
}

class HttpConnection::State {
 public:
  State(Endpoint endpoint, std::chrono::milliseconds connect_timeout)
      : endpoint_(std::move(endpoint)), connect_timeout_(connect_timeout) {}

  Result<Done, TransportError> connect(Deadline deadline) {
    buffer_.clear();
    waiting_ = 0;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    AddressList addresses;
    const int failure =
        ::getaddrinfo(endpoint_.host.c_str(), endpoint_.port.c_str(), &hints, &addresses.first);
    if (failure != 0) return TransportError{endpoint_.text + ": " + ::gai_strerror(failure)};
    error_code error = asio::error::host_not_found;
    const Deadline limit = std::min(deadline, std::chrono::steady_clock::now() + connect_timeout_);
    for (const addrinfo* at = addresses.first; at != nullptr; at = at->ai_next) {
      socket_.begin(limit);
      error = socket_.connect(*at);
      if (!error) return Done{};
    }
    return fail(error, false);
  }

  Result<Done, TransportError> send(const HttpRequest& request, Deadline deadline) {
    if (socket_.open() && waiting_ == 0 && (buffer_.size() != 0 || socket_.stale())) socket_.close();
    if (!socket_.open()) {
      if (auto connected = connect(deadline); !connected) return connected;
    }
    http::request<http::string_body> message(http::string_to_verb(request.method), request.target, 11);
    message.set(http::field::host, endpoint_.text);
    for (const auto& [name, value] : request.headers) message.set(name, value);
    message.body() = request.body;
    if (!request.body.empty() || request.method == "PUT" || request.method == "POST")
      message.prepare_payload();
    socket_.begin(deadline);
    error_code error;
    http::write(socket_, message, error);
    if (error) return fail(error, socket_.bytes_sent() > 0 || waiting_ > 0);
    ++waiting_;
    return Done{};
  }

  Result<HttpResponse, TransportError> receive(Deadline deadline) {
    COVEY_ASSERT(waiting_ > 0);
    http::response_parser<http::string_body> parser;
    parser.body_limit(response_bytes_max);
    parser.header_limit(header_bytes_max);
    socket_.begin(deadline);
    error_code error;
    http::read(socket_, buffer_, parser, error);
    if (error) return fail(error, true);
    --waiting_;
    HttpResponse response;
    response.status = static_cast<int>(parser.get().result_int());
    for (const auto& field : parser.get()) {
      response.headers.emplace_back(field.name_string(), field.value());
    }
    response.body = std::move(parser.get().body());
    if (!parser.get().keep_alive()) close();
    return response;
  }

  void close() {
    socket_.close();
    buffer_.clear();
    waiting_ = 0;
  }
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  TransportError fail(const error_code& error, bool sent) {
    close();
    const bool timed_out = error == asio::error::timed_out;
    const bool closed = error == http::error::end_of_stream || error == asio::error::eof;
    const std::string what = timed_out ? (sent ? "no answer in time" : "no connection in time")
                             : closed  ? "the connection was closed before the answer"
                                       : error.message();
    return TransportError{endpoint_.text + ": " + what, sent, timed_out};
  }

  Endpoint endpoint_;
  std::chrono::milliseconds connect_timeout_;
  TimedSocket socket_;
  beast::flat_buffer buffer_;
  size_t waiting_ = 0;  // requests sent whose responses have not been read
};

HttpConnection::HttpConnection(Endpoint endpoint, std::chrono::milliseconds connect_timeout)
    : state_(std::make_unique<State>(std::move(endpoint), connect_timeout)) {}
HttpConnection::~HttpConnection() = default;
HttpConnection::HttpConnection(HttpConnection&&) noexcept = default;
HttpConnection& HttpConnection::operator=(HttpConnection&&) noexcept = default;

Result<HttpResponse, TransportError> HttpConnection::exchange(const HttpRequest& request, Deadline deadline) {
  if (auto sent = state_->send(request, deadline); !sent) return sent.error();
  return state_->receive(deadline);
}
Result<Done, TransportError> HttpConnection::send(const HttpRequest& request, Deadline deadline) {
  return state_->send(request, deadline);
}
Result<HttpResponse, TransportError> HttpConnection::receive(Deadline deadline) {
  return state_->receive(deadline);
}
void HttpConnection::close() { state_->close(); }
const Endpoint& HttpConnection::endpoint() const { return state_->endpoint(); }

}  // namespace covey::client
