// Whole-partition transfers: their pace, and what an interruption costs.
#include <catch2/catch.hpp>

#include "small_cluster.h"

namespace covey::repair_test {

namespace {

using namespace covey;
using covey::test::SmallCluster;
using Values = std::vector<std::string>;

constexpr size_t objects = 200;
constexpr size_t value_bytes = 1'000;

std::string key(size_t index) { return "key" + std::to_string(index); }

// Two nodes with one partition, of which n2 has lost its disk and is not connected yet.
SmallCluster with_empty_n2(const CoreOptions& options) {
  SmallCluster cluster(2, 2, 1, options);
  for (size_t i = 0; i < objects; ++i) {
    const Response written = cluster.put("n1", key(i), std::string(value_bytes, 'v'), {}, "all");
    REQUIRE(written.status == Status::ok);
  }
  cluster.wait_ms(5'000);  // until the logs are empty
  cluster.isolate("n2");
  cluster.store("n2") = MemoryStore();
  cluster.start("n2", {.life = 77'001, .fallback_life = 77'002, .fresh = true});
  return cluster;
}

bool filled(SmallCluster& cluster) {
  return cluster.core("n2").partition(cluster.now(), PartitionId{0}).ready;
}

uint64_t ms_until_filled(SmallCluster& cluster) {
  uint64_t ms = 0;
  for (; ms < 60'000 && !filled(cluster); ms += 10) cluster.wait_ms(10);
  return ms;
}

TEST_CASE("a transfer keeps to its pace, and without one takes no time", "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 10'000;
  options.transfer_bytes_per_second = 20'000;
  SmallCluster paced = with_empty_n2(options);
  paced.join("n1", "n2");
  const uint64_t ms = ms_until_filled(paced);
  const uint64_t least = objects * value_bytes * 1000 / options.transfer_bytes_per_second;
  CHECK(ms >= least * 9 / 10);
  CHECK(ms <= least * 3 / 2 + 3'000);
  CHECK(paced.core("n2").stats().repairs_started == 1);

  options.transfer_bytes_per_second = 0;
  SmallCluster unpaced = with_empty_n2(options);
  unpaced.join("n1", "n2");
  CHECK(ms_until_filled(unpaced) < 3'000);
}

// As for dots that one log no longer has, of which another owner's may know, it would wait for a second.
TEST_CASE("a node that has nothing begins to be filled at once, and goes from copy to copy", "[repair]") {
  constexpr uint32_t partitions = 16;
  SmallCluster cluster(2, 2, partitions);
  for (size_t i = 0; i < objects; ++i)
    REQUIRE(cluster.put("n1", key(i), "value", {}, "all").status == Status::ok);
  cluster.wait_ms(5'000);
  cluster.isolate("n2");
  cluster.store("n2") = MemoryStore();
  cluster.start("n2", {.life = 77'001, .fallback_life = 77'002, .fresh = true});
  cluster.join("n1", "n2");
  const auto all_ready = [&] {
    for (uint32_t id = 0; id < partitions; ++id)
      if (!cluster.core("n2").partition(cluster.now(), PartitionId{id}).ready) return false;
    return true;
  };
  uint64_t ms = 0;
  for (; ms < 10'000 && !all_ready(); ms += 10) cluster.wait_ms(10);
  CHECK(ms <= 500);
  CHECK(cluster.core("n2").stats().copies_filled == partitions);
}

TEST_CASE("a transfer waits for a chunk that is slow to come", "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 100'000;
  options.transfer_bytes_per_second = 10'000;  // ten seconds a chunk
  SmallCluster cluster = with_empty_n2(options);
  cluster.join("n1", "n2");
  CHECK(ms_until_filled(cluster) < 40'000);
  CHECK(cluster.core("n2").stats().repairs_started == 1);
}

TEST_CASE("a transfer that was interrupted goes on where it was, and misses nothing", "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 10'000;
  options.transfer_bytes_per_second = 20'000;
  SmallCluster cluster = with_empty_n2(options);
  cluster.join("n1", "n2");
  while (cluster.core("n2").stats().repair_objects_received < objects / 2) cluster.wait_ms(10);
  cluster.isolate("n2");
  // Meanwhile everything changes, also what has arrived.
  for (size_t i = 0; i < objects; i += 2) {
    Response read = cluster.get("n1", key(i), "one");
    Response changed = i % 4 == 0 ? cluster.erase("n1", key(i), read.context)
                                  : cluster.put("n1", key(i), "changed", read.context);
    REQUIRE(changed.status == Status::ok);
  }
  cluster.wait_ms(10'000);
  REQUIRE(!filled(cluster));
  cluster.join("n1", "n2");
  CHECK(ms_until_filled(cluster) < 60'000);
  CHECK(cluster.core("n2").stats().repairs_resumed == 1);
  CHECK(cluster.core("n1").stats().repair_objects_sent <= objects + 130);
  cluster.wait_ms(5'000);
  cluster.isolate("n2");
  for (size_t i = 0; i < objects; ++i) {
    const Values expected = i % 4 == 0   ? Values{}
                            : i % 2 == 0 ? Values{"changed"}
                                         : Values{std::string(value_bytes, 'v')};
    CHECK(cluster.values(cluster.get("n2", key(i), "one")) == expected);
  }
}

// One for which nothing has been written since is told as it is stored.
TEST_CASE("an empty copy is filled at once, without a log or contexts", "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 10'000;
  SmallCluster cluster = with_empty_n2(options);
  cluster.join("n1", "n2");
  ms_until_filled(cluster);
  const PartitionView ours = cluster.core("n1").partition(cluster.now(), PartitionId{0});
  const PartitionView view = cluster.core("n2").partition(cluster.now(), PartitionId{0});
  CHECK(cluster.core("n2").stats().copies_filled == 1);
  CHECK(view.log == 0);
  CHECK(view.residual == 0);
  CHECK(view.objects == objects);
  CHECK(view.state_hash == ours.state_hash);
  CHECK(view.bytes == ours.bytes);
  CHECK(view.clock == ours.clock);
}

TEST_CASE("a copy of which all has come waits for the store, and the next ones come meanwhile", "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 10'000;
  SmallCluster cluster(2, 2, 8, options);
  for (size_t i = 0; i < objects; ++i)
    REQUIRE(cluster.put("n1", key(i), std::string(value_bytes, 'v'), {}, "all").status == Status::ok);
  cluster.wait_ms(5'000);
  cluster.isolate("n2");
  cluster.store("n2") = MemoryStore();
  cluster.start("n2", {.life = 77'001, .fallback_life = 77'002, .fresh = true});
  cluster.wait_ms(1'000);
  cluster.store("n2").set_stalled(true);
  cluster.join("n1", "n2");
  cluster.wait_ms(20'000);  // longer than a session may be idle
  const CoreStats& stats = cluster.core("n2").stats();
  CHECK(stats.copies_filled == 0);
  CHECK(stats.repairs_started == 4);
  CHECK(stats.repair_objects_received < objects);
  CHECK(stats.repair_objects_received > objects / 4);
  REQUIRE(cluster.put("n2", key(0), "written meanwhile", {}, "one").status == Status::ok);
  cluster.store("n2").set_stalled(false);
  cluster.wait_ms(20'000);
  CHECK(stats.copies_filled == 8);
  CHECK(stats.repair_objects_received == objects);
  cluster.isolate("n2");
  for (size_t i = 1; i < objects; ++i)
    CHECK(cluster.values(cluster.get("n2", key(i), "one")) == Values{std::string(value_bytes, 'v')});
  const Values both = cluster.values(cluster.get("n2", key(0), "one"));
  CHECK(std::find(both.begin(), both.end(), "written meanwhile") != both.end());
}

TEST_CASE("who does not read records is sent items, and is filled by them", "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 10'000;
  SmallCluster cluster = with_empty_n2(options);
  int items = 0;
  int records = 0;
  cluster.changes = [&](peer::Envelope& message) {
    if (message.has_repair_open()) message.mutable_repair_open()->clear_records();
    if (!message.has_repair_chunk()) return;
    items += message.repair_chunk().items_size();
    records += message.repair_chunk().records().empty() ? 0 : 1;
  };
  cluster.join("n1", "n2");
  ms_until_filled(cluster);
  CHECK(items == objects);
  CHECK(records == 0);
  CHECK(cluster.core("n2").stats().copies_filled == 1);
  CHECK(cluster.core("n2").stats().repair_objects_received == objects);
  const PartitionView ours = cluster.core("n1").partition(cluster.now(), PartitionId{0});
  const PartitionView view = cluster.core("n2").partition(cluster.now(), PartitionId{0});
  CHECK(view.objects == objects);
  CHECK(view.state_hash == ours.state_hash);
  CHECK(view.bytes == ours.bytes);
}

TEST_CASE("records that are no objects end a transfer, and nothing of them is kept", "[repair]") {
  SmallCluster cluster = with_empty_n2({});
  cluster.changes = [](peer::Envelope& message) {
    if (message.has_repair_chunk() && !message.repair_chunk().records().empty())
      message.mutable_repair_chunk()->mutable_records()->pop_back();
  };
  cluster.join("n1", "n2");
  cluster.wait_ms(5'000);
  CHECK_FALSE(filled(cluster));
  CHECK(cluster.core("n2").stats().malformed_messages_dropped > 0);
  CHECK(cluster.core("n2").partition(cluster.now(), PartitionId{0}).objects == 0);
  cluster.changes = {};
  ms_until_filled(cluster);
  CHECK(cluster.core("n2").partition(cluster.now(), PartitionId{0}).objects == objects);
}

TEST_CASE("what is written while a copy is filled is neither lost nor brings back what it replaced",
          "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 10'000;
  options.transfer_bytes_per_second = 60'000;
  // With few exceptions allowed the same by merging one by one.
  options.filled_beside_max = GENERATE(50'000, 10);
  SmallCluster cluster = with_empty_n2(options);
  cluster.join("n1", "n2");
  std::vector<Values> expected(objects, Values{std::string(value_bytes, 'v')});
  const auto change = [&](const std::string& node, size_t i) {
    Response read = cluster.get("n1", key(i), "one");
    REQUIRE(read.status == Status::ok);
    const bool erased = i % 3 == 0;
    Response done = erased ? cluster.erase(node, key(i), read.context)
                           : cluster.put(node, key(i), "changed " + node, read.context);
    REQUIRE(done.status == Status::ok);
    expected[i] = erased ? Values{} : Values{"changed " + node};
  };
  size_t next = 0;
  for (; next < objects && !filled(cluster); next += 2) {
    change(next % 4 == 0 ? "n1" : "n2", next);
    cluster.wait_ms(40);
  }
  CHECK(next > 20);
  ms_until_filled(cluster);
  CHECK(cluster.core("n2").stats().copies_filled == (options.filled_beside_max > 10 ? 1 : 0));
  cluster.wait_ms(5'000);
  for (const char* node : {"n1", "n2"}) {
    const PartitionView view = cluster.core(node).partition(cluster.now(), PartitionId{0});
    CHECK(view.state_hash == cluster.core("n1").partition(cluster.now(), PartitionId{0}).state_hash);
    CHECK(view.residual == 0);
    CHECK(view.log == 0);
  }
  cluster.isolate("n2");
  for (size_t i = 0; i < objects; ++i) CHECK(cluster.values(cluster.get("n2", key(i), "one")) == expected[i]);
}

TEST_CASE("what expires in a copy that was filled at once expires there, too", "[repair]") {
  SmallCluster cluster(2, 2, 1);
  for (size_t i = 0; i < 10; ++i) {
    Request request = cluster.make(Operation::put, key(i), "all", false);
    request.value = "short";
    request.expires_ms = cluster.now().wall_ms + 60'000;
    REQUIRE(cluster.ask("n1", std::move(request)).status == Status::ok);
  }
  cluster.wait_ms(5'000);
  cluster.isolate("n2");
  cluster.store("n2") = MemoryStore();
  cluster.start("n2", {.life = 77'001, .fallback_life = 77'002, .fresh = true});
  cluster.join("n1", "n2");
  ms_until_filled(cluster);
  REQUIRE(cluster.core("n2").stats().copies_filled == 1);
  REQUIRE(cluster.core("n2").partition(cluster.now(), PartitionId{0}).objects == 10);
  cluster.isolate("n2");
  cluster.wait_ms(70'000);
  CHECK(cluster.core("n2").partition(cluster.now(), PartitionId{0}).objects == 0);
}

TEST_CASE("chunks are sent ahead, and no further than their limit", "[repair]") {
  CoreOptions options;
  options.message_bytes_max = 10'000;
  SmallCluster cluster = with_empty_n2(options);
  size_t chunks = 0;
  cluster.no_room = [&](const std::string&, const std::string&, const peer::Envelope& message) {
    chunks += message.has_repair_chunk();
    return message.has_repair_next();  // the asker is not heard any more
  };
  cluster.join("n1", "n2");
  cluster.wait_ms(2'000);
  CHECK(chunks > 1);
  CHECK(chunks <= 13);  // of 20
}

}  // namespace

}  // namespace covey::repair_test
