// A database on a disk that fills up, or that cannot sync, and how shards share syncs.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "storage/rocks_database.h"
#include "tests/unit/storage/damage.h"
#include "tests/unit/storage/faulty_files.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::rocks_faults_test {
namespace {

Result<Lsn, StoreError> put(Store& store, const std::string& key, size_t bytes = 100) {
  StoreBatch batch;
  batch.put(Column::objects, key, std::string(bytes, 'v'));
  return store.write(batch);
}

std::unique_ptr<Database> open_or_fail(DatabaseOptions options) {
  auto opened = Database::open(std::move(options));
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

bool has(Store& store, const std::string& key) {
  auto found = store.get(Column::objects, key);
  REQUIRE(found);
  return found->has_value();
}

// Waits for what another thread will do; gives up after a time that only a broken program needs.
template <class Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

TEST_CASE("filters stay in the cache when tables are large and memtables full", "[storage]") {
  test::TemporaryDirectory directory;
  test::FaultyEnv disk;
  const std::string path = directory.sub("db");
  auto database = open_or_fail({.path = path,
                                .durability = Durability::none,
                                .block_cache_bytes = 8 << 20,
                                .object_cache_bytes = 0,
                                .env = disk.env.get()});
  auto store = database->shard();
  // Four tables, which become one with a filter of 250 KB.
  StoreBatch batch;
  for (int i = 0; i < 200'000; ++i) {
    batch.put(Column::objects, "key" + std::to_string(i * 7 % 200'000), "v");
    if (i % 1'000 == 999) {
      REQUIRE(store->write(batch));
      batch.clear();
    }
    if (i % 50'000 == 49'999) REQUIRE(database->flush());
  }
  REQUIRE(eventually([&] {
    int tables = 0;
    for (const auto& file : std::filesystem::directory_iterator(path)) {
      tables += file.path().extension() == ".sst" ? 1 : 0;
    }
    return tables == 1;
  }));
  for (int i = 0; i < 200; ++i) REQUIRE(put(*store, "later" + std::to_string(i), 100'000));
  for (int i = 0; i < 100; ++i) CHECK_FALSE(has(*store, "key" + std::to_string(i) + "x"));
  const uint64_t before = disk.faults.table_bytes_read;
  for (int i = 0; i < 1'000; ++i) CHECK_FALSE(has(*store, "key" + std::to_string(i) + "absent"));
  CHECK(disk.faults.table_bytes_read - before < 1'000 * 5'000);
}

TEST_CASE("a full disk refuses writes as full, answers reads, and takes writes again by itself",
          "[storage]") {
  test::TemporaryDirectory directory;
  test::FaultyEnv disk;
  std::vector<std::string> stored;
  // The disk fills up within a log's record, or while a memtable becomes a table.
  const bool in_table = GENERATE(false, true);
  {
    auto database = open_or_fail({.path = directory.sub("db"), .env = disk.env.get()});
    auto store = database->shard();
    disk.faults.bytes_left = 20'000;
    for (int i = 0;; ++i) {
      REQUIRE(i < 1000);
      const std::string key = "key" + std::to_string(i);
      if (in_table && i == 100 && !database->flush()) disk.faults.bytes_left = 0;
      const auto written = put(*store, key);
      if (!written) {
        CHECK(written.error().kind == StoreError::Kind::full);
        CHECK_FALSE(has(*store, key));
        break;
      }
      stored.push_back(key);
    }
    CHECK(stored.size() >= 90);
    for (const auto& key : stored) CHECK(has(*store, key));
    CHECK(put(*store, "still full").error().kind == StoreError::Kind::full);

    disk.faults.bytes_left = INT64_MAX / 2;
    REQUIRE(eventually([&] { return put(*store, "space again").ok(); }));
    stored.push_back("space again");
    for (int i = 0; i < 50; ++i) {
      stored.push_back("later" + std::to_string(i));
      REQUIRE(put(*store, stored.back()));
    }
    CHECK_FALSE(has(*store, "still full"));
    REQUIRE(database->sync());
    store.reset();
  }
  auto database = open_or_fail({.path = directory.sub("db")});
  auto store = database->shard();
  for (const auto& key : stored) CHECK(has(*store, key));
  CHECK_FALSE(has(*store, "still full"));
}

TEST_CASE("a disk that fills up under a load is told to who loads, and nothing of it is kept", "[storage]") {
  test::TemporaryDirectory directory;
  test::FaultyEnv disk;
  const std::string path = directory.sub("db");
  auto database = open_or_fail({.path = path, .durability = Durability::none, .env = disk.env.get()});
  auto store = database->shard();
  REQUIRE(put(*store, "before", 100));
  auto load = store->load();
  disk.faults.bytes_left = 10'000;
  std::optional<StoreError> error;
  for (int i = 100; i < 900 && !error; ++i)
    error = load->add("key" + std::to_string(i), std::string(10'000, 'v'));
  load->end();
  REQUIRE(eventually([&] { return load->ready(); }));
  const auto found = load->find("key100");
  REQUIRE_FALSE(found);
  CHECK(found.error().kind == StoreError::Kind::full);
  if (error) CHECK(error->kind == StoreError::Kind::full);
  const auto written = store->write(StoreBatch(), std::move(load));
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == StoreError::Kind::full);
  disk.faults.bytes_left = INT64_MAX / 2;
  CHECK(put(*store, "after", 100));
  CHECK(has(*store, "before"));
  CHECK_FALSE(has(*store, "key100"));
  CHECK(test::files_with(path, load_file_prefix).empty());
}

TEST_CASE("a failed fsync is told at once and makes nothing durable, then or later", "[storage]") {
  test::TemporaryDirectory directory;
  test::FaultyEnv disk;
  std::atomic<int> failures{0};
  auto database = open_or_fail(
      {.path = directory.sub("db"), .env = disk.env.get(), .on_failure = [&](const auto&) { ++failures; }});
  auto store = database->shard();
  REQUIRE(put(*store, "durable"));
  REQUIRE(database->sync());
  CHECK(store->durable() == Lsn{1});
  disk.faults.syncs_fail = true;
  REQUIRE(put(*store, "not durable"));
  CHECK_FALSE(database->sync().ok());
  CHECK(failures > 0);
  disk.faults.syncs_fail = false;
  CHECK_FALSE(database->sync().ok());
  CHECK(store->durable() == Lsn{1});
}

TEST_CASE("shards that write at the same time share syncs, and each is told of its own writes", "[storage]") {
  test::TemporaryDirectory directory;
  test::FaultyEnv disk;
  auto database = open_or_fail({.path = directory.sub("db"), .env = disk.env.get()});
  const int before = disk.faults.log_syncs;
  constexpr int shards = 4;
  constexpr int writes = 500;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int shard = 0; shard < shards; ++shard)
    threads.emplace_back([&, shard] {
      std::atomic<int> told{0};
      auto store = database->shard([&] { ++told; });
      for (int i = 0; i < writes; ++i)
        if (!put(*store, std::to_string(shard) + "/" + std::to_string(i))) ++failures;
      if (!eventually([&] { return store->durable() == Lsn{writes}; })) ++failures;
      if (!eventually([&] { return told > 0; }) || told > writes) ++failures;
    });
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(disk.faults.log_syncs - before < shards * writes / 2);
  CHECK(database->syncs() > 0);
}

TEST_CASE("in mode interval writes become durable by themselves, many with one sync", "[storage]") {
  test::TemporaryDirectory directory;
  auto database =
      open_or_fail({.path = directory.sub("db"), .durability = Durability::interval, .interval_ms = 50});
  auto store = database->shard();
  for (int i = 0; i < 200; ++i) REQUIRE(put(*store, std::to_string(i)));
  CHECK(eventually([&] { return store->durable() == Lsn{200}; }));
  CHECK(database->syncs() < 100);
}

TEST_CASE("in mode none a write counts as durable at once and nothing is synced", "[storage]") {
  test::TemporaryDirectory directory;
  auto database = open_or_fail({.path = directory.sub("db"), .durability = Durability::none});
  auto store = database->shard();
  REQUIRE(put(*store, "key"));
  CHECK(store->durable() == Lsn{1});
  CHECK(database->syncs() == 0);
}

TEST_CASE("the log never says more than was synced while shards write and logs change", "[storage]") {
  test::TemporaryDirectory directory;
  const std::string path = directory.sub("db");
  for (int round = 0; round < 3; ++round) {
    auto database = open_or_fail({.path = path, .write_buffer_bytes = 256 << 10});
    std::vector<std::thread> threads;
    std::atomic<int> failures{0};
    for (int shard = 0; shard < 2; ++shard)
      threads.emplace_back([&, shard] {
        auto store = database->shard();
        for (int i = 0; i < 1500; ++i)
          if (!put(*store, std::to_string(shard) + "/" + std::to_string(i), 1000)) ++failures;
      });
    for (auto& thread : threads) thread.join();
    CHECK(failures == 0);
    CHECK(database->notes().empty());
  }
}

}  // namespace covey::rocks_faults_test
