// What a group of failure detectors promises: the dead are known in time, the living are not taken for dead,
// and whoever comes back is taken back.
#include "replication/failure_detector.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/swim/swim_cluster.h"

namespace covey::failure_detector_test {

using namespace covey;
using covey::swim::Cluster;
using covey::swim::Counts;

namespace {

constexpr uint64_t second_us = 1'000'000;

NodeId node(size_t number) { return {"n" + std::to_string(number)}; }

peer::Detection news(const NodeId& about, Health health, uint64_t incarnation,
                     const std::vector<NodeId>& accusers = {}) {
  peer::Detection message;
  message.set_kind(static_cast<uint32_t>(DetectionKind::news));
  auto& told = *message.add_news();
  told.set_node(about.name);
  told.set_health(static_cast<uint32_t>(health));
  told.set_incarnation(incarnation);
  for (const NodeId& accuser : accusers) told.add_accusers(accuser.name);
  return message;
}

// One detector of a group of five whose others say what a test makes them say.
struct One {
  FailureDetector detector{node(1), {}, 1, 7};
  uint64_t now_us = second_us;
  One() {
    for (size_t i = 2; i <= 5; ++i) detector.add(now_us, node(i));
    detector.take_sends();
  }
  void hears(size_t from, const peer::Detection& message) { detector.receive(now_us, node(from), message); }
  // The messages of that time, all pings answered but those to `silent`.
  std::vector<FailureDetector::Send> wait(uint64_t us, std::optional<NodeId> silent = {}) {
    std::vector<FailureDetector::Send> out;
    for (const uint64_t end = now_us + us; now_us < end; now_us += 10'000) {
      detector.tick(now_us);
      for (auto& send : detector.take_sends()) {
        if (send.message.kind() == static_cast<uint32_t>(DetectionKind::ping) && send.to != silent) {
          peer::Detection ack;
          ack.set_kind(static_cast<uint32_t>(DetectionKind::ack));
          ack.set_sequence(send.message.sequence());
          detector.receive(now_us, send.to, ack);
        }
        out.push_back(std::move(send));
      }
    }
    return out;
  }
};

size_t count_kind(const std::vector<FailureDetector::Send>& sends, DetectionKind kind) {
  return static_cast<size_t>(std::count_if(sends.begin(), sends.end(), [&](const auto& send) {
    return send.message.kind() == static_cast<uint32_t>(kind);
  }));
}

uint64_t time_until_all_know(const swim::ClusterOptions& options, bool connections_break) {
  Cluster cluster(options);
  cluster.run_for(10 * second_us);
  const size_t victim = options.seed % options.nodes;
  const uint64_t began = cluster.now_us();
  cluster.kill(victim);
  if (connections_break) cluster.break_connections(victim);
  REQUIRE(cluster.run_until([&] { return cluster.all_hold(victim, Health::dead); }, 60 * second_us));
  return cluster.now_us() - began;
}

}  // namespace

TEST_CASE("a dead node is known to all of five within three seconds", "[detector]") {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    const uint64_t loss = seed % 2 == 0 ? 50'000 : 0;
    CHECK(time_until_all_know({.nodes = 5, .seed = seed, .loss_ppm = loss}, false) <= 3 * second_us);
    CHECK(time_until_all_know({.nodes = 5, .seed = seed, .loss_ppm = loss}, true) <= 2 * second_us);
  }
}

