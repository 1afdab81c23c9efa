// Counters, sets and hashes on several nodes.
#include <catch2/catch.hpp>

#include "replication/typed.h"
#include "small_cluster.h"

namespace covey::typed_cluster_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;
using Strings = std::vector<std::string>;

struct Typed {
  SmallCluster cluster;
  explicit Typed(uint32_t nodes = 3, const CoreOptions& options = {}) : cluster(nodes, 3, 4, options) {}

  Response change(const std::string& node, const std::vector<Change>& changes,
                  const std::string& level = "quorum", uint64_t expires_ms = 0) {
    Request request = cluster.make(Operation::change, "k", level, false);
    request.changes = changes;
    request.expires_ms = expires_ms;
    return cluster.ask(node, std::move(request));
  }
  Response increment(const std::string& node, const std::string& by, const std::string& level = "quorum",
                     const std::string& token = {}) {
    return change(node, {{ChangeKind::increment, token, by}}, level);
  }
  Response add(const std::string& node, const Strings& names, const std::string& level = "quorum") {
    std::vector<Change> changes;
    for (const auto& name : names) changes.push_back({ChangeKind::add, name, {}});
    return change(node, changes, level);
  }
  std::string count(const std::string& node, const std::string& level = "quorum") {
    return text_of(counter_value(cluster.get(node, "k", level).object));
  }
  Strings elements(const std::string& node, const std::string& level = "quorum") {
    Response read = cluster.get(node, "k", level);
    auto views = members(read.object);
    return {views.begin(), views.end()};
  }
};

