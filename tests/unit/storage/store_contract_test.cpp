// What every Store promises, put to each of them.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <memory>

#include "replication/codec.h"
#include "storage/memory_store.h"
#include "storage/rocks_database.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::store_contract_test {
namespace {

struct MemoryFixture {
  MemoryStore memory;
  Store& store = memory;
  void make_durable() { memory.sync(); }
  void to_disk() {}
};

struct RocksFixture {
  test::TemporaryDirectory directory;
  std::unique_ptr<Database> database = make();
  std::unique_ptr<Store> owned = database->shard();
  Store& store = *owned;

  std::unique_ptr<Database> make() {
    auto opened =
        Database::open({.path = directory.sub("db"), .load_memory_bytes = 1024, .deterministic = true});
    REQUIRE(opened);
    return std::move(*opened);
  }
  void make_durable() { REQUIRE(database->sync()); }
  void to_disk() { REQUIRE(database->flush()); }  // reads then come from tables instead of memory
};

std::string get(Store& store, Column column, std::string_view key) {
  auto found = store.get(column, key);
  REQUIRE(found);
  return *found ? **found : std::string("<none>");
}

Lsn put(Store& store, Column column, std::string key, std::string value) {
  StoreBatch batch;
  batch.put(column, std::move(key), std::move(value));
  auto written = store.write(batch);
  REQUIRE(written);
  return *written;
}

Lsn erase(Store& store, Column column, std::string key) {
  StoreBatch batch;
  batch.erase(column, std::move(key));
  auto written = store.write(batch);
  REQUIRE(written);
  return *written;
}

std::string walk(Store& store, Column column, std::string_view lower, std::string_view upper,
                 const StoreSnapshot* snapshot = nullptr) {
  std::string seen;
  auto cursor = store.cursor(column, lower, upper, snapshot);
  for (; cursor->valid(); cursor->next())
    seen += std::string(cursor->key()) + "=" + std::string(cursor->value()) + " ";
  REQUIRE_FALSE(cursor->error());
  return seen;
}

}  // namespace

TEMPLATE_TEST_CASE("what was written is read, and what was erased is gone", "[storage]", MemoryFixture,
                   RocksFixture) {
  TestType fixture;
  Store& store = fixture.store;
  CHECK(get(store, Column::objects, "key") == "<none>");
  put(store, Column::objects, "key", "value");
  CHECK(get(store, Column::objects, "key") == "value");
  fixture.to_disk();
  CHECK(get(store, Column::objects, "key") == "value");
  erase(store, Column::objects, "key");
  CHECK(get(store, Column::objects, "key") == "<none>");
  fixture.to_disk();
  CHECK(get(store, Column::objects, "key") == "<none>");
  erase(store, Column::objects, "never written");
}

TEMPLATE_TEST_CASE("columns do not see each other's keys", "[storage]", MemoryFixture, RocksFixture) {
  TestType fixture;
  for (int i = 0; i < column_count; ++i)
    put(fixture.store, static_cast<Column>(i), "same key", "value " + std::to_string(i));
  for (int i = 0; i < column_count; ++i)
    CHECK(get(fixture.store, static_cast<Column>(i), "same key") == "value " + std::to_string(i));
}

TEMPLATE_TEST_CASE("of two changes of a key in one batch the last stands", "[storage]", MemoryFixture,
                   RocksFixture) {
  TestType fixture;
  StoreBatch batch;
  batch.put(Column::dots, "a", "1");
  batch.erase(Column::dots, "a");
  batch.erase(Column::dots, "b");
  batch.put(Column::dots, "b", "1");
  batch.put(Column::dots, "b", "2");
  REQUIRE(fixture.store.write(batch));
  CHECK(get(fixture.store, Column::dots, "a") == "<none>");
  CHECK(get(fixture.store, Column::dots, "b") == "2");
}

