#include "server/peer_reader.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace covey::server::peer_reader_test {
namespace {

using namespace std::chrono_literals;

// A connection, one end of which is read; the other end is the peer's.
struct Connection {
  boost::asio::io_context io;
  ReadySockets sockets{io};
  int peer = -1;
  std::vector<std::string> frames;
  std::string malformed = "?";  // the frame that counts as it
  size_t bytes = 0, reads = 0;
  bool broken = false;
  std::weak_ptr<PeerReader> reader;

  explicit Connection(std::chrono::milliseconds silence_max = 60s) {
    std::array<int, 2> ends{-1, -1};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    peer = ends[1];
    auto made = std::make_shared<PeerReader>(io, sockets, ends[0],
                                             PeerReader::Events{[this](size_t count) {
                                                                  ++reads;
                                                                  bytes += count;
                                                                },
                                                                [this](std::string_view payload) {
                                                                  if (payload == malformed) return false;
                                                                  frames.emplace_back(payload);
                                                                  return true;
                                                                },
                                                                [this] { broken = true; }},
                                             silence_max);
    reader = made;
    made->start();
  }
  ~Connection() { close(peer); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // All that is ready now, however often that is asked.
  void run() {
    io.restart();
    for (int i = 0; i < 50; ++i) io.poll();
  }
  size_t send(std::string_view stream) const {
    const ssize_t sent = ::send(peer, stream.data(), stream.size(), MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<size_t>(sent);
  }
};

std::string frames_of(const std::vector<std::string>& payloads) {
  std::string stream;
  for (const std::string& payload : payloads) append_frame(stream, payload);
  return stream;
}

TEST_CASE("what a peer has sent together is read at once", "[peer]") {
  Connection connection;
  const std::string stream = frames_of({"one", "", std::string(5'000, 'x')});
  const std::string_view first = std::string_view(stream).substr(0, 20);
  REQUIRE(connection.send(first) == first.size());
  connection.run();
  CHECK(connection.frames == std::vector<std::string>{"one"});
  REQUIRE(connection.send(std::string_view(stream).substr(20)) == stream.size() - 20);
  connection.run();
  CHECK(connection.frames == std::vector<std::string>{"one", "", std::string(5'000, 'x')});
  CHECK(connection.bytes == stream.size());
  CHECK(connection.reads == 2);
}

TEST_CASE("more than one read holds is read to its end, and then what comes later", "[peer]") {
  Connection connection;
  std::vector<std::string> payloads;
  for (int i = 0; i < 40; ++i) payloads.emplace_back(30'000, static_cast<char>('a' + i % 26));
  const std::string stream = frames_of(payloads);
  for (size_t at = 0; at < stream.size();) {
    // Until the system takes no more.
    while (const size_t sent = connection.send(std::string_view(stream).substr(at))) at += sent;
    connection.run();
  }
  CHECK(connection.frames == payloads);
  CHECK_FALSE(connection.reader.expired());
}

// What comes while it has more to read makes its socket ready once more.
TEST_CASE("a peer that sends all the time is read once in each turn", "[peer]") {
  Connection connection;
  std::string stream;
  for (int i = 0; i < 200; ++i) append_frame(stream, std::string(20'000, 'x'));
  size_t at = connection.send(stream);
  size_t most = 0;
  for (int turn = 0; turn < 20; ++turn) {
    const size_t before = connection.reads;
    bool over = false;
    post(connection.io, [&] { over = true; });
    connection.io.restart();
    while (!over) connection.io.run_one();
    most = std::max(most, connection.reads - before);
    at += connection.send(std::string_view(stream).substr(at));
  }
  CHECK(connection.reads > 10);
  CHECK(most == 1);
}

TEST_CASE("all that came before the end of a connection is taken", "[peer]") {
  Connection connection;
  const std::string stream = frames_of({std::string(150'000, 'x'), "last"});
  REQUIRE(connection.send(stream) == stream.size());
  shutdown(connection.peer, SHUT_WR);
  connection.run();
  CHECK(connection.frames.size() == 2);
  CHECK(connection.frames.back() == "last");
  CHECK_FALSE(connection.broken);
  CHECK(connection.reader.expired());
}

TEST_CASE("a peer that sends a malformed message or no frame is disconnected", "[peer]") {
  Connection connection;
  connection.malformed = "nonsense";
  SECTION("malformed") { REQUIRE(connection.send(frames_of({"sound", "nonsense", "behind"})) > 0); }
  SECTION("no frame") {
    REQUIRE(connection.send(frames_of({"sound"})) > 0);
    REQUIRE(connection.send("GET / HTTP/1.1\r\n\r\n") > 0);
  }
  connection.run();
  CHECK(connection.frames == std::vector<std::string>{"sound"});
  CHECK(connection.broken);
  CHECK(connection.reader.expired());
  CHECK(connection.send("x") == 0);
}

TEST_CASE("a peer that says nothing is disconnected", "[peer]") {
  Connection connection(1ms);
  while (!connection.reader.expired()) connection.io.run_one();
  CHECK(connection.reader.expired());
  CHECK(connection.send("x") == 0);
}

}  // namespace
}  // namespace covey::server::peer_reader_test
