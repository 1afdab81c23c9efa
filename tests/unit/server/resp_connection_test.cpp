// The patience of a Redis client's connection: real sockets, and the time as the shard tells it.
#include "server/resp_connection.h"

#include <catch2/catch.hpp>

#include "tests/unit/server/connection_talk.h"

namespace covey::resp_connection_test {

using namespace covey::server;
namespace asio = boost::asio;

namespace {

constexpr uint64_t second_us = 1'000'000;

struct Talk : ConnectionTalk<RespConnection> {
  explicit Talk(const std::string& password = {}) : ConnectionTalk(&Metrics::resp_bytes_in) {
    node.config.resp_password = password;
    begin();
    connection->start();
  }
  std::string received(size_t bytes) {
    std::string out(bytes, '\0');
    asio::read(client, asio::buffer(out));
    return out;
  }
};

}  // namespace

TEST_CASE("a Redis client may rest between commands, not within one", "[resp]") {
  Talk talk;
  talk.send("PING\r\n");
  CHECK(talk.received(7) == "+PONG\r\n");
  talk.silence(3600 * second_us);
  CHECK_FALSE(talk.closed());
  talk.send("*2\r\n$4\r\nECHO\r\n");
  talk.silence(29 * second_us);
  CHECK_FALSE(talk.closed());
  talk.silence(31 * second_us);
  CHECK(talk.closed());
  CHECK(talk.shard.metrics().connections_timed_out == 1);
}

TEST_CASE("half an inline command is a command that has begun", "[resp]") {
  Talk talk;
  talk.send("PIN");
  talk.silence(31 * second_us);
  CHECK(talk.closed());
}

TEST_CASE("a Redis client that does not authenticate is disconnected", "[resp]") {
  Talk talk("secret");
  talk.send("PING\r\n");
  CHECK(talk.received(34) == "-NOAUTH Authentication required.\r\n");
  talk.silence(29 * second_us);
  CHECK_FALSE(talk.closed());
  talk.silence(31 * second_us);
  CHECK(talk.closed());
}

TEST_CASE("a Redis client that has authenticated may rest", "[resp]") {
  Talk talk("secret");
  talk.send("AUTH secret\r\n");
  CHECK(talk.received(5) == "+OK\r\n");
  talk.silence(3600 * second_us);
  CHECK_FALSE(talk.closed());
}

TEST_CASE("a client that quits gets the answers before, and none after", "[resp]") {
  Talk talk;
  talk.send("ECHO a\r\nQUIT\r\nECHO b\r\n");
  talk.work();
  CHECK(talk.received(12) == "$1\r\na\r\n+OK\r\n");
  talk.silence(3 * second_us);
  CHECK(talk.closed());
}

TEST_CASE("a client that wants no answers gets none until it asks for them", "[resp]") {
  Talk talk;
  talk.send(
      "CLIENT REPLY SKIP\r\nECHO a\r\nECHO b\r\nCLIENT REPLY OFF\r\nECHO c\r\nNOSUCH\r\nCLIENT REPLY "
      "SKIP\r\n");
  talk.send(
      "ECHO d\r\nECHO e\r\nCLIENT REPLY ON\r\nECHO f\r\nCLIENT REPLY OFF\r\nRESET\r\nCLIENT REPLY "
      "SKIP\r\nRESET\r\nECHO g\r\n");
  talk.work();
  const std::string expected = "$1\r\nb\r\n+OK\r\n$1\r\nf\r\n+RESET\r\n$1\r\ng\r\n";
  CHECK(talk.received(expected.size()) == expected);
}

}  // namespace covey::resp_connection_test
