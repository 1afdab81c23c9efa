// Wall clocks that are wrong: what is told, and what a node with such a clock must not delete.
#include "replication/wall_clocks.h"

#include <catch2/catch.hpp>

#include "small_cluster.h"

namespace covey::wall_clocks_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;

constexpr int64_t minute_ms = 60'000;
constexpr int64_t hour_ms = 60 * minute_ms;
constexpr int64_t month_ms = 30 * 24 * hour_ms;
constexpr uint64_t some_time_ms = 1'700'000'000'000;

Now at(uint64_t second, int64_t wall_ahead_ms = 0) {
  return {second * 1'000'000, some_time_ms + second * 1000 + static_cast<uint64_t>(wall_ahead_ms)};
}

TEST_CASE("how far another clock is ahead is known until the next word, also when one's own jumps",
          "[clocks]") {
  WallClocks clocks;
  CHECK_FALSE(clocks.ahead_ms(at(1), NodeId{"b"}));
  CHECK_FALSE(clocks.told(at(1), NodeId{"b"}, at(1).wall_ms + 500));
  CHECK(*clocks.ahead_ms(at(1), NodeId{"b"}) == 500);
  CHECK(*clocks.ahead_ms(at(9), NodeId{"b"}) == 500);
  CHECK(*clocks.ahead_ms(at(9, month_ms), NodeId{"b"}) == 500 - month_ms);
  CHECK_FALSE(clocks.told(at(10), NodeId{"b"}, 0));  // of a version that does not tell
  CHECK_FALSE(clocks.told(at(10), NodeId{"b"}, UINT64_MAX));
  CHECK(*clocks.ahead_ms(at(10), NodeId{"b"}) == 500);
}

