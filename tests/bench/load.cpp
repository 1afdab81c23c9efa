#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace covey::bench {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now().time_since_epoch()).count());
}

int connect_to(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fail("connecting to port " + std::to_string(port));
  }
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

struct Connection {
  int socket = -1;
  std::unique_ptr<Protocol> protocol;
  std::string out;
  std::string in;
  uint64_t sent_ns = 0;
  size_t requests = 0;        // in the batch under way
  size_t awaited = 0;         // answers, among them that to the end of the batch
  bool ended_by_one = false;  // the batch counts as answered with its last answer
};

class Generator {
 public:
  explicit Generator(const Load& load)
      : load_(load), random_(load.seed), poll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < 64; ++i) {
      values_.push_back(load.json_values ? json_value_text(random_, load.value_bytes)
                                         : value_text(random_, load.value_bytes));
    }
    connections_.resize(load.connections);
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = connections_[i];
      connection.socket = connect_to(load.ports[i % load.ports.size()]);
      connection.protocol = load.protocol();
      connection.protocol->append_greeting(connection.out);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      if (::epoll_ctl(poll_, EPOLL_CTL_ADD, connection.socket, &event) != 0) fail("epoll_ctl");
    }
  }
  ~Generator() {
    for (Connection& connection : connections_) {
      if (connection.socket >= 0) ::close(connection.socket);
    }
    ::close(poll_);
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  LoadResult run() {
    const uint64_t start_ns = now_ns();
    begin_ns_ =
        load_.each_key_once ? start_ns : start_ns + static_cast<uint64_t>(load_.warm_up_seconds * 1e9);
    end_ns_ = load_.each_key_once ? ~uint64_t{0} : begin_ns_ + static_cast<uint64_t>(load_.seconds * 1e9);
    for (Connection& connection : connections_) start_batch(connection);
    uint64_t last_ns = start_ns;
    while (busy_ > 0) {
      epoll_event events[64];
      const int count = ::epoll_wait(poll_, events, 64, 10'000);
      if (count < 0 && errno != EINTR) fail("epoll_wait");
      if (count == 0) throw std::runtime_error("no answer within ten seconds");
      for (int i = 0; i < count; ++i) receive(connections_[events[i].data.u64]);
      last_ns = now_ns();
    }
    result_.seconds = static_cast<double>((load_.each_key_once ? last_ns : end_ns_) - begin_ns_) / 1e9;
    return std::move(result_);
  }

 private:
  bool finished(uint64_t time_ns) const {
    return load_.each_key_once ? next_key_ >= load_.keys : time_ns >= end_ns_;
  }

  void start_batch(Connection& connection) {
    connection.sent_ns = now_ns();
    if (finished(connection.sent_ns)) return;
    ++busy_;
    connection.requests = 0;
    while (connection.requests < load_.pipeline && !(load_.each_key_once && next_key_ >= load_.keys)) {
      const std::string key = key_text(load_.each_key_once ? next_key_++ : random_.below(load_.keys));
      if (load_.operation == Operation::put) {
        connection.protocol->append_put(connection.out, key, values_[random_.below(values_.size())]);
      } else {
        connection.protocol->append_get(connection.out, key);
      }
      ++connection.requests;
    }
    const size_t more = connection.protocol->append_end_of_batch(connection.out);
    connection.ended_by_one = more > 0;
    connection.awaited = connection.requests + more;
    send(connection);
  }

  // A batch fits the socket's buffer or its server reads on meanwhile, so that waiting here costs little.
  void send(Connection& connection) {
    size_t sent = 0;
    while (sent < connection.out.size()) {
      const ssize_t count =
          ::send(connection.socket, connection.out.data() + sent, connection.out.size() - sent, MSG_NOSIGNAL);
      if (count < 0 && errno != EINTR) fail("sending");
      if (count > 0) sent += static_cast<size_t>(count);
    }
    connection.out.clear();
  }

  void receive(Connection& connection) {
    char bytes[64 * 1024];
    const ssize_t count = ::recv(connection.socket, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) fail("receiving");
    if (count == 0) throw std::runtime_error("the server closed a connection");
    connection.in.append(bytes, static_cast<size_t>(count));
    const Answers answers = connection.protocol->read(connection.in, connection.out);
    connection.in.erase(0, answers.consumed);
    if (answers.failed > 0 && result_.failures == 0) result_.first_failure = answers.failure;
    result_.failures += answers.failed;
    if (answers.count > connection.awaited) throw std::runtime_error("more answers than requests");
    if (answers.count > 0) note(connection, answers.count, answers.failed);
    if (connection.awaited == 0 && connection.requests > 0) {
      connection.requests = 0;
      --busy_;
      start_batch(connection);
    }
    if (!connection.out.empty()) send(connection);
  }

  // Refusals come quickly: they do not count as work done.
  void note(Connection& connection, size_t count, size_t failed) {
    const uint64_t time_ns = now_ns();
    connection.awaited -= count;
    if (connection.ended_by_one) count = connection.awaited == 0 ? connection.requests : 0;
    result_.all_operations += count;
    count -= std::min(count, failed);
    if (time_ns < begin_ns_ || time_ns > end_ns_) return;
    result_.operations += count;
    for (size_t i = 0; i < count; ++i) result_.latency_ns.record(time_ns - connection.sent_ns);
  }

  const Load& load_;
  Random random_;
  int poll_;
  std::vector<std::string> values_;
  std::vector<Connection> connections_;
  LoadResult result_;
  uint64_t begin_ns_ = 0;
  uint64_t end_ns_ = 0;
  uint64_t next_key_ = 0;
  size_t busy_ = 0;
};

}  // namespace

LoadResult run_load(const Load& load) { return Generator(load).run(); }

std::string key_text(uint64_t index) {
  std::string key = "key:000000000000";
  for (size_t at = key.size(); index > 0; index /= 10) key[--at] = static_cast<char>('0' + index % 10);
  return key;
}

uint64_t Random::next() {
  uint64_t x = state_ += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

std::string value_text(Random& random, uint32_t bytes) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string value(bytes, ' ');
  for (char& c : value) c = letters[random.below(letters.size())];
  return value;
}

std::string json_value_text(Random& random, uint32_t bytes) {
  char numbers[80];
  const double x = static_cast<double>(random.below(uint64_t{1} << 53)) * 0x1p-53;
  const auto n = static_cast<long long>(random.below(2'000'001)) - 1'000'000;
  std::snprintf(numbers, sizeof numbers, "{\"x\": %.12g, \"n\": %lld, \"text\": \"", x, n);
  std::string value = numbers;
  const size_t left = bytes > value.size() + 2 ? bytes - value.size() - 2 : 0;
  return value.append(value_text(random, static_cast<uint32_t>(left))).append("\"}");
}

}  // namespace covey::bench
