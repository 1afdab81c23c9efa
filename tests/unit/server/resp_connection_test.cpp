// The patience of a Redis client's connection: real sockets, and the time as the shard tells it.
#include "server/resp_connection.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

using namespace covey::server;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr uint64_t second_us = 1'000'000;

// One client and its connection to a shard, whose work is done by the calls here.
struct Talk {
  explicit Talk(const std::string& password = {}) : shard(node, 0), client(client_io) {
    node.config.resp_password = password;
    node.shards = {&shard};
    tcp::acceptor acceptor(shard.io(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    client.connect(acceptor.local_endpoint());
    node.connections = 1;
    connection = std::make_shared<RespConnection>(shard, acceptor.accept(), node.connections);
    connection->start();
  }
  ~Talk() {
    connection->close();
    work();
  }
  void work() {
    shard.io().restart();
    shard.io().poll();
  }
  void send(const std::string& bytes) {
    const uint64_t taken = shard.metrics().resp_bytes_in + bytes.size();
    asio::write(client, asio::buffer(bytes));
    while (shard.metrics().resp_bytes_in < taken) work();
    work();
  }
  // Until nothing has come or gone for so long.
  void silence(uint64_t microseconds) {
    work();
    connection->check_time(now().tick_us + microseconds);
    work();
  }
  std::string received(size_t bytes) {
    std::string out(bytes, '\0');
    asio::read(client, asio::buffer(out));
    return out;
  }
  bool closed() const { return node.connections == 0; }

  NodeContext node;
  ShardLoop shard;
  asio::io_context client_io;
  tcp::socket client;
  std::shared_ptr<RespConnection> connection;
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
