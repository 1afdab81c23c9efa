// Nodes of Maelstrom under a virtual clock, their messages routed by hand.
#include "tests/maelstrom/node.h"

#include <catch2/catch.hpp>
#include <deque>

namespace covey::maelstrom::node_test {
namespace {

class Nodes {
 public:
  Nodes(uint32_t count, Workload workload, NodeOptions options = {}) {
    Json names = Json::array();
    for (uint32_t i = 1; i <= count; ++i) names.push_back("n" + std::to_string(i));
    options.workload = workload;
    for (const auto& name : names) {
      options.seed = options.life = nodes_.size() + 1;
      nodes_.emplace(name.get<std::string>(), options);
    }
    for (const auto& name : names) {
      send(name.get<std::string>(), {{"type", "init"}, {"node_id", name}, {"node_ids", names}});
    }
    wait_ms(3'000);
    for (uint32_t id = 1; id <= count; ++id) REQUIRE(answers.at(id)["type"] == "init_ok");
  }

  // The number under which its answer will stand in `answers`.
  uint64_t send(const std::string& node, Json body) {
    body["msg_id"] = ++last_id_;
    nodes_.at(node).line(now(node), message_line("c1", node, std::move(body)));
    route();
    return last_id_;
  }
  // Its answer, within a second.
  Json ask(const std::string& node, Json body) {
    const uint64_t id = send(node, std::move(body));
    for (int i = 0; i < 200 && !answers.contains(id); ++i) wait_ms(5);
    REQUIRE(answers.contains(id));
    return answers[id];
  }
  void wait_ms(uint64_t ms) {
    for (uint64_t i = 0; i < ms; i += 5) {
      now_us_ += 5'000;
      for (auto& [name, node] : nodes_) node.tick(now(name));
      route();
    }
  }
  Node& node(const std::string& name) { return nodes_.at(name); }
  Now now(const std::string& node) {
    return {now_us_, uint64_t{1'700'000'000'000} + now_us_ / 1'000 + ahead_ms[node]};
  }

  std::map<uint64_t, Json> answers;
  std::set<std::string> apart;               // nothing reaches them or comes from them but of clients
  std::map<std::string, uint64_t> ahead_ms;  // of the wall clocks

 private:
  void route() {
    for (bool more = true; more;) {
      more = false;
      for (auto& [name, node] : nodes_) {
        for (const std::string& line : node.take_lines()) {
          more = true;
          const Json message = Json::parse(line);
          const std::string to = message["dest"];
          if (to == "c1") {
            REQUIRE(answers.emplace(message["body"]["in_reply_to"], message["body"]).second);
          } else if (!apart.contains(name) && !apart.contains(to)) {
            nodes_.at(to).line(now(to), line);
          }
        }
      }
    }
  }

  std::map<std::string, Node> nodes_;
  uint64_t now_us_ = 1'000'000;
  uint64_t last_id_ = 0;
};

Json write(int value) { return {{"type", "write"}, {"key", "k"}, {"value", value}}; }
Json read() { return {{"type", "read"}, {"key", "k"}}; }

}  // namespace

TEST_CASE("a write is newer than what was read, whatever the clocks say", "[maelstrom]") {
  Nodes nodes(3, Workload::lin_kv);
  nodes.ahead_ms["n1"] = 3'600'000;
  CHECK(nodes.ask("n2", read())["code"] == 20);
  nodes.apart = {"n3"};
  CHECK(nodes.ask("n1", write(1))["type"] == "write_ok");
  // n3, whose clock is behind, learns of it from n2 alone.
  nodes.apart = {"n1"};
  CHECK(nodes.ask("n3", write(2))["type"] == "write_ok");
  CHECK(nodes.ask("n2", read())["value"] == 2);
  nodes.apart = {};
  for (const char* name : {"n1", "n2", "n3"}) CHECK(nodes.ask(name, read())["value"] == 2);
}

TEST_CASE("a node apart refuses at once what it would only time out of", "[maelstrom]") {
  Nodes nodes(3, Workload::lin_kv);
  nodes.apart = {"n1"};
  CHECK(nodes.ask("n1", read())["code"] == 0);
  nodes.wait_ms(5'000);
  const uint64_t id = nodes.send("n1", write(1));
  REQUIRE(nodes.answers.contains(id));
  CHECK(nodes.answers[id]["code"] == 11);
  CHECK(nodes.ask("n2", write(2))["type"] == "write_ok");
  nodes.apart = {};
  nodes.wait_ms(5'000);
  CHECK(nodes.ask("n1", read())["value"] == 2);
}

TEST_CASE("compare-and-set is refused, with the reason", "[maelstrom]") {
  Nodes nodes(1, Workload::lin_kv);
  const Json answer = nodes.ask("n1", {{"type", "cas"}, {"key", 1}, {"from", 1}, {"to", 2}});
  CHECK(answer["code"] == 10);
  CHECK(answer["text"].get<std::string>().find("consensus") != std::string::npos);
}

TEST_CASE("nodes apart go on adding, and all is summed up later", "[maelstrom]") {
  Nodes nodes(3, Workload::pn_counter);
  nodes.apart = {"n1", "n2"};
  for (const char* name : {"n1", "n2", "n3"}) {
    CHECK(nodes.ask(name, {{"type", "add"}, {"delta", 7}})["type"] == "add_ok");
    CHECK(nodes.ask(name, {{"type", "add"}, {"delta", -5}})["type"] == "add_ok");
    CHECK(nodes.ask(name, {{"type", "read"}})["value"] == 2);
  }
  nodes.apart = {};
  nodes.wait_ms(5'000);
  for (const char* name : {"n1", "n2", "n3"}) CHECK(nodes.ask(name, {{"type", "read"}})["value"] == 6);
}

TEST_CASE("a counter takes whole numbers only, and one that grows no negative ones", "[maelstrom]") {
  Nodes nodes(1, Workload::g_counter);
  for (const Json& delta :
       {Json(-1), Json(1.5), Json("1"), Json(nullptr), Json(uint64_t{1} << 60), Json(UINT64_MAX)})
    CHECK(nodes.ask("n1", {{"type", "add"}, {"delta", delta}})["code"] == 12);
  CHECK(nodes.ask("n1", {{"type", "add"}})["code"] == 10);
  CHECK(nodes.ask("n1", {{"type", "add"}, {"delta", 0}})["type"] == "add_ok");
  CHECK(nodes.ask("n1", {{"type", "read"}})["value"] == 0);
}

TEST_CASE("more messages than a page of keys has room for are read whole", "[maelstrom]") {
  Nodes nodes(1, Workload::broadcast);
  constexpr int count = 12'000;
  for (int i = 0; i < count; ++i) nodes.send("n1", {{"type", "broadcast"}, {"message", i}});
  const Json messages = nodes.ask("n1", {{"type", "read"}})["messages"];
  REQUIRE(messages.size() == count);
  CHECK(messages.get<std::set<int>>().size() == count);
}

TEST_CASE("nodes apart go on adding to a set, and each element is in it once", "[maelstrom]") {
  Nodes nodes(2, Workload::g_set);
  nodes.apart = {"n1"};
  for (const char* name : {"n1", "n2"}) {
    for (const Json& element : {Json("both"), Json(name), Json({{"k", {1.5, nullptr}}})})
      CHECK(nodes.ask(name, {{"type", "add"}, {"element", element}})["type"] == "add_ok");
    CHECK(nodes.ask(name, {{"type", "read"}})["value"].size() == 3);
  }
  nodes.apart = {};
  nodes.wait_ms(5'000);
  const std::set<std::string> expected = {"\"both\"", "\"n1\"", "\"n2\"", R"({"k":[1.5,null]})"};
  for (const char* name : {"n1", "n2"}) {
    const Json value = nodes.ask(name, {{"type", "read"}})["value"];
    std::set<std::string> found;
    for (const Json& element : value) found.insert(element.dump());
    CHECK(value.size() == 4);
    CHECK(found == expected);
  }
  CHECK(nodes.ask("n1", {{"type", "add"}, {"element", std::string(70'000, 'x')}})["code"] == 12);
}

TEST_CASE("there are limits to requests in flight and to nodes", "[maelstrom]") {
  NodeOptions options;
  options.requests_max = 5;
  Nodes nodes(3, Workload::lin_kv, options);
  nodes.apart = {"n1"};
  std::vector<uint64_t> ids;
  for (int i = 0; i < 7; ++i) ids.push_back(nodes.send("n1", read()));
  for (size_t i = 0; i < ids.size(); ++i) CHECK(nodes.answers.contains(ids[i]) == (i >= 5));
  CHECK(nodes.answers[ids.back()]["code"] == 11);
  nodes.wait_ms(1'000);
  for (uint64_t id : ids) CHECK(nodes.answers.contains(id));

  Node node(NodeOptions{});
  auto init = [&](const Json& names) {
    node.line({}, message_line("c1", "n1",
                               {{"type", "init"}, {"msg_id", 1}, {"node_id", "n1"}, {"node_ids", names}}));
    return Json::parse(node.take_lines().at(0))["body"]["code"];
  };
  Json many = Json::array();
  for (int i = 1; i <= 17; ++i) many.push_back("n" + std::to_string(i));
  for (const Json& names : {many, Json("n1"), Json({"n2"}), Json({"n1", "n1", "n2", "n2"}),
                            Json({"n1", "a b"}), Json({"n1", 2})}) {
    INFO(names.dump());
    CHECK(init(names) == 12);
  }
  node.line({}, message_line("c1", "n1", {{"type", "echo"}, {"msg_id", 2}, {"echo", 1}}));
  CHECK(Json::parse(node.take_lines().at(0))["body"]["code"] == 11);
}

}  // namespace covey::maelstrom::node_test
