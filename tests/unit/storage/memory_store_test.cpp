// What the simulator asks of the in-memory store beyond the contract.
#include "storage/memory_store.h"

#include <catch2/catch.hpp>

namespace covey::memory_store_test {
namespace {

bool has(MemoryStore& store, const std::string& key) {
  auto found = store.get(Column::objects, key);
  REQUIRE(found);
  return found->has_value();
}

Lsn put(MemoryStore& store, const std::string& key, const std::string& value = "value") {
  StoreBatch batch;
  batch.put(Column::objects, key, value);
  auto written = store.write(batch);
  REQUIRE(written);
  return *written;
}

}  // namespace

TEST_CASE("a crash loses exactly what was not synced", "[storage]") {
  MemoryStore store;
  put(store, "synced", "old");
  store.sync();
  put(store, "synced", "new");
  put(store, "lost");
  StoreBatch batch;
  batch.erase(Column::objects, "synced");
  batch.put(Column::objects, "lost", "again");
  REQUIRE(store.write(batch));
  store.crash();
  CHECK(**store.get(Column::objects, "synced") == "old");
  CHECK_FALSE(has(store, "lost"));
  CHECK(store.durable() == store.written());
  CHECK(put(store, "next") == Lsn{2});
}

TEST_CASE("a crash may keep the oldest of the unsynced writes", "[storage]") {
  MemoryStore store;
  put(store, "a");
  put(store, "b");
  put(store, "c");
  store.crash(2);
  CHECK(has(store, "a"));
  CHECK(has(store, "b"));
  CHECK_FALSE(has(store, "c"));
  store.crash();
  CHECK(has(store, "b"));
}

TEST_CASE("a sync that began before a write does not make it durable", "[storage]") {
  MemoryStore store;
  const Lsn first = put(store, "a");
  put(store, "b");
  store.sync_to(first);
  CHECK(store.durable() == first);
  store.crash();
  CHECK(has(store, "a"));
  CHECK_FALSE(has(store, "b"));
}

TEST_CASE("while the disk stalls nothing becomes durable", "[storage]") {
  MemoryStore store;
  put(store, "a");
  store.set_stalled(true);
  store.sync();
  CHECK(store.durable() == Lsn{0});
  store.set_stalled(false);
  store.sync();
  CHECK(store.durable() == Lsn{1});
}

TEST_CASE("without durability a write counts at once and is lost all the same", "[storage]") {
  MemoryStore store(Durability::none);
  put(store, "a");
  CHECK(store.durable() == Lsn{1});
  store.crash();
  CHECK_FALSE(has(store, "a"));
}

TEST_CASE("a write that fails changes nothing, and the next one goes on", "[storage]") {
  MemoryStore store;
  store.fail_next_write(StoreError{StoreError::Kind::io, "simulated"});
  StoreBatch batch;
  batch.put(Column::objects, "a", "1");
  auto failed = store.write(batch);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == StoreError::Kind::io);
  CHECK_FALSE(has(store, "a"));
  CHECK(*store.write(batch) == Lsn{1});
}

TEST_CASE("a full disk refuses writes, answers reads and goes on when there is space", "[storage]") {
  MemoryStore store;
  put(store, "a");
  store.set_full(true);
  StoreBatch batch;
  batch.erase(Column::objects, "a");
  CHECK(store.write(batch).error().kind == StoreError::Kind::full);
  CHECK(has(store, "a"));
  store.set_full(false);
  REQUIRE(store.write(batch));
  CHECK_FALSE(has(store, "a"));
}

TEST_CASE("damaged bytes are an error for reads and walks until they are written again", "[storage]") {
  MemoryStore store;
  for (const char* key : {"a", "b", "c"}) put(store, key);
  store.damage(Column::objects, "b");
  CHECK(store.get(Column::objects, "b").error().kind == StoreError::Kind::corruption);
  auto cursor = store.cursor(Column::objects, "", "");
  REQUIRE(cursor->valid());
  CHECK(cursor->key() == "a");
  cursor->next();
  CHECK_FALSE(cursor->valid());
  REQUIRE(cursor->error());
  CHECK(cursor->error()->kind == StoreError::Kind::corruption);
  put(store, "b", "new");
  CHECK(**store.get(Column::objects, "b") == "new");
}

TEST_CASE("a cloned disk goes its own way", "[storage]") {
  MemoryStore store;
  put(store, "synced");
  store.sync();
  put(store, "unsynced");
  auto copy = store.clone();
  put(store, "later");
  CHECK(has(*copy, "unsynced"));
  CHECK_FALSE(has(*copy, "later"));
  copy->crash();
  CHECK(has(*copy, "synced"));
  CHECK_FALSE(has(*copy, "unsynced"));
  CHECK(has(store, "unsynced"));
}

}  // namespace covey::memory_store_test