TEST_CASE("a dead node is known to all of 3, 15 and 100 in bounded time", "[detector]") {
  CHECK(time_until_all_know({.nodes = 3, .seed = 3}, false) <= 3 * second_us);
  CHECK(time_until_all_know({.nodes = 15, .seed = 3}, false) <= 4 * second_us);
  CHECK(time_until_all_know({.nodes = 100, .seed = 3}, false) <= 6 * second_us);
  CHECK(time_until_all_know({.nodes = 100, .seed = 4, .loss_ppm = 50'000}, false) <= 8 * second_us);
}

TEST_CASE("nobody is falsely dead in an hour of which five messages in a hundred are lost", "[detector]") {
  Cluster cluster({.nodes = 5, .seed = 11, .loss_ppm = 50'000});
  cluster.run_for(3600 * second_us);
  CHECK(cluster.counts.false_deaths == 0);
  CHECK(cluster.counts.healthy_suspicions > 0);  // else there was nothing to refute
  CHECK(cluster.run_until([&] { return cluster.all_alive_and_equal(); }, 60 * second_us));
}

TEST_CASE("few bytes flow while nothing happens", "[detector]") {
  Cluster cluster({.nodes = 3, .seed = 1});
  cluster.run_for(60 * second_us);
  const uint64_t before = cluster.counts.bytes;
  cluster.run_for(60 * second_us);
  CHECK((cluster.counts.bytes - before) / 60 / 3 < 150);  // a node and second
}

TEST_CASE("whoever comes back is alive again for all", "[detector]") {
  Cluster cluster({.nodes = 5, .seed = 5, .loss_ppm = 20'000});
  cluster.run_for(5 * second_us);
  SECTION("after a start") {
    cluster.kill(2);
    REQUIRE(cluster.run_until([&] { return cluster.all_hold(2, Health::dead); }, 10 * second_us));
    cluster.restart(2);
    CHECK(cluster.run_until([&] { return cluster.all_alive_and_equal(); }, 5 * second_us));
  }
  SECTION("after a pause longer than every timeout: by refutation, and without blaming the others") {
    cluster.hang(2, 20 * second_us);
    REQUIRE(cluster.run_until([&] { return cluster.all_hold(2, Health::dead); }, 10 * second_us));
    cluster.run_for(20 * second_us);
    const uint64_t deaths = cluster.detector(2).stats().deaths;
    CHECK(cluster.run_until([&] { return cluster.all_alive_and_equal(); }, 5 * second_us));
    CHECK(cluster.detector(2).stats().deaths == deaths);
    CHECK(cluster.detector(2).stats().refutations >= 1);
  }
  SECTION("after a partition, though no connection tells of its end") {
    cluster.cut({0, 1});
    REQUIRE(cluster.run_until([&] { return cluster.holding(0, Health::dead) == 3; }, 20 * second_us));
    cluster.run_for(20 * second_us);
    cluster.cut({});
    CHECK(cluster.run_until([&] { return cluster.all_alive_and_equal(); }, 60 * second_us));
  }
}

TEST_CASE("slow members are told apart from their healthy accusers", "[detector]") {
  auto run = [](bool lifeguard) {
    Cluster cluster({.nodes = 40, .seed = 9, .detector = {.lifeguard = lifeguard}});
    for (size_t i = 0; i < 4; ++i) cluster.set_slow(i * 10, {.deaf_us = 3 * second_us, .hears_us = 10'000});
    cluster.run_for(120 * second_us);
    UNSCOPED_INFO("healthy suspected " << cluster.counts.healthy_suspicions << ", dead "
                                       << cluster.counts.healthy_deaths);
    return cluster.counts;
  };
  const Counts with = run(true), without = run(false);
  CHECK(without.healthy_deaths > 100);
  CHECK(with.healthy_deaths * 50 <= without.healthy_deaths);
}

TEST_CASE("a suspicion is refuted by a higher incarnation and by nothing else", "[detector]") {
  One one;
  one.hears(2, news(node(3), Health::alive, 4));
  one.hears(2, news(node(3), Health::suspected, 4, {node(2)}));
  CHECK(one.detector.of(node(3)).health == Health::suspected);
  one.hears(3, news(node(3), Health::alive, 4));
  CHECK(one.detector.of(node(3)).health == Health::suspected);
  one.hears(4, news(node(3), Health::suspected, 3, {node(4)}));
  one.hears(3, news(node(3), Health::alive, 5));
  CHECK(one.detector.of(node(3)).health == Health::alive);
  one.hears(2, news(node(3), Health::dead, 4));
  CHECK(one.detector.of(node(3)).health == Health::alive);
  one.hears(2, news(node(3), Health::dead, 5));
  CHECK(one.detector.of(node(3)).health == Health::dead);
  one.hears(2, news(node(3), Health::suspected, 5, {node(2)}));
  CHECK(one.detector.of(node(3)).health == Health::dead);
}

TEST_CASE("who is accused raises its incarnation and says so", "[detector]") {
  One one;
  one.hears(2, news(node(1), Health::suspected, 1, {node(2)}));
  CHECK(one.detector.incarnation() == 2);
  CHECK(one.detector.local_health() == 1);
  bool told = false;
  for (const auto& send : one.wait(20'000)) {
    for (const auto& item : send.message.news())
      told = told || (item.node() == "n1" && item.incarnation() == 2 && item.health() == 0);
  }
  CHECK(told);
  one.hears(2, news(node(1), Health::dead, 1));  // of the past
  CHECK(one.detector.incarnation() == 2);
  one.hears(2, news(node(1), Health::alive, 9));  // remembered from an earlier start
  CHECK(one.detector.incarnation() == 9);
}

TEST_CASE("others are asked before a node is suspected, and their answer counts", "[detector]") {
  One one;
  auto sends = one.wait(2 * second_us, node(4));
  CHECK(count_kind(sends, DetectionKind::ask) >= 3);
  CHECK(one.detector.of(node(4)).health == Health::suspected);
  CHECK(one.detector.of(node(2)).health == Health::alive);

  One other;
  for (uint64_t i = 0; i < 200; ++i) {
    for (const auto& send : other.wait(10'000, node(4))) {
      if (send.message.kind() != static_cast<uint32_t>(DetectionKind::ask)) continue;
      peer::Detection ack;
      ack.set_kind(static_cast<uint32_t>(DetectionKind::ack));
      ack.set_sequence(send.message.sequence());
      other.hears(2, ack);
    }
  }
  CHECK(other.detector.of(node(4)).health == Health::alive);
}

TEST_CASE("whoever pings for another tells what came of it", "[detector]") {
  One one;
  peer::Detection ask;
  ask.set_kind(static_cast<uint32_t>(DetectionKind::ask));
  ask.set_sequence(77);
  ask.set_subject("n3");
  one.hears(2, ask);
  auto sends = one.detector.take_sends();
  REQUIRE(sends.size() == 1);
  CHECK(sends[0].to == node(3));
  peer::Detection ack;
  ack.set_kind(static_cast<uint32_t>(DetectionKind::ack));
  SECTION("an ack") {
    ack.set_sequence(sends[0].message.sequence());
    one.hears(3, ack);
    sends = one.detector.take_sends();
    REQUIRE(sends.size() == 1);
    CHECK(sends[0].to == node(2));
    CHECK(sends[0].message.kind() == static_cast<uint32_t>(DetectionKind::ack));
    CHECK(sends[0].message.sequence() == 77);
  }
  SECTION("a nack, if none came in time") {
    sends = one.wait(200'000, node(3));
    CHECK(count_kind(sends, DetectionKind::nack) == 1);
  }
}

TEST_CASE("a suspicion's time falls with each confirmation, from the most to the least", "[detector]") {
  const SuspicionTimes times;
  for (size_t members : {2, 3, 5, 10, 100, 1000}) {
    uint64_t last = UINT64_MAX;
    for (size_t confirmations = 0; confirmations <= 5; ++confirmations) {
      const uint64_t time = suspicion_us(times, members, confirmations);
      CHECK(time <= last);
      last = time;
    }
    CHECK(last == suspicion_us(times, members, confirmations_wanted(members)));
    CHECK(last >= times.least_intervals * times.probe_interval_us);
  }
  CHECK(suspicion_us(times, 5, 0) == 6 * suspicion_us(times, 5, 3));
  CHECK(suspicion_us(times, 1000, 3) == 3 * suspicion_us(times, 5, 3));
}

TEST_CASE("what is known does not depend on the order in which it came", "[detector]") {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    std::vector<peer::Detection> told;
    for (int i = 0; i < 12; ++i) {
      const auto health = static_cast<Health>(random.below(healths));
      std::vector<NodeId> accusers;
      if (health == Health::suspected) accusers.push_back(node(2 + random.below(4)));
      told.push_back(news(node(2 + random.below(4)), health, random.below(4), accusers));
    }
    One one, other;
    for (const auto& message : told) one.hears(2, message);
    for (size_t i = told.size(); i > 1; --i) std::swap(told[i - 1], told[random.below(i)]);
    for (const auto& message : told) {
      other.hears(3, message);
      other.hears(4, message);
    }
    INFO("seed " << seed);
    CHECK(one.detector.states_hash() == other.detector.states_hash());
  }
}

TEST_CASE("messages of any content keep every list bounded", "[detector]") {
  Random random(3);
  One one;
  for (int i = 0; i < 20'000; ++i) {
    peer::Detection message;
    message.set_kind(static_cast<uint32_t>(random.below(10)));
    message.set_sequence(static_cast<uint32_t>(random.next()));
    message.set_subject(node(random.below(8)).name);
    message.set_states_hash(random.next());
    message.set_answer_wanted(random.below(2) == 0);
    for (uint64_t k = random.below(4); k > 0; --k) {
      auto& item = *message.add_news();
      item.set_node(node(random.below(8)).name);
      item.set_health(static_cast<uint32_t>(random.below(5)));
      item.set_incarnation(random.below(10) == 0 ? random.next() : random.below(1000));
      for (uint64_t a = random.below(9); a > 0; --a) item.add_accusers(node(random.below(50)).name);
    }
    one.hears(1 + random.below(7), message);
    if (random.below(4) == 0) one.detector.tick(one.now_us += 10'000);
    for (const auto& send : one.detector.take_sends()) {
      CHECK(send.message.news_size() <= 5);
      for (const auto& item : send.message.news())
        CHECK(item.accusers_size() <= static_cast<int>(confirmations_max) + 1);
    }
  }
  CHECK(one.detector.members() == 5);
  CHECK(one.detector.stats().malformed > 0);
  CHECK(one.detector.incarnation() < FailureDetector::incarnation_max);
}

TEST_CASE("a group may change while it is watched", "[detector]") {
  One one;
  one.hears(2, news(node(9), Health::dead, 4));  // not of the group
  one.detector.add(one.now_us, node(9));
  CHECK(one.detector.of(node(9)).health == Health::alive);
  one.hears(2, news(node(9), Health::dead, 4));
  CHECK(one.detector.of(node(9)).health == Health::dead);
  one.detector.remove(node(9));
  CHECK(one.detector.members() == 5);
  one.wait(5 * second_us);
  one.detector.add(one.now_us, node(9));
  const auto sends = one.wait(3 * second_us);
  CHECK(std::any_of(sends.begin(), sends.end(), [](const auto& send) { return send.to == node(9); }));
}

TEST_CASE("who is not of the group is answered, and heard only about this node", "[detector]") {
  One one;
  peer::Detection ping = news(node(3), Health::dead, 9);
  ping.set_kind(static_cast<uint32_t>(DetectionKind::ping));
  ping.set_sequence(55);
  one.hears(9, ping);
  auto sends = one.detector.take_sends();
  REQUIRE(sends.size() == 1);
  CHECK(sends[0].to == node(9));
  CHECK(sends[0].message.kind() == static_cast<uint32_t>(DetectionKind::ack));
  CHECK(sends[0].message.sequence() == 55);
  CHECK(one.detector.of(node(3)).health == Health::alive);

  one.hears(9, news(node(1), Health::dead, one.detector.incarnation()));
  CHECK(one.detector.incarnation() == 2);
  CHECK(one.detector.members() == 5);

  peer::Detection ask;
  ask.set_kind(static_cast<uint32_t>(DetectionKind::ask));
  ask.set_subject("n3");
  one.hears(9, ask);
  CHECK(count_kind(one.detector.take_sends(), DetectionKind::ping) == 0);
}

TEST_CASE("two that take each other for dead, and have refuted it unheard, find out", "[detector]") {
  std::vector<FailureDetector> pair;
  for (size_t i = 1; i <= 2; ++i) pair.emplace_back(node(i), DetectorOptions{}, 1, 40 + i);
  uint64_t now_us = second_us;
  for (size_t i = 0; i < 2; ++i) {
    pair[i].add(now_us, node(2 - i));
    pair[i].receive(now_us, node(2 - i), news(node(i + 1), Health::suspected, 2));  // raises its own to 3
    CHECK(pair[i].incarnation() == 3);
  }
  auto run = [&](uint64_t us, bool connected) {
    for (const uint64_t end = now_us + us; now_us < end; now_us += 10'000) {
      for (size_t i = 0; i < 2; ++i) {
        pair[i].tick(now_us);
        for (auto& send : pair[i].take_sends()) {
          if (connected) pair[1 - i].receive(now_us, node(i + 1), send.message);
        }
      }
    }
  };
  run(30 * second_us, false);
  for (size_t i = 0; i < 2; ++i) CHECK(pair[i].of(node(2 - i)).health == Health::dead);
  run(10 * second_us, true);
  for (size_t i = 0; i < 2; ++i) CHECK(pair[i].of(node(2 - i)).health == Health::alive);
}

}  // namespace covey::failure_detector_test
