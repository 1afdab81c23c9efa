// incr, sadd, hset and the others against a fake node: what is sent, what a person reads.
#include "tests/unit/client/run_line.h"

namespace covey::cli::type_command_test {
namespace {

FakeReply answer(const FakeRequest& request) {
  const auto has = [&](const char* part) { return request.target.find(part) != std::string::npos; };
  const auto typed = [](const char* type, std::string body) {
    return FakeReply{
        .body = std::move(body),
        .headers = {{"Content-Type", "application/json"}, {"Covey-Context", "c"}, {"Covey-Type", type}}};
  };
  if (has("/mixed")) return error(409, "wrong_type");
  if (request.method == "POST" && has("/number"))
    return {.body =
                R"({"dot": "n1.1:9", "acks": {"needed": 2, "received": 3}, "value": 12345678901234567890.5,
                        "repeated": true, "added": 0, "removed": 0, "context": "after"})"};
  if (request.method == "POST")
    return {
        .body =
            R"({"dot": "n1.1:9", "acks": {"needed": 2, "received": 3}, "added": 2, "removed": 1, "context": "a"})"};
  if (has("/set")) return typed("set", R"(["a","b\nc",{"base64":"/w=="}])");
  if (has("/hash")) return typed("hash", R"({"age":36,"name":"Ada"})");
  if (has("/odd")) return typed("hash", R"([["a",1],[{"base64":"/w=="},"v"]])");
  return error(404, "not_found");
}

}  // namespace

TEST_CASE("changes are sent as the API has them", "[client]") {
  FakeHttpServer server(answer);
  const auto sent = [&](std::vector<std::string> line) {
    line.insert(line.begin(), {"--node", server.endpoint()});
    auto ended = run_line(line);
    CHECK(ended.code == 0);
    INFO(ended.err);
    const FakeRequest last = server.requests().back();
    return last.method + " " + last.target + " " + last.body;
  };
  CHECK(sent({"incr", "number"}) == R"(POST /v1/kv/default/number {"op":"incr","by":1})");
  CHECK(sent({"incr", "number", "0.5", "--token", "t\"1", "-w", "all", "--ttl", "2s"}) ==
        R"(POST /v1/kv/default/number?w=all&ttl_ms=2000 {"op":"incr","by":0.5,"token":"t\"1"})");
  CHECK(sent({"incr", "number", "--", "-7"}) == R"(POST /v1/kv/default/number {"op":"incr","by":-7})");
  CHECK(sent({"sadd", "set", "a", "\xff"}) ==
        R"(POST /v1/kv/default/set {"op":"sadd","members":["a",{"base64":"/w=="}]})");
  CHECK(sent({"srem", "set", "a"}) == R"(POST /v1/kv/default/set {"op":"srem","members":["a"]})");
  CHECK(sent({"hset", "hash", "a", "1", "b", "x"}) ==
        R"(POST /v1/kv/default/hash {"op":"hset","fields":[["a","1"],["b","x"]]})");
  CHECK(sent({"hdel", "hash", "a", "b"}) == R"(POST /v1/kv/default/hash {"op":"hdel","fields":["a","b"]})");
  CHECK(sent({"hincr", "hash", "a", "2"}) == R"(POST /v1/kv/default/hash {"op":"hincr","field":"a","by":2})");
}

TEST_CASE("a person reads what came of a change, a script all of it", "[client]") {
  FakeHttpServer server(answer);
  const auto out = [&](std::vector<std::string> line) {
    line.insert(line.begin(), {"--node", server.endpoint()});
    return run_line(line).out;
  };
  CHECK(out({"incr", "number"}) == "12345678901234567890.5\n");
  CHECK(out({"sadd", "set", "a"}) == "2 added\n");
  CHECK(out({"hdel", "hash", "a"}) == "1 removed\n");
  CHECK(out({"--output", "json", "incr", "number"}) ==
        "{\"dot\":\"n1.1:9\",\"acks\":{\"needed\":2,\"received\":3},\"added\":0,\"removed\":0,\"repeated\":"
        "true,"
        "\"value\":12345678901234567890.5}\n");
  CHECK(out({"smembers", "set"}) == "a\nb\\x0ac\n\\xff\n");
  CHECK(out({"hgetall", "hash"}) == "age\t36\nname\tAda\n");
  CHECK(out({"hgetall", "odd"}) == "a\t1\n\\xff\tv\n");
  CHECK(out({"hget", "hash", "name"}) == "Ada\n");
  CHECK(out({"hget", "odd", "\xff"}) == "v\n");
  CHECK(out({"--output", "json", "hget", "hash", "age"}) == "36\n");
}

TEST_CASE("a wrong type, an absent key and an absent field have their exit codes", "[client]") {
  FakeHttpServer server(answer);
  const auto code = [&](std::vector<std::string> line) {
    line.insert(line.begin(), {"--node", server.endpoint()});
    return run_line(line).code;
  };
  CHECK(code({"incr", "mixed"}) == 1);
  CHECK(code({"smembers", "hash"}) == 1);
  CHECK(code({"hgetall", "set"}) == 1);
  CHECK(code({"smembers", "absent"}) == 3);
  CHECK(code({"hget", "hash", "none"}) == 3);
  CHECK(code({"incr", "number", "much"}) == 2);
  CHECK(code({"hset", "hash", "a"}) == 2);
  CHECK(code({"sadd", "set"}) == 2);
}

}  // namespace covey::cli::type_command_test
