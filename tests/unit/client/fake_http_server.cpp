#include "tests/unit/client/fake_http_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace covey::test {
namespace {

int bound_socket(int& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

// Reads on until `buffer` has at least `size` bytes; false at the end of the connection.
bool fill(int fd, std::string& buffer, size_t size) {
  char bytes[16384];
  while (buffer.size() < size) {
    const ssize_t count = ::recv(fd, bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    buffer.append(bytes, static_cast<size_t>(count));
  }
  return true;
}

bool read_request(int fd, std::string& buffer, FakeRequest& request) {
  size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!fill(fd, buffer, buffer.size() + 1)) return false;
  }
  const std::string head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  size_t at = head.find("\r\n");
  const std::string first = head.substr(0, at);
  request.method = first.substr(0, first.find(' '));
  request.target = first.substr(first.find(' ') + 1, first.rfind(' ') - first.find(' ') - 1);
  for (at += 2; at < head.size();) {
    const size_t line_end = head.find("\r\n", at);
    const std::string line = head.substr(at, line_end - at);
    at = line_end + 2;
    const size_t colon = line.find(':');
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    request.headers[name] = line.substr(line.find_first_not_of(' ', colon + 1));
  }
  const size_t length =
      request.headers.contains("content-length") ? std::stoul(request.headers["content-length"]) : 0;
  if (!fill(fd, buffer, length)) return false;
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  return true;
}

void send_all(int fd, const std::string& bytes) { ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

}  // namespace

FakeHttpServer::FakeHttpServer(std::function<FakeReply(const FakeRequest&)> handler)
    : handler_(std::move(handler)) {
  listener_ = bound_socket(port_);
  ::listen(listener_, 64);
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeHttpServer::~FakeHttpServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::vector<FakeRequest> FakeHttpServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

void FakeHttpServer::accept_all() {
  while (!stopping_) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++connections_;
    std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void FakeHttpServer::serve(int fd) {
  std::string buffer;
  FakeRequest request;
  while (read_request(fd, buffer, request)) {
    FakeReply reply;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
      reply = handler_(request);
    }
    std::string bytes = "HTTP/1.1 " + std::to_string(reply.status) + " Status\r\n";
    for (const auto& [name, value] : reply.headers) bytes += name + ": " + value + "\r\n";
    bytes += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
    if (reply.way == FakeReply::Way::hang) {
      fill(fd, buffer, buffer.size() + 1);
      break;
    }
    if (reply.way == FakeReply::Way::close) break;
    send_all(fd, reply.way == FakeReply::Way::half ? bytes.substr(0, bytes.size() / 2) : bytes);
    if (reply.way != FakeReply::Way::answer) break;
    request = FakeRequest();
  }
  std::lock_guard lock(mutex_);
  open_.remove(fd);
  ::close(fd);
}

int free_port() {
  int port = 0;
  ::close(bound_socket(port));
  return port;
}

}  // namespace covey::test
