// The patience of a connection: real sockets, and the time as the shard tells it.
#include "server/http_connection.h"

#include <catch2/catch.hpp>

#include "replication/context_token.h"
#include "server/call_options.h"
#include "tests/unit/server/connection_talk.h"

namespace covey::http_connection_test {

using namespace covey::server;
namespace asio = boost::asio;

namespace {

constexpr uint64_t second_us = 1'000'000;
const std::string live = "GET /v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n";

struct Talk : ConnectionTalk<HttpConnection> {
  Talk() : ConnectionTalk(&Metrics::http_bytes_in) { begin(4096); }
  // All that comes until the other side ends, and how it ends.
  std::string received() {
    work();
    std::string out;
    asio::read(client, asio::dynamic_buffer(out), end);
    return out;
  }
  uint64_t timed_out() { return shard.metrics().connections_timed_out; }

  boost::system::error_code end;
};

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a client that is silent for 30 s between its requests is disconnected", "[http_connection]") {
  Talk talk;
  talk.connection->start();
  talk.send(live);
  talk.silence(29 * second_us);
  CHECK_FALSE(talk.closed());
  talk.silence(31 * second_us);
  CHECK(talk.closed());
  CHECK(talk.timed_out() == 1);
  CHECK(has(talk.received(), "HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("a client that is silent for 30 s within a body is disconnected", "[http_connection]") {
  Talk talk;
  talk.connection->start();
  talk.send("PUT /v1/kv/default/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  talk.silence(29 * second_us);
  CHECK_FALSE(talk.closed());
  talk.silence(31 * second_us);
  CHECK(talk.closed());
  CHECK(talk.timed_out() == 1);
}

TEST_CASE("a client that does not take its answers for 30 s is disconnected", "[http_connection]") {
  Talk talk;
  talk.connection->start();
  std::string many;
  for (int i = 0; i < 200; ++i) many += live;
  for (int i = 0; i < 50; ++i) talk.send(many);
  talk.silence(29 * second_us);
  CHECK_FALSE(talk.closed());
  talk.silence(31 * second_us);
  CHECK(talk.closed());
  CHECK(talk.timed_out() == 1);
}

TEST_CASE("a client whose header takes longer than 10 s is told so", "[http_connection]") {
  Talk talk;
  talk.connection->start();
  talk.send("GET /v1/health/live HTTP/1.1\r\n");
  talk.silence(9 * second_us);
  CHECK(talk.timed_out() == 0);
  talk.silence(11 * second_us);
  CHECK(talk.timed_out() == 1);
  CHECK(has(talk.received(), "HTTP/1.1 408 "));
  CHECK(talk.end == asio::error::eof);
  CHECK_FALSE(talk.closed());  // what the client still sends is thrown away for a moment
  talk.silence(3 * second_us);
  CHECK(talk.closed());
}

TEST_CASE("a client beyond the limit of connections reads why, also if it had sent much",
          "[http_connection]") {
  Talk talk;
  talk.client.non_blocking(true);
  boost::system::error_code full;
  std::string body = "PUT /v1/kv/default/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" +
                     std::string(50'000, 'x');
  talk.client.write_some(asio::buffer(body), full);
  talk.client.non_blocking(false);
  talk.connection->refuse();
  std::string answer = talk.received();
  CHECK(has(answer, "HTTP/1.1 429 Too Many Requests\r\n"));
  CHECK(has(answer, "Retry-After: 1\r\n"));
  CHECK(has(answer, "Connection: close\r\n"));
  CHECK(has(answer, R"({"error":{"code":"overloaded","message":")"));
  CHECK(talk.end == asio::error::eof);
  talk.client.close();
  while (!talk.closed()) talk.work();
}

TEST_CASE("a node that closes answers a request that was on its way", "[http_connection]") {
  Talk talk;
  talk.connection->start();
  talk.work();
  talk.node.draining = true;
  talk.connection->drain();
  talk.silence(second_us / 4);
  CHECK_FALSE(talk.closed());
  talk.send(live);
  std::string answer = talk.received();
  CHECK(has(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(has(answer, "Connection: close\r\n"));
  CHECK(talk.end == asio::error::eof);
}

TEST_CASE("a node that closes does not wait for clients that rest", "[http_connection]") {
  Talk talk;
  talk.connection->start();
  talk.send(live);
  talk.node.draining = true;
  talk.connection->drain();
  talk.silence(second_us);
  CHECK(talk.closed());
  CHECK(talk.timed_out() == 0);
}

TEST_CASE("the longest context, the longest key and other headers find room in one request",
          "[http_connection]") {
  const auto answer = [](size_t others) {
    Talk talk;
    talk.connection->start();
    talk.send("PUT /v1/kv/none/" + std::string(3 * server::key_bytes_max, 'k') +
              " HTTP/1.1\r\nHost: x\r\nCovey-Context: " + std::string(covey::token_bytes_max, 'c') +
              "\r\nX-Other: " + std::string(others, 'o') +
              "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return talk.received();
  };
  CHECK(has(answer(9'000), "no_such_table"));  // it was read
  CHECK(has(answer(20'000), "request line and headers are over the limit of 49152 bytes"));
}

}  // namespace covey::http_connection_test
