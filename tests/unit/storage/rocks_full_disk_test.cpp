// A disk that fills up and a process that dies there, at any moment, by kill -9.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "storage/rocks_database.h"
#include "tests/unit/storage/damage.h"
#include "tests/unit/storage/faulty_files.h"
#include "tests/unit/storage/killed_process.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::rocks_full_disk_test {
namespace {

namespace fs = std::filesystem;
using test::files_with;
using test::flip;

bool put(Store& store, const std::string& key, size_t bytes) {
  StoreBatch batch;
  batch.put(Column::objects, key, std::string(bytes, 'v'));
  return store.write(batch).ok();
}

bool has(Store& store, const std::string& key) {
  auto found = store.get(Column::objects, key);
  REQUIRE(found);
  return found->has_value();
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) found.push_back(line);
  return found;
}

std::unique_ptr<Database> open_or_fail(DatabaseOptions options) {
  auto opened = Database::open(std::move(options));
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

// A database in the child's directory on a disk that the child fills, telling the parent of each write that
// is durable.
struct FullDisk {
  test::FaultyEnv disk;
  std::unique_ptr<Database> database = open_or_fail({.path = test::child_path(), .env = disk.env.get()});
  std::unique_ptr<Store> store = database->shard();
  int next = 0;

  void put_durable(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = "key" + std::to_string(next++);
      REQUIRE(put(*store, key, 100));
      REQUIRE(database->sync());
      test::tell_parent(key + "\n");
    }
  }
  // A record of which `fits` bytes still find room.
  void fill(size_t record, int64_t fits) {
    disk.faults.bytes_left = fits;
    REQUIRE_FALSE(put(*store, "refused", record));
  }
  // RocksDB's first attempt to go on, which gets as far as a new log and leaves the torn one among those that
  // it keeps. It is made where nobody tells that there is no space.
  void wait_for_failed_attempt() {
    for (int i = 0; i < 3000 && files_with(test::child_path(), ".log").size() < 2; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  void free(int64_t bytes = INT64_MAX / 2) { disk.faults.bytes_left = bytes; }
  void wait_for_writes() {
    for (int i = 0; i < 3000 && !put(*store, "key" + std::to_string(next), 100); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    put_durable(1);
  }
};

constexpr size_t small = 1000;
constexpr size_t large = 3 << 20;  // RocksDB writes it in several parts

}  // namespace

TEST_CASE("child: full", "[.child]") {
  FullDisk full;
  full.put_durable(20);
  full.fill(small, 300);
  test::die();
}

TEST_CASE("child: full within a large record", "[.child]") {
  FullDisk full;
  full.put_durable(20);
  full.fill(large, large - 100'000);
  test::die();
}

TEST_CASE("child: full and still full", "[.child]") {
  FullDisk full;
  full.disk.faults.free_space_untold = true;
  full.put_durable(20);
  full.fill(small, 300);
  full.wait_for_failed_attempt();
  test::die();
}

TEST_CASE("child: full and free for one write", "[.child]") {
  FullDisk full;
  full.disk.faults.free_space_untold = true;
  full.put_durable(20);
  full.fill(small, 300);
  full.wait_for_failed_attempt();
  full.free();
  full.wait_for_writes();
  test::die();
}

TEST_CASE("child: full and free and closed", "[.child]") {
  FullDisk full;
  full.disk.faults.free_space_untold = true;
  full.put_durable(20);
  full.fill(large, large - 100'000);
  full.wait_for_failed_attempt();
  full.free();
  full.wait_for_writes();
  full.store.reset();
  full.database.reset();
  test::die();
}

TEST_CASE("child: full again and again", "[.child]") {
  FullDisk full;
  full.put_durable(20);
  for (int round = 0; round < 3; ++round) {
    full.fill(round == 1 ? large : small, 300);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    full.free();
    full.wait_for_writes();
    full.put_durable(5);
  }
  test::die();
}

TEST_CASE("a process killed on a full disk starts again with all that was durable", "[storage]") {
  const std::string name =
      GENERATE("full", "full within a large record", "full and still full", "full and free for one write",
               "full and free and closed", "full again and again");
  CAPTURE(name);
  test::TemporaryDirectory directory;
  const auto keys = lines(test::run_killed("child: " + name, directory.sub("db")));
  REQUIRE(keys.size() >= 20);
  // Twice: what the first start leaves must be good for the next.
  for (int start = 0; start < 2; ++start) {
    auto database = open_or_fail({.path = directory.sub("db")});
    auto store = database->shard();
    for (const auto& key : keys) CHECK(has(*store, key));
    CHECK_FALSE(has(*store, "refused"));
  }
}

TEST_CASE("damage before the torn end of a log that a full disk ended is reported", "[storage]") {
  test::TemporaryDirectory directory;
  test::run_killed("child: full and free for one write", directory.sub("db"));
  const auto logs = files_with(directory.sub("db"), ".log");
  REQUIRE(logs.size() == 2);
  const auto size = fs::file_size(logs[0]);
  for (uintmax_t position = 0; position < size - 300; position += 97) {
    fs::remove_all(directory.sub("copy"));
    fs::copy(directory.sub("db"), directory.sub("copy"));
    flip(fs::path(directory.sub("copy")) / logs[0].filename(), position);
    auto opened = Database::open({.path = directory.sub("copy")});
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error().kind == StoreError::Kind::corruption);
  }
}

TEST_CASE("after a full disk nothing is tried before there is room for what is in memory", "[storage]") {
  test::TemporaryDirectory directory;
  const std::string path = directory.sub("db");
  test::FaultyEnv disk;
  auto database = open_or_fail({.path = path, .env = disk.env.get()});
  auto store = database->shard();
  REQUIRE(put(*store, "before", 8 << 20));
  disk.faults.bytes_left = 300;
  REQUIRE_FALSE(put(*store, "refused", small));
  for (const int64_t room : {int64_t{0}, int64_t{10 << 20}}) {
    disk.faults.bytes_left = room;
    CHECK_FALSE(database->recover());
    CHECK(files_with(path, ".log").size() == 1);  // an attempt would have begun another
  }
  disk.faults.bytes_left = INT64_MAX / 2;
  bool again = false;
  for (int i = 0; i < 3000 && !again; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    again = put(*store, "after", small);
  }
  CHECK(again);
  CHECK(has(*store, "before"));
  CHECK_FALSE(has(*store, "refused"));
}

TEST_CASE("a disk that is full at the first write after a start ends the database, not its data",
          "[storage]") {
  test::TemporaryDirectory directory;
  {
    auto database = open_or_fail({.path = directory.sub("db")});
    auto store = database->shard();
    REQUIRE(put(*store, "before", small));
    REQUIRE(database->sync());
  }
  test::FaultyEnv disk;
  std::atomic<bool> failed{false};
  {
    auto database =
        open_or_fail({.path = directory.sub("db"), .env = disk.env.get(), .on_failure = [&](const auto&) {
                        failed = true;
                      }});
    auto store = database->shard();
    disk.faults.bytes_left = 300;
    REQUIRE_FALSE(put(*store, "refused", small));
    disk.faults.bytes_left = INT64_MAX / 2;
    for (int i = 0; i < 3000 && !failed; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(failed);
    CHECK_FALSE(put(*store, "refused too", small));
    CHECK(has(*store, "before"));
  }
  auto database = open_or_fail({.path = directory.sub("db")});
  auto store = database->shard();
  CHECK(has(*store, "before"));
  CHECK_FALSE(has(*store, "refused"));
}

}  // namespace covey::rocks_full_disk_test
