#include "client/client.h"

#include <catch2/catch.hpp>

#include "client/http.h"
#include "replication/context_token.h"
#include "tests/unit/client/fake_http_server.h"

namespace covey::client::client_test {
namespace {

using test::FakeHttpServer;
using test::FakeReply;
using test::FakeRequest;

const std::string written_body = R"({"dot": "n1.1:1", "acks": {"needed": 2, "received": 2}, "context": "c"})";

FakeReply answer_all(const FakeRequest& request) {
  if (request.method == "GET") return {.status = 200, .body = "v", .headers = {{"Covey-Context", "c"}}};
  return {.status = 200, .body = written_body};
}
FakeReply close_all(const FakeRequest&) { return {.way = FakeReply::Way::close}; }

Client open(std::vector<std::string> endpoints, Milliseconds timeout = Milliseconds(10'000)) {
  auto client = Client::open({.endpoints = std::move(endpoints), .request_timeout = timeout});
  REQUIRE(client);
  return std::move(*client);
}

// For who waits in vain: short, but nobody else takes so long.
constexpr Milliseconds in_vain{1500};

std::string nobody() { return "127.0.0.1:" + std::to_string(test::free_port()); }

}  // namespace

TEST_CASE("a request says what the API asks for", "[client]") {
  FakeHttpServer server(answer_all);
  Client client = open({server.endpoint()});
  REQUIRE(client.get("my table", "a/b", {.level = "one", .sloppy = false, .timeout = Milliseconds(250)}));
  REQUIRE(client.put("t", "k", R"({"a":1})",
                     {.level = "2", .context = "ctx", .ttl = Milliseconds(5000), .only_if_absent = true}));
  REQUIRE(client.put("t", "k", ""));
  REQUIRE(client.del("t", "k", {.context = "ctx", .only_if_dot = "n1.1:1"}));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 4);
  CHECK(requests[0].target == "/v1/kv/my%20table/a%2Fb?r=one&sloppy=false&timeout_ms=250");
  CHECK(requests[1].method == "PUT");
  CHECK(requests[1].target == "/v1/kv/t/k?w=2&ttl_ms=5000");
  CHECK(requests[1].headers.at("content-type") == "application/json");
  CHECK(requests[1].headers.at("covey-context") == "ctx");
  CHECK(requests[1].headers.at("if-none-match") == "*");
  CHECK(requests[1].body == R"({"a":1})");
  CHECK(requests[2].headers.at("content-length") == "0");
  CHECK_FALSE(requests[2].headers.contains("covey-context"));
  CHECK(requests[3].method == "DELETE");
  CHECK(requests[3].headers.at("if-match") == "\"n1.1:1\"");
  CHECK(server.connections() == 1);
}

TEST_CASE("a context of any length that nodes give out is read and sent back", "[client]") {
  const std::string context(token_bytes_max, 'c');
  FakeHttpServer server([&](const FakeRequest&) {
    return FakeReply{.status = 200, .body = "v", .headers = {{"Covey-Context", context}}};
  });
  Client client = open({server.endpoint()});
  const auto read = client.get("t", "k");
  REQUIRE(read);
  CHECK(read->context == context);
  (void)client.put("t", "k", "w", {.context = read->context});
  CHECK(server.requests().back().headers.at("covey-context") == context);
}

TEST_CASE("the next node is tried when one does not answer, and kept", "[client]") {
  FakeHttpServer server(answer_all);
  Client client = open({nobody(), nobody(), server.endpoint()});
  REQUIRE(client.get("t", "k"));
  CHECK(client.endpoint() == server.endpoint());
  REQUIRE(client.put("t", "k", "v"));
  CHECK(server.connections() == 1);
}

TEST_CASE("with no node there, nothing was sent and the error says so", "[client]") {
  Client client = open({nobody(), nobody()});
  auto written = client.put("t", "k", "v");
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == Error::Kind::unreachable);
  CHECK_FALSE(written.error().outcome_unknown);
}

TEST_CASE("a write whose answer is lost is never sent twice", "[client]") {
  for (const auto way : {FakeReply::Way::close, FakeReply::Way::half, FakeReply::Way::hang}) {
    FakeHttpServer broken([&](const FakeRequest&) { return FakeReply{.body = written_body, .way = way}; });
    FakeHttpServer good(answer_all);
    Client client = open({broken.endpoint(), good.endpoint()}, in_vain);
    auto written = client.put("t", "k", "v");
    REQUIRE_FALSE(written);
    CHECK(written.error().kind == Error::Kind::timed_out);
    CHECK(written.error().outcome_unknown);
    CHECK(broken.requests().size() == 1);
    CHECK(good.requests().empty());
  }
}

