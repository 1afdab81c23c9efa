// What survives a killed process, and that damage to what was synced is never passed over.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "storage/rocks_database.h"
#include "tests/unit/storage/damage.h"
#include "tests/unit/storage/killed_process.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::rocks_durability_test {
namespace {

namespace fs = std::filesystem;
using test::files_with;
using test::flip;

std::unique_ptr<Database> open_or_fail(const std::string& path, Durability durability = Durability::sync) {
  auto opened = Database::open({.path = path, .durability = durability});
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

bool put(Store& store, const std::string& key, const std::string& value) {
  StoreBatch batch;
  batch.put(Column::objects, key, value);
  batch.put(Column::partitions, "newest", key);
  return store.write(batch).ok();
}

int count_keys(Database& database) {
  auto store = database.shard();
  auto cursor = store->cursor(Column::objects, "", "");
  int count = 0;
  for (; cursor->valid(); cursor->next()) ++count;
  REQUIRE_FALSE(cursor->error());
  return count;
}

std::string numbered(int number) {
  std::string digits = std::to_string(number);
  return std::string(6 - digits.size(), '0') + digits;
}

constexpr int damaged_keys = 50;

// A copy of a database with one thing wrong: opening it must tell.
void check_is_reported(const std::string& database, const std::string& copy, const std::string& file_part,
                       const std::function<void(const fs::path&)>& damage) {
  fs::remove_all(copy);
  fs::copy(database, copy);
  const auto files = files_with(copy, file_part);
  REQUIRE_FALSE(files.empty());
  damage(files.back());
  auto opened = Database::open({.path = copy});
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().kind == StoreError::Kind::corruption);
  CHECK_FALSE(opened.error().message.empty());
}

void write_and_die(Durability durability) {
  auto database = open_or_fail(test::child_path(), durability);
  auto store = database->shard();
  for (int i = 0; i < 300; ++i) REQUIRE(put(*store, numbered(i), "value"));
  test::die();
}

}  // namespace

TEST_CASE("everything is there after an orderly close", "[storage]") {
  test::TemporaryDirectory directory;
  {
    auto database = open_or_fail(directory.sub("db"));
    auto store = database->shard();
    for (int i = 0; i < 100; ++i) REQUIRE(put(*store, numbered(i), "value"));
    store.reset();
    REQUIRE(database->close());
  }
  auto database = open_or_fail(directory.sub("db"));
  CHECK(count_keys(*database) == 100);
  CHECK(database->notes().empty());
}

TEST_CASE("child: synced writes with some in tables", "[.child]") {
  auto database = open_or_fail(test::child_path());
  auto store = database->shard();
  for (int i = 0; i < damaged_keys; ++i) {
    REQUIRE(put(*store, numbered(i), std::string(100, 'x')));
    if (i == damaged_keys / 2) REQUIRE(database->flush());
    REQUIRE(database->sync());
  }
  test::die();
}

TEST_CASE("child: many writes that tell what is durable", "[.child]") {
  std::atomic<bool> grown{false};
  auto database = open_or_fail(test::child_path());
  const int before = count_keys(*database);
  auto store = database->shard([&] { grown = true; });
  const auto tell = [&] {
    test::tell_parent(std::to_string(before + static_cast<int>(store->durable().value)) + " ");
  };
  for (int i = 0; i < 2000; ++i) {
    REQUIRE(put(*store, numbered(before + i), "value"));
    if (grown.exchange(false)) tell();
  }
  while (store->durable() < Lsn{1000}) std::this_thread::yield();
  tell();
  test::die();
}

TEST_CASE("a killed process loses nothing that was reported durable", "[storage]") {
  test::TemporaryDirectory directory;
  int durable = 0;
  for (int round = 0; round < 5; ++round) {
    const auto told = test::run_killed("child: many writes that tell what is durable", directory.sub("db"));
    REQUIRE(told.size() >= 2);
    durable = std::stoi(told.substr(told.find_last_of(' ', told.size() - 2) + 1));
    auto database = open_or_fail(directory.sub("db"));
    CHECK(count_keys(*database) >= durable);
  }
  CHECK(durable >= 5000);
}

TEST_CASE("child: writes in mode sync", "[.child]") { write_and_die(Durability::sync); }
TEST_CASE("child: writes in mode interval", "[.child]") { write_and_die(Durability::interval); }
TEST_CASE("child: writes in mode none", "[.child]") { write_and_die(Durability::none); }

TEST_CASE("a killed process loses no write that returned, in any mode", "[storage]") {
  const std::string mode = GENERATE("sync", "interval", "none");
  test::TemporaryDirectory directory;
  test::run_killed("child: writes in mode " + mode, directory.sub("db"));
  auto database = open_or_fail(directory.sub("db"));
  CHECK(count_keys(*database) == 300);
}

