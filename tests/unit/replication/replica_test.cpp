#include "replication/replica.h"

#include <catch2/catch.hpp>

#include "storage/memory_store.h"

namespace covey {
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

TEST_CASE("a context is stripped though the disk failed when its clock moved", "[replica]") {
  MemoryStore store;
  CoreStats stats;
  CoreOptions options;
  Replica replica(options, store, stats);
  Partition& partition = replica.at(PartitionId{0});
  {
    Replica::Edit edit(replica, partition, {});
    REQUIRE(edit.read(key));
    edit.put(key, write_that_saw_the_first(), {});
    REQUIRE(edit.commit());
  }
  REQUIRE(partition.residual == 1);
  {
    Replica::Edit edit(replica, partition, {});
    edit.join_clock(DotSet{{actor, {1}}});
    REQUIRE(edit.commit());
  }
  store.fail_next_write(StoreError{StoreError::Kind::io, "the disk fails"});
  CHECK_FALSE(replica.strip_residual(partition, 10));
  CHECK(replica.strip_residual(partition, 10));
  CHECK(partition.residual == 0);
}

}  // namespace
}  // namespace covey