TEST_CASE("a batch with a write in it is never sent twice, one of reads may be", "[client]") {
  FakeHttpServer broken(close_all);
  FakeHttpServer good(
      [](const FakeRequest&) { return FakeReply{.body = R"({"key": "k", "status": 404, "context": "c"})"}; });
  Client client = open({broken.endpoint(), good.endpoint()});
  auto read = client.batch("t", {{.kind = BatchOperation::Kind::get, .key = "k"}});
  REQUIRE(read);
  Client other = open({broken.endpoint(), good.endpoint()});
  auto written = other.batch("t", {{.key = "k", .value = "1"}});
  REQUIRE_FALSE(written);
  CHECK(written.error().outcome_unknown);
  CHECK(good.requests().size() == 1);
}

TEST_CASE("a read goes on to the next node when its answer is lost", "[client]") {
  for (const auto way : {FakeReply::Way::close, FakeReply::Way::half, FakeReply::Way::hang}) {
    FakeHttpServer broken([&](const FakeRequest&) { return FakeReply{.body = "wrong", .way = way}; });
    FakeHttpServer good(answer_all);
    Client client = open({broken.endpoint(), good.endpoint()}, in_vain);
    auto reading = client.get("t", "k");
    REQUIRE(reading);
    CHECK(reading->versions.at(0).value == "v");
  }
}

TEST_CASE("a kept connection that the node has closed costs a write nothing", "[client]") {
  FakeHttpServer server([](const FakeRequest& request) {
    FakeReply reply = answer_all(request);
    reply.way = FakeReply::Way::answer_and_close;
    return reply;
  });
  Client client = open({server.endpoint()});
  for (int i = 0; i < 3; ++i) {
    REQUIRE(client.put("t", "k", "v"));
    // The close must have arrived before the client looks; how long that takes is the machine's affair.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(server.requests().size() == 3);
}

TEST_CASE("a node's refusal is final: no other node is asked", "[client]") {
  FakeHttpServer first([](const FakeRequest&) {
    return FakeReply{
        .status = 503,
        .body = R"({"error": {"code": "unavailable", "message": "m", "needed": 2, "reachable": 1}})"};
  });
  FakeHttpServer second(answer_all);
  Client client = open({first.endpoint(), second.endpoint()});
  auto reading = client.get("t", "k");
  REQUIRE_FALSE(reading);
  CHECK(reading.error().kind == Error::Kind::unavailable);
  CHECK(reading.error().details["reachable"] == 1);
  CHECK(second.requests().empty());
}

TEST_CASE("readiness is an answer in both cases", "[client]") {
  int status = 503;
  FakeHttpServer server([&](const FakeRequest&) {
    return FakeReply{.status = status, .body = R"({"error": {"code": "not_ready", "message": "joining"}})"};
  });
  Client client = open({server.endpoint()});
  auto health = client.ready();
  REQUIRE(health);
  CHECK_FALSE(health->good);
  CHECK(health->reason == "joining");
  status = 200;
  health = client.ready();
  REQUIRE(health);
  CHECK(health->good);
}

TEST_CASE("pipelined answers come in the order of their requests", "[client]") {
  FakeHttpServer server([](const FakeRequest& request) { return FakeReply{.body = request.target}; });
  HttpConnection connection(*parse_endpoint(server.endpoint()));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (int i = 0; i < 50; ++i) REQUIRE(connection.send({.target = "/" + std::to_string(i)}, deadline));
  for (int i = 0; i < 50; ++i) {
    auto response = connection.receive(deadline);
    REQUIRE(response);
    CHECK(response->body == "/" + std::to_string(i));
  }
}

TEST_CASE("addresses are checked before anything is sent", "[client]") {
  for (const std::string text :
       {"", "host", ":1", "host:", "host:0", "host:65536", "host:1x", "[::1]", "::1:1"}) {
    INFO(text);
    CHECK_FALSE(parse_endpoint(text));
    CHECK_FALSE(Client::open({.endpoints = {text}}));
  }
  auto six = parse_endpoint("[::1]:7101");
  REQUIRE(six);
  CHECK(six->host == "::1");
  CHECK_FALSE(Client::open({.endpoints = {}}));
}

}  // namespace covey::client::client_test