TEST_CASE("a half-written record at the end of the log does not stop the node", "[storage]") {
  test::TemporaryDirectory directory;
  test::run_killed("child: synced writes with some in tables", directory.sub("db"));
  const auto log = files_with(directory.sub("db"), ".log").back();
  const bool with_room = GENERATE(false, true);
  const auto room = fs::file_size(log);
  fs::resize_file(log, test::written_bytes(log));
  std::ofstream(log, std::ios::binary | std::ios::app)
      << std::string("\x12\x34\x56\x78\xff\x00\x01half a record", 20);
  if (with_room) fs::resize_file(log, room);
  auto database = open_or_fail(directory.sub("db"));
  CHECK(count_keys(*database) == damaged_keys);
  REQUIRE(database->notes().size() == 1);
  CHECK((database->notes()[0].find("20 bytes") != std::string::npos) != with_room);
}

TEST_CASE("the room ahead of a killed process's log is not told as lost writes", "[storage]") {
  test::TemporaryDirectory directory;
  test::run_killed("child: synced writes with some in tables", directory.sub("db"));
  const auto log = files_with(directory.sub("db"), ".log").back();
  CHECK(fs::file_size(log) > test::written_bytes(log) + (100 << 10));
  auto database = open_or_fail(directory.sub("db"));
  CHECK(count_keys(*database) == damaged_keys);
  CHECK(database->notes().empty());
}

TEST_CASE("a write that was not synced does not count if one before it was lost in the room ahead",
          "[storage]") {
  test::TemporaryDirectory directory;
  test::run_killed("child: synced writes with some in tables", directory.sub("db"));
  const auto log = files_with(directory.sub("db"), ".log").back();
  const auto end = test::written_bytes(log);
  {  // as if the system had written a later block and not this one
    std::fstream stream(log, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(end + 3 * 4096));
    stream << "a later write";
  }
  for (int start = 0; start < 2; ++start) {
    auto database = open_or_fail(directory.sub("db"));
    CHECK(count_keys(*database) == damaged_keys);
    CHECK(database->notes().size() == (start == 0 ? 1 : 0));
  }
}

TEST_CASE("a sync does not change the length of the log, and closing in order gives the room back",
          "[storage]") {
  test::TemporaryDirectory directory;
  auto database = open_or_fail(directory.sub("db"));
  auto store = database->shard();
  REQUIRE(put(*store, numbered(0), "value"));
  const auto log = files_with(directory.sub("db"), ".log").back();
  const auto size = fs::file_size(log);
  for (int i = 1; i < 100; ++i) {
    REQUIRE(put(*store, numbered(i), "value"));
    REQUIRE(database->sync());
    CHECK(fs::file_size(log) == size);
  }
  const auto written = test::written_bytes(log);
  CHECK(written < size);
  store.reset();
  REQUIRE(database->close());
  CHECK(fs::file_size(log) == written);
}

TEST_CASE("a damaged log is reported, wherever the damage is", "[storage]") {
  test::TemporaryDirectory directory;
  test::run_killed("child: synced writes with some in tables", directory.sub("db"));
  const auto log = files_with(directory.sub("db"), ".log").back();
  const auto size = test::written_bytes(log);
  for (uintmax_t position = 0; position < size; position += 1 + size / 60)
    check_is_reported(directory.sub("db"), directory.sub("copy"), ".log",
                      [&](const fs::path& file) { flip(file, position); });
}

TEST_CASE("a log that has become shorter or is missing is reported", "[storage]") {
  test::TemporaryDirectory directory;
  test::run_killed("child: synced writes with some in tables", directory.sub("db"));
  const auto size = test::written_bytes(files_with(directory.sub("db"), ".log").back());
  for (uintmax_t cut = 1; cut <= size; cut += 1 + size / 30)
    check_is_reported(directory.sub("db"), directory.sub("copy"), ".log",
                      [&](const fs::path& file) { fs::resize_file(file, size - cut); });
  check_is_reported(directory.sub("db"), directory.sub("copy"), ".log",
                    [](const fs::path& file) { fs::remove(file); });
}

TEST_CASE("a damaged, shorter or missing manifest is reported", "[storage]") {
  test::TemporaryDirectory directory;
  test::run_killed("child: synced writes with some in tables", directory.sub("db"));
  const auto size = fs::file_size(files_with(directory.sub("db"), "MANIFEST").back());
  for (uintmax_t position = 0; position < size; position += 1 + size / 40) {
    check_is_reported(directory.sub("db"), directory.sub("copy"), "MANIFEST",
                      [&](const fs::path& file) { flip(file, position); });
    check_is_reported(directory.sub("db"), directory.sub("copy"), "MANIFEST",
                      [&](const fs::path& file) { fs::resize_file(file, position); });
  }
  for (const char* name : {"MANIFEST", "CURRENT", "SYNCED", ".sst"})
    check_is_reported(directory.sub("db"), directory.sub("copy"), name,
                      [](const fs::path& file) { fs::remove(file); });
}