TEMPLATE_TEST_CASE("a load and the batch above it are written as one, or not at all", "[storage]",
                   MemoryFixture, RocksFixture) {
  TestType fixture;
  Store& store = fixture.store;
  const int count = GENERATE(0, 3, 500);  // more than RocksDB's keeps in memory
  const auto key = [](int i) { return "k" + std::to_string(1'000 + i); };
  put(store, Column::objects, key(1), "written before");
  put(store, Column::objects, "k0", "another");
  put(store, Column::partitions, "row", "old");
  if (GENERATE(false, true)) fixture.to_disk();
  const auto snapshot = store.snapshot();
  const auto fill = [&] {
    auto load = store.load();
    for (int i = 0; i < count; ++i) REQUIRE_FALSE(load->add(key(i), "loaded " + std::to_string(i)));
    load->end();
    CHECK(load->ready());
    return load;
  };

  fill().reset();
  CHECK(walk(store, Column::objects, "", "") == "k0=another k1001=written before ");

  auto load = fill();
  for (int i : {0, 2, 499, 600}) {
    auto found = load->find(key(i));
    REQUIRE(found);
    CHECK(*found == (i < count ? std::optional("loaded " + std::to_string(i)) : std::nullopt));
  }
  CHECK(get(store, Column::objects, key(1)) == "written before");
  StoreBatch batch;
  batch.put(Column::objects, key(1), "merged");
  batch.erase(Column::objects, key(2));
  batch.put(Column::partitions, "row", "new");
  batch.put(Column::partitions, "row", "newest");
  batch.put(Column::expiry, "entry", "");
  auto written = store.write(batch, std::move(load));
  REQUIRE(written);
  CHECK(get(store, Column::objects, key(1)) == "merged");
  CHECK(get(store, Column::objects, key(2)) == "<none>");
  CHECK(get(store, Column::objects, "k0") == "another");
  CHECK(get(store, Column::objects, key(0)) == (count > 0 ? "loaded 0" : "<none>"));
  if (count > 3) CHECK(get(store, Column::objects, key(499)) == "loaded 499");
  CHECK(get(store, Column::partitions, "row") == "newest");
  CHECK(get(store, Column::expiry, "entry").empty());
  CHECK(walk(store, Column::objects, "", "", snapshot.get()) == "k0=another k1001=written before ");
  fixture.make_durable();
  CHECK(store.durable() == *written);
  CHECK(put(store, Column::objects, key(1), "written after").value == written->value + 1);
  CHECK(get(store, Column::objects, key(1)) == "written after");
}

// RocksDB gives dots a place by their beginning; a range of them goes into another list of its memory.
TEMPLATE_TEST_CASE("ranges of dots are erased between writes of dots", "[storage]", MemoryFixture,
                   RocksFixture) {
  TestType fixture;
  const PartitionId partition{7};
  auto key = [&](uint64_t counter) { return dot_key(partition, {{1}, {counter}}); };
  for (uint64_t first = 1; first < 2'000; first += 100) {
    StoreBatch batch;
    for (uint64_t i = first; i < first + 100; ++i) batch.put(Column::dots, key(i), "v");
    REQUIRE(fixture.store.write(batch));
    batch.clear();
    batch.erase_range(Column::dots, key(first), key(first + 97) + '\0');
    REQUIRE(fixture.store.write(batch));
  }
  size_t left = 0;
  auto cursor = fixture.store.cursor(Column::dots, "", "");
  for (; cursor->valid(); cursor->next(), ++left) {
    auto at = decode_dot_key(cursor->key());
    REQUIRE(at);
    CHECK((at->dot.counter.value % 100 == 99 || at->dot.counter.value % 100 == 0));
  }
  CHECK(left == 40);
}

TEMPLATE_TEST_CASE("keys and values are any bytes", "[storage]", MemoryFixture, RocksFixture) {
  TestType fixture;
  const std::string zeros(3, '\0');
  const std::string high("\xff\xfe\x00\x80", 4);
  put(fixture.store, Column::objects, zeros, high);
  put(fixture.store, Column::objects, high, "");
  put(fixture.store, Column::objects, "large", std::string(1 << 20, 'x'));
  fixture.to_disk();
  CHECK(get(fixture.store, Column::objects, zeros) == high);
  CHECK(get(fixture.store, Column::objects, high).empty());
  CHECK(get(fixture.store, Column::objects, "large") == std::string(1 << 20, 'x'));
}

TEMPLATE_TEST_CASE("a walk is in the order of unsigned bytes and within its bounds", "[storage]",
                   MemoryFixture, RocksFixture) {
  TestType fixture;
  Store& store = fixture.store;
  for (const char* key : {"b", "a", "c", "\xff", "ab"}) put(store, Column::residual, key, "");
  put(store, Column::dots, "aa", "of another column");
  fixture.to_disk();
  put(store, Column::residual, "bb", "");
  CHECK(walk(store, Column::residual, "", "") == "a= ab= b= bb= c= \xff= ");
  CHECK(walk(store, Column::residual, "ab", "c") == "ab= b= bb= ");
  CHECK(walk(store, Column::residual, "aa", "") == "ab= b= bb= c= \xff= ");
  CHECK(walk(store, Column::residual, "b", "b").empty());
  CHECK(walk(store, Column::residual, "c", "a").empty());
  CHECK(walk(store, Column::residual, "d", "e").empty());
}

TEMPLATE_TEST_CASE("a walk does not see writes made after it began", "[storage]", MemoryFixture,
                   RocksFixture) {
  TestType fixture;
  Store& store = fixture.store;
  put(store, Column::objects, "a", "1");
  put(store, Column::objects, "c", "1");
  auto cursor = store.cursor(Column::objects, "", "");
  put(store, Column::objects, "b", "2");
  put(store, Column::objects, "c", "2");
  std::string seen;
  for (; cursor->valid(); cursor->next())
    seen += std::string(cursor->key()) + "=" + std::string(cursor->value()) + " ";
  CHECK(seen == "a=1 c=1 ");
}

TEMPLATE_TEST_CASE("a snapshot stays as it was, in all columns", "[storage]", MemoryFixture, RocksFixture) {
  TestType fixture;
  Store& store = fixture.store;
  put(store, Column::objects, "a", "1");
  put(store, Column::partitions, "p", "clock 1");
  auto snapshot = store.snapshot();
  put(store, Column::objects, "a", "2");
  put(store, Column::objects, "b", "2");
  put(store, Column::partitions, "p", "clock 2");
  fixture.to_disk();
  auto later = store.snapshot();
  erase(store, Column::objects, "a");
  CHECK(walk(store, Column::objects, "", "", snapshot.get()) == "a=1 ");
  CHECK(walk(store, Column::partitions, "", "", snapshot.get()) == "p=clock 1 ");
  CHECK(walk(store, Column::objects, "", "", later.get()) == "a=2 b=2 ");
  CHECK(walk(store, Column::objects, "", "") == "b=2 ");
}

TEMPLATE_TEST_CASE("writes are numbered from 1, and are durable once synced", "[storage]", MemoryFixture,
                   RocksFixture) {
  TestType fixture;
  Store& store = fixture.store;
  CHECK(store.durable() == Lsn{0});
  CHECK(put(store, Column::objects, "a", "1") == Lsn{1});
  CHECK(put(store, Column::dots, "a", "1") == Lsn{2});
  CHECK(store.durable() == Lsn{0});
  fixture.make_durable();
  CHECK(store.durable() == Lsn{2});
  CHECK(put(store, Column::objects, "a", "2") == Lsn{3});
  CHECK(store.durable() == Lsn{2});
}

TEMPLATE_TEST_CASE("any sequence of batches leaves what a plain map would hold", "[storage]", MemoryFixture,
                   RocksFixture) {
  TestType fixture;
  CHECK(rc::check([&] {
    StoreBatch clear;
    for (char key = 'a'; key < 'i'; ++key) clear.erase(Column::objects, std::string(1, key));
    RC_ASSERT(fixture.store.write(clear).ok());
    std::map<std::string, std::string> model;
    const auto steps = *rc::gen::inRange(0, 40);
    for (int step = 0; step < steps; ++step) {
      StoreBatch batch;
      const auto changes = *rc::gen::inRange(0, 5);
      for (int i = 0; i < changes; ++i) {
        const std::string key(1, static_cast<char>('a' + *rc::gen::inRange(0, 8)));
        if (*rc::gen::inRange(0, 3) == 0) {
          batch.erase(Column::objects, key);
          model.erase(key);
        } else {
          const auto value = std::to_string(*rc::gen::inRange(0, 1000));
          batch.put(Column::objects, key, value);
          model[key] = value;
        }
      }
      RC_ASSERT(fixture.store.write(batch).ok());
      if (*rc::gen::inRange(0, 20) == 0) fixture.to_disk();
    }
    std::string expected;
    for (const auto& [key, value] : model) expected += key + "=" + value + " ";
    RC_ASSERT(walk(fixture.store, Column::objects, "", "") == expected);
  }));
}

}  // namespace covey::store_contract_test
