#include "replication/replica.h"

#include <catch2/catch.hpp>

#include "replication/codec.h"
#include "storage/memory_store.h"

namespace covey::replica_test {
namespace {

const Actor actor{0x1111};
const TableKey key{"default", "k"};

// A version whose write has seen the actor's first dot, which this replica has not got yet.
Object write_that_saw_the_first() {
  Object object;
  Version version;
  version.dot = {actor, {2}};
  version.value = "v";
  object.versions.push_back(version);
  object.context.add(actor, {1, 2});
  return object;
}

// A partition that holds one object with a context, and since then what that context speaks of.
struct WithContext {
  MemoryStore store;
  CoreStats stats;
  CoreOptions options;
  Replica replica{options, store, stats};
  Partition& partition = replica.at(PartitionId{0});

  WithContext() {
    Replica::Edit write(replica, partition, {});
    REQUIRE(write.read(key));
    write.put(key, write_that_saw_the_first(), {});
    REQUIRE(write.commit());
    REQUIRE(partition.residual == 1);
    Replica::Edit first(replica, partition, {});
    first.join_clock(DotSet{{actor, {1}}});
    REQUIRE(first.commit());
  }
};

TEST_CASE("a context is stripped though the disk failed when its clock moved", "[replica]") {
  WithContext with;
  const Now later{.tick_us = strip_interval_us};
  with.store.fail_next_write(StoreError{StoreError::Kind::io, "the disk fails"});
  CHECK_FALSE(with.replica.strip_residual(later, with.partition, 10));
  CHECK(with.replica.strip_residual(later, with.partition, 10));
  CHECK(with.partition.residual == 0);
}

TEST_CASE("while writes come contexts are left for a while to the next write of their key", "[replica]") {
  WithContext with;
  uint64_t stripped_us = 0;
  SECTION("no more come") {
    for (uint64_t us = 0; with.partition.residual == 1 && us < 2 * strip_interval_us; us += 100'000) {
      with.replica.observe({.tick_us = us}, with.partition);
      CHECK(with.replica.strip_residual({.tick_us = us}, with.partition, 10));
      stripped_us = us;
    }
    CHECK(stripped_us >= with.options.gossip_interval_us);
    CHECK(stripped_us < strip_interval_us / 2);
  }
  SECTION("they come") {
    uint64_t counter = 2;
    for (uint64_t us = 0; with.partition.residual == 1 && us < 2 * strip_interval_us; us += 100'000) {
      Replica::Edit edit(with.replica, with.partition, {});
      edit.join_clock(DotSet{{actor, {++counter}}});
      REQUIRE(edit.commit());
      with.replica.observe({.tick_us = us}, with.partition);
      CHECK(with.replica.strip_residual({.tick_us = us}, with.partition, 10));
      stripped_us = us;
    }
    CHECK(stripped_us == strip_interval_us);
  }
  CHECK(with.partition.residual == 0);
}

TEST_CASE(
    "the bytes of a partition are those of its keys and values, also where an earlier format did not count "
    "them",
    "[replica]") {
  MemoryStore store;
  CoreStats stats;
  CoreOptions options;
  const PartitionId id{0};
  uint64_t expected = 0;
  Replica replica(options, store, stats);
  auto put = [&](const std::string& name, const std::string& value) {
    Replica::Edit edit(replica, replica.at(id), {});
    auto object = edit.read({"default", name});
    REQUIRE(object);
    object->versions.clear();
    const Dot dot = edit.mint(actor);
    if (!value.empty()) object->versions.push_back({dot, {}, 0, "", value});
    object->context.add(dot);
    edit.put({"default", name}, *object, DotSet{dot});
    REQUIRE(edit.commit());
  };
  for (int i = 0; i < 20; ++i) {
    put("key" + std::to_string(i), std::string(static_cast<size_t>(i) + 1, 'v'));
    expected += std::string("defaultkey").size() + std::to_string(i).size() + static_cast<size_t>(i) + 1;
  }
  CHECK(replica.at(id).bytes == expected);
  put("key3", std::string(100, 'w'));
  put("key4", "");  // a delete
  expected += 100 - 4;
  expected -= std::string("defaultkey4").size() + 5;
  CHECK(replica.at(id).bytes == expected);

  // As format 1 wrote it: without the last number.
  std::string record = encode_partition(replica.at(id));
  const std::string as_told = record;
  record[0] = 1;
  for (uint64_t rest = expected; rest > 0; rest >>= 7) record.pop_back();
  StoreBatch batch;
  batch.put(Column::partitions, partition_key(id), record);
  REQUIRE(store.write(batch));
  Replica again(options, store, stats);
  REQUIRE(again.load());
  CHECK(again.at(id).bytes == expected);
  CHECK(encode_partition(again.at(id)) == as_told);
}

}  // namespace
}  // namespace covey::replica_test