TEST_CASE("a counter takes increments on both sides of a cut, and none is lost", "[typed]") {
  Typed on;
  CHECK(on.increment("n1", "5").changed.value == "5");
  on.cluster.isolate("n3");
  on.cluster.wait_ms(1'500);
  CHECK(on.increment("n1", "10").changed.value == "15");
  CHECK(on.increment("n3", "100", "one").changed.value == "105");
  on.cluster.heal();
  on.cluster.wait_ms(3'000);
  for (const char* node : {"n1", "n2", "n3"}) CHECK(on.count(node, "one") == "115");
  for (const char* node : {"n1", "n2", "n3"}) CHECK(on.increment(node, "1", "all").status == Status::ok);
  CHECK(on.count("n2", "all") == "118");
}

TEST_CASE("an increment without an answer may be sent again, elsewhere, if it has a token", "[typed]") {
  Typed on;
  on.cluster.isolate("n1");
  on.cluster.wait_ms(1'500);
  CHECK(on.increment("n1", "5", "all", "t").status == Status::unavailable);
  CHECK(on.increment("n1", "5", "one", "t").changed.value == "5");
  CHECK(on.increment("n2", "5", "quorum", "t").changed.value == "5");
  on.cluster.heal();
  on.cluster.wait_ms(3'000);
  Response again = on.increment("n3", "5", "all", "t");
  CHECK(again.changed.repeated);
  CHECK(again.received == 3);
  for (const char* node : {"n1", "n2", "n3"}) CHECK(on.count(node, "one") == "5");
}

TEST_CASE("a node that is no owner forwards changes, and gives all of their answer", "[typed]") {
  Typed on(5);
  for (const char* node : {"n1", "n2", "n3", "n4", "n5"}) {
    Response added = on.add(node, {"shared", node});
    CHECK(added.status == Status::ok);
    CHECK(added.changed.added == (std::string(node) == "n1" ? 2 : 1));
  }
  CHECK(on.elements("n4") == Strings{"n1", "n2", "n3", "n4", "n5", "shared"});
  Response removed = on.change("n5", {{ChangeKind::remove, "n1", {}}, {ChangeKind::remove, "absent", {}}});
  CHECK(removed.changed.removed == 1);
  CHECK(on.increment("n2", "1").status == Status::wrong_type);
  Request request = on.cluster.make(Operation::change, "other", "quorum", false);
  request.changes = {{ChangeKind::increment, "t", "7"}};
  for (const char* node : {"n1", "n2", "n3", "n4", "n5"}) {
    Response response = on.cluster.ask(node, request);
    CHECK(response.changed.value == "7");
    CHECK(response.changed.repeated == (std::string(node) != "n1"));
  }
}

TEST_CASE("changes that come together with others are written once, and each sees those before it",
          "[typed]") {
  Typed on;
  Request request = on.cluster.make(Operation::change, "k", "all", false);
  request.changes = {{ChangeKind::increment, {}, "1"}};
  const uint64_t before = on.cluster.store("n1").written().value;
  std::vector<RequestId> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(on.cluster.begin("n1", request));
  for (int i = 0; i < 20; ++i) {
    Response response = on.cluster.end(ids[static_cast<size_t>(i)]);
    CHECK(response.status == Status::ok);
    CHECK(response.changed.value == std::to_string(i + 1));
  }
  CHECK(on.cluster.store("n1").written().value == before + 1);
}

TEST_CASE("a refused change writes nothing", "[typed]") {
  Typed on;
  on.add("n1", {"a"}, "all");
  on.cluster.wait_ms(1'000);
  const uint64_t before = on.cluster.store("n1").written().value;
  CHECK(on.increment("n1", "1").status == Status::wrong_type);
  CHECK(on.change("n1", {{ChangeKind::set_field, "f", "v"}}).status == Status::wrong_type);
  CHECK(on.cluster.store("n1").written().value == before);
}

TEST_CASE("elements that a replica was away for are removed there, and nothing is kept of them", "[typed]") {
  Typed on;
  on.add("n1", {"a", "b", "c"}, "all");
  on.cluster.isolate("n3");
  on.cluster.wait_ms(1'500);
  CHECK(on.change("n1", {{ChangeKind::remove, "a", {}}, {ChangeKind::remove, "b", {}}}).changed.removed == 2);
  CHECK(on.add("n3", {"b"}, "one").status == Status::ok);
  on.cluster.heal();
  on.cluster.wait_ms(5'000);
  for (const char* node : {"n1", "n2", "n3"}) CHECK(on.elements(node, "one") == Strings{"b", "c"});
  on.change("n2", {{ChangeKind::remove, "b", {}}, {ChangeKind::remove, "c", {}}});
  on.cluster.wait_ms(5'000);
  for (const char* node : {"n1", "n2", "n3"}) {
    CHECK(on.cluster.get(node, "k", "one").status == Status::not_found);
    for (const PartitionView& view : on.cluster.core(node).partitions(on.cluster.now())) {
      CHECK(view.objects == 0);
      CHECK(view.bytes == 0);
      CHECK(view.residual == 0);
    }
  }
}

TEST_CASE("a key of elements expires as a whole, on all nodes and for good", "[typed]") {
  Typed on;
  on.add("n1", {"a", "b"}, "all");
  CHECK(on.change("n2", {{ChangeKind::expire, {}, {}}}, "all", on.cluster.now().wall_ms + 3'000)
            .changed.added == 1);
  on.add("n3", {"c"}, "all");
  Response read = on.cluster.get("n1", "k");
  CHECK(read.object.versions.size() == 3);
  for (const Version& version : read.object.versions) CHECK(version.expires_ms != 0);
  on.cluster.wait_ms(10'000);
  for (const char* node : {"n1", "n2", "n3"}) {
    CHECK(on.cluster.get(node, "k", "one").status == Status::not_found);
    for (const PartitionView& view : on.cluster.core(node).partitions(on.cluster.now()))
      CHECK(view.objects == 0);
  }
}

TEST_CASE("what a life that is over has counted stays counted", "[typed]") {
  Typed on;
  on.increment("n1", "5", "all");
  on.cluster.crash("n1");
  on.cluster.wait_ms(3'000);
  CHECK(on.increment("n1", "2", "all").changed.value == "7");
  CHECK(on.increment("n1", "2", "all").changed.value == "9");
  CHECK(on.cluster.get("n2", "k").object.versions.size() == 2);
}

TEST_CASE("all elements may be added at once, and read back everywhere", "[typed]") {
  Typed on;
  Strings names;
  for (int i = 0; i < 10'000; ++i) names.push_back("element-" + std::to_string(i));
  CHECK(on.add("n1", names, "all").changed.added == 10'000);
  CHECK(on.add("n2", {"one more"}).status == Status::too_many_elements);
  std::sort(names.begin(), names.end());
  CHECK(on.elements("n3") == names);
}

}  // namespace

}  // namespace covey::typed_cluster_test
