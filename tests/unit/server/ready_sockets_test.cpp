#include "server/ready_sockets.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>

namespace covey::server::ready_sockets_test {
namespace {

struct Pair {
  std::array<int, 2> ends{-1, -1};
  Pair() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0); }
  ~Pair() {
    close(ends[0]);
    close(ends[1]);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  void say() { REQUIRE(write(ends[1], "x", 1) == 1); }
};

struct Listener final : ReadySockets::Watcher {
  int to_read = 0, ended = 0;
  bool last_to_write = false;
  std::function<void()> then;
  void socket_ready(Ready ready) override {
    to_read += ready.to_read ? 1 : 0;
    ended += ready.ended ? 1 : 0;
    last_to_write = ready.to_write;
    if (then) then();
  }
};

struct Loop {
  boost::asio::io_context io;
  ReadySockets sockets{io};
  // All that is ready now, however often that is asked.
  void run() {
    io.restart();
    for (int i = 0; i < 10; ++i) io.poll();
  }
};

TEST_CASE("a socket that became ready is told of once, until something more comes", "[server]") {
  Loop loop;
  Pair pair;
  Listener listener;
  pair.say();
  REQUIRE(loop.sockets.watch(pair.ends[0], listener));
  loop.run();
  CHECK(listener.to_read == 1);
  CHECK(listener.last_to_write);
  pair.say();
  loop.run();
  CHECK(listener.to_read == 2);
  CHECK(listener.ended == 0);
  shutdown(pair.ends[1], SHUT_WR);
  loop.run();
  CHECK(listener.to_read == 3);
  CHECK(listener.ended == 1);
}

TEST_CASE("more sockets than are told of at once are all told of", "[server]") {
  Loop loop;
  std::array<Pair, 300> pairs;
  std::array<Listener, 300> listeners;
  for (size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].say();
    REQUIRE(loop.sockets.watch(pairs[i].ends[0], listeners[i]));
  }
  loop.run();
  for (const Listener& listener : listeners) CHECK(listener.to_read == 1);
}

TEST_CASE("who has forgotten a socket hears nothing of it, and nothing meant for it reaches the next",
          "[server]") {
  Loop loop;
  Pair one, other, fresh;
  Listener first, second, third;
  auto first_ticket = loop.sockets.watch(one.ends[0], first);
  auto second_ticket = loop.sockets.watch(other.ends[0], second);
  REQUIRE((first_ticket && second_ticket));
  loop.run();
  first.to_read = second.to_read = 0;
  // Both are ready at once; who is told first puts another socket into the other's place.
  const auto replace = [&](std::optional<uint64_t>& ticket) {
    return [&] {
      if (third.then) return;
      loop.sockets.forget(*ticket);
      REQUIRE(loop.sockets.watch(fresh.ends[0], third));
      third.then = [] {};
    };
  };
  first.then = replace(second_ticket);
  second.then = replace(first_ticket);
  one.say();
  other.say();
  loop.run();
  CHECK(first.to_read + second.to_read == 1);
  CHECK(third.to_read == 0);
}

}  // namespace
}  // namespace covey::server::ready_sockets_test
