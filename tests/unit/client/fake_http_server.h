// A small HTTP server on a free port of 127.0.0.1, for tests of the client: answers by a function, and can
// misbehave as networks do.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace covey::test {

struct FakeRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct FakeReply {
  enum class Way {
    answer,            // the response, then the connection stays open
    answer_and_close,  // the response, then the connection is closed without saying so before
    close,             // the connection is closed without a response
    half,              // half of the response, then the connection is closed
    hang,              // nothing, until the client gives up
  };
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  Way way = Way::answer;
};

class FakeHttpServer {
 public:
  // The function is called from one thread for each connection, one call at a time.
  explicit FakeHttpServer(std::function<FakeReply(const FakeRequest&)> handler);
  ~FakeHttpServer();
  FakeHttpServer(const FakeHttpServer&) = delete;
  FakeHttpServer& operator=(const FakeHttpServer&) = delete;

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  std::vector<FakeRequest> requests() const;
  int connections() const { return connections_; }

 private:
  void accept_all();
  void serve(int connection);

  std::function<FakeReply(const FakeRequest&)> handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;  // guards the following
  std::vector<FakeRequest> requests_;
  std::list<int> open_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

// A port of 127.0.0.1 on which nobody listens.
int free_port();

}  // namespace covey::test