TEST_CASE("a clock that is wrong for a while is told, and again ten minutes later", "[clocks]") {
  WallClocks clocks;
  const auto alarms = [&](int64_t ahead_ms, uint64_t from, uint64_t to) {
    std::vector<std::string> out;
    for (uint64_t second = from; second < to; ++second) {
      if (auto alarm = clocks.told(at(second), NodeId{"b"}, at(second, ahead_ms).wall_ms))
        out.push_back(*alarm);
    }
    return out;
  };
  CHECK(alarms(minute_ms, 1, 1'000).empty());
  CHECK(alarms(month_ms, 1'000, 1'005).empty());
  CHECK(alarms(0, 1'005, 1'006).empty());
  const auto ahead = alarms(month_ms, 1'006, 1'206);
  REQUIRE(ahead.size() == 1);
  CHECK_THAT(ahead[0], Catch::Contains("b is 30 days ahead of this node's"));
  CHECK(alarms(month_ms, 1'206, 1'806).size() == 1);
  CHECK(alarms(0, 1'806, 1'807).empty());
  CHECK_THAT(alarms(-3 * hour_ms, 1'807, 1'820).at(0), Catch::Contains("b is 3 hours behind this node's"));
}

TEST_CASE("whose clock is wrong is known from most clocks, and of two the later one is", "[clocks]") {
  const std::map<NodeId, int> two = {{NodeId{"a"}, 0}, {NodeId{"b"}, 0}};
  const std::map<NodeId, int> three = {{NodeId{"a"}, 0}, {NodeId{"b"}, 0}, {NodeId{"c"}, 0}};
  const auto wrong = [&](const auto& members, std::vector<int64_t> ahead_ms) {
    WallClocks clocks;
    (void)clocks.told(at(1), NodeId{"b"}, at(1, ahead_ms[0]).wall_ms);
    if (ahead_ms.size() > 1) (void)clocks.told(at(1), NodeId{"c"}, at(1, ahead_ms[1]).wall_ms);
    std::string out;
    for (const NodeId& node : clocks.wrong(at(1), NodeId{"a"}, members)) out += node.name;
    return out;
  };
  CHECK(wrong(two, {0}).empty());
  CHECK(wrong(two, {month_ms}) == "b");
  CHECK(wrong(two, {-month_ms}) == "a");
  CHECK(wrong(three, {month_ms, 0}) == "b");
  CHECK(wrong(three, {-month_ms, 0}) == "b");
  CHECK(wrong(three, {-month_ms, -month_ms}) == "a");
  CHECK(wrong(three, {month_ms, month_ms}) == "a");
  CHECK(wrong(three, {month_ms, -month_ms}) == "bc");
  CHECK(wrong(three, {minute_ms, minute_ms}).empty());
  CHECK(wrong(three, {-month_ms}) == "a");  // of two that have told
}

TEST_CASE("a node whose clock is a month wrong leaves it to others what has expired, and they tell of it",
          "[clocks]") {
  const std::string wrong = GENERATE("n1", "n2", "n3");
  const bool restarted = GENERATE(false, true);
  const bool ahead = GENERATE(false, true);
  SmallCluster cluster(3);
  const auto put = [&](const std::string& key, int64_t ttl_ms) {
    Request request = cluster.make(Operation::put, key, "all", false);
    request.value = "value";
    request.expires_ms = cluster.now().wall_ms + static_cast<uint64_t>(ttl_ms);
    REQUIRE(cluster.ask("n1", std::move(request)).status == Status::ok);
  };
  for (int i = 0; i < 20; ++i) put("long" + std::to_string(i), 5 * minute_ms);
  for (int i = 0; i < 20; ++i) put("short" + std::to_string(i), 20'000);
  const auto objects = [&](const std::string& node) {
    uint64_t sum = 0;
    for (const PartitionView& view : cluster.core(node).partitions(cluster.now(node))) sum += view.objects;
    return sum;
  };
  cluster.clocks_ahead_ms[wrong] = ahead ? month_ms : -month_ms;
  if (restarted) cluster.crash(wrong);
  cluster.wait_ms(10'000);
  for (const char* node : {"n1", "n2", "n3"}) CHECK(objects(node) == 40);
  cluster.wait_ms(20'000);  // others delete what has expired
  for (const char* node : {"n1", "n2", "n3"}) CHECK(objects(node) == 20);
  int told = 0;
  for (const std::string& alarm : cluster.alarms) {
    told += alarm.find("the clock of " + wrong + " is 30 days") != std::string::npos ? 1 : 0;
  }
  CAPTURE(wrong, restarted, ahead, cluster.alarms);
  CHECK(told == 2);
  cluster.clocks_ahead_ms.clear();
  cluster.wait_ms(300'000);
  for (const char* node : {"n1", "n2", "n3"}) CHECK(objects(node) == 0);
}

TEST_CASE(
    "a clock that was ahead and is right again gives right times, and to what replaces a value a later one",
    "[clocks]") {
  SmallCluster cluster(3);
  const auto time_of = [&](const std::string& key) {
    const Response read = cluster.get("n1", key, "all");
    REQUIRE(read.object.versions.size() == 1);
    return read.object.versions[0].time;
  };
  const auto put = [&](const std::string& key, std::optional<Context> context) {
    REQUIRE(cluster.put("n1", key, "value", std::move(context), "all").status == Status::ok);
  };
  cluster.clocks_ahead_ms["n1"] = month_ms;
  put("then", {});
  const Hlc then = time_of("then");
  CHECK(then.ms() >= cluster.now().wall_ms + static_cast<uint64_t>(month_ms) - 10'000);
  cluster.clocks_ahead_ms.clear();
  put("now", {});
  CHECK(time_of("now").ms() <= cluster.now().wall_ms + 1);
  put("then", cluster.get("n1", "then", "all").context);
  CHECK(time_of("then") > then);
  put("later", {});
  CHECK(time_of("later").ms() <= cluster.now().wall_ms + 1);
}

TEST_CASE("the clock of a node that was removed is not kept, though it goes on telling it", "[clocks]") {
  SmallCluster cluster(4);
  const auto is_told = [&](const std::string& name) {
    for (const MemberView& view : cluster.core("n1").members(cluster.now())) {
      if (view.member.node.name == name) return view.clock_ahead_ms.has_value();
    }
    return false;
  };
  cluster.wait_ms(2'000);
  REQUIRE(is_told("n4"));
  Member gone = *cluster.core("n1").find_member(NodeId{"n4"});
  gone.standing = Standing::removed;
  REQUIRE(cluster.core("n1").decide(cluster.now(), gone));
  CHECK_FALSE(is_told("n4"));
  cluster.wait_ms(2'000);
  CHECK_FALSE(is_told("n4"));
  CHECK(is_told("n2"));
}

}  // namespace

}  // namespace covey::wall_clocks_test