TEST_CASE("damage in a table is an error of the read that meets it, and never a missing key", "[storage]") {
  test::TemporaryDirectory directory;
  const std::string path = directory.sub("db");
  {
    auto database = open_or_fail(path);
    auto store = database->shard();
    for (int i = 0; i < 2000; ++i)
      REQUIRE(put(*store, numbered(i), std::string(100, static_cast<char>('a' + i % 7))));
    REQUIRE(database->flush());
  }
  const auto tables = files_with(path, ".sst");
  const auto largest = *std::max_element(tables.begin(), tables.end(), [](const auto& a, const auto& b) {
    return fs::file_size(a) < fs::file_size(b);
  });
  flip(largest, 100);
  auto database = open_or_fail(path);
  auto store = database->shard();
  auto damaged = store->get(Column::objects, numbered(0));
  REQUIRE_FALSE(damaged.ok());
  CHECK(damaged.error().kind == StoreError::Kind::corruption);
  auto cursor = store->cursor(Column::objects, "", "");
  while (cursor->valid()) cursor->next();
  REQUIRE(cursor->error());
  CHECK(cursor->error()->kind == StoreError::Kind::corruption);
}

TEST_CASE("a database that was refused for damage is left as it is", "[storage]") {
  test::TemporaryDirectory directory;
  const std::string path = directory.sub("db");
  test::run_killed("child: synced writes with some in tables", path);
  const auto log = files_with(path, ".log").back();
  flip(log, 30);
  REQUIRE_FALSE(Database::open({.path = path}).ok());
  REQUIRE_FALSE(Database::open({.path = path}).ok());
  flip(log, 30);
  auto database = open_or_fail(path);
  CHECK(count_keys(*database) == damaged_keys);
}

void await(StoreLoad& load) {
  for (int i = 0; i < 6'000 && !load.ready(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  REQUIRE(load.ready());
}

TEST_CASE("a load is written beside the shard, which is told once it is ready", "[storage]") {
  test::TemporaryDirectory directory;
  auto opened = Database::open({.path = directory.sub("db"),
                                .durability = Durability::none,
                                .load_memory_bytes = GENERATE(uint64_t{0}, uint64_t{1'000'000'000})});
  REQUIRE(opened);
  std::atomic<bool> told{false};
  auto store = (*opened)->shard([&told] { told = true; });
  {
    auto dropped = store->load();  // in the middle of its work
    for (int i = 0; i < 100; ++i) REQUIRE_FALSE(dropped->add(numbered(i), std::string(10'000, 'v')));
  }
  auto load = store->load();
  for (int i = 0; i < 100; ++i) REQUIRE_FALSE(load->add(numbered(i), std::string(10'000, 'v')));
  load->end();
  const bool at_once = load->ready();
  await(*load);
  for (int i = 0; i < 6'000 && !at_once && !told; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK((at_once || told));
  CHECK(*load->find(numbered(7)) == std::optional(std::string(10'000, 'v')));
  REQUIRE(store->write(StoreBatch(), std::move(load)));
  CHECK(*store->get(Column::objects, numbered(99)) == std::optional(std::string(10'000, 'v')));
  CHECK(count_keys(**opened) == 100);
}

// A copy of the files while the database is open is what a killed process leaves.
TEST_CASE("tables that were loaded are there after a kill, with what was written before and after them",
          "[storage]") {
  test::TemporaryDirectory directory;
  const DatabaseOptions options{
      .path = directory.sub("db"), .durability = Durability::none, .load_memory_bytes = 0};
  auto opened = Database::open(options);
  REQUIRE(opened);
  auto store = (*opened)->shard();
  REQUIRE(put(*store, "a", "before"));
  auto load = store->load();
  for (int i = 0; i < 100; ++i) REQUIRE_FALSE(load->add(numbered(i), std::string(1'000, 'v')));
  load->end();
  StoreBatch batch;
  batch.put(Column::partitions, "newest", "loaded");
  REQUIRE(store->write(batch, std::move(load)));
  auto lost = store->load();
  REQUIRE_FALSE(lost->add("lost", "never written"));
  lost->end();
  await(*lost);
  REQUIRE(put(*store, "b", "after"));
  fs::copy(options.path, directory.sub("copy"));
  CHECK_FALSE(files_with(directory.sub("copy"), load_file_prefix).empty());

  auto copy = Database::open({.path = directory.sub("copy")});
  REQUIRE(copy);
  CHECK((*copy)->notes().empty());
  CHECK(count_keys(**copy) == 102);
  auto again = (*copy)->shard();
  CHECK(*again->get(Column::objects, "b") == std::optional<std::string>("after"));
  CHECK(*again->get(Column::partitions, "newest") == std::optional<std::string>("b"));
  CHECK(files_with(directory.sub("copy"), load_file_prefix).empty());
}

}  // namespace covey::rocks_durability_test
