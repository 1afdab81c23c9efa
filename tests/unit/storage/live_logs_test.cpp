// Which of the write-ahead logs that a dead process leaves count.
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "storage/durable_mark.h"
#include "storage/manifest_check.h"
#include "storage/rocks_database.h"
#include "tests/unit/storage/damage.h"
#include "tests/unit/storage/faulty_files.h"
#include "tests/unit/storage/killed_process.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::live_logs_test {
namespace {

namespace fs = std::filesystem;
using test::files_with;

std::unique_ptr<Database> open_or_fail(DatabaseOptions options) {
  auto opened = Database::open(std::move(options));
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

bool put(Store& store, const std::string& key, size_t bytes = 100) {
  StoreBatch batch;
  batch.put(Column::objects, key, std::string(bytes, 'v'));
  return store.write(batch).ok();
}

bool has(Store& store, const std::string& key) {
  auto found = store.get(Column::objects, key);
  REQUIRE(found);
  return found->has_value();
}

// Three logs, the first two of which are tables by now and stay.
void write_three_logs(Durability durability) {
  test::FaultyEnv disk;
  disk.faults.logs_stay = true;
  auto database = open_or_fail({.path = test::child_path(), .durability = durability, .env = disk.env.get()});
  auto store = database->shard();
  for (const char* name : {"a", "b", "c"}) {
    for (int i = 0; i < 10; ++i) REQUIRE(put(*store, name + std::to_string(i)));
    if (durability == Durability::sync) REQUIRE(database->sync());
    if (*name != 'c') REQUIRE(database->flush());
  }
  test::die();
}

// As a full disk leaves it: the beginning of one more record.
void tear(const fs::path& log) {
  std::string bytes(50, '\0');
  std::ifstream(log, std::ios::binary).read(bytes.data(), 50);
  std::ofstream(log, std::ios::binary | std::ios::app) << bytes;
}

}  // namespace

namespace {

// RocksDB may delete what it does not need any more meanwhile.
void copy_running(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator(from)) {
    std::error_code error;
    fs::copy(entry.path(), to / entry.path().filename(), error);
    REQUIRE((!error || error == std::errc::no_such_file_or_directory));
  }
}

}  // namespace

TEST_CASE("child: three logs in mode sync", "[.child]") { write_three_logs(Durability::sync); }
TEST_CASE("child: three logs in mode none", "[.child]") { write_three_logs(Durability::none); }

TEST_CASE("a process killed while RocksDB deletes old logs starts again with all that it had", "[storage]") {
  const std::string mode = GENERATE("sync", "none");
  const bool is_torn = GENERATE(false, true);
  CAPTURE(mode, is_torn);
  test::TemporaryDirectory directory;
  test::run_killed("child: three logs in mode " + mode, directory.sub("db"));
  const auto logs = files_with(directory.sub("db"), ".log");
  REQUIRE(logs.size() == 3);
  if (is_torn) tear(logs[0]);
  fs::remove(logs[1]);
  for (int start = 0; start < 2; ++start) {
    auto database = open_or_fail({.path = directory.sub("db")});
    CHECK(database->notes().empty());
    auto store = database->shard();
    for (const char* name : {"a", "b", "c"}) {
      for (int i = 0; i < 10; ++i) CHECK(has(*store, name + std::to_string(i)));
    }
  }
}

TEST_CASE("a log is dropped if a crash has emptied the unsynced one before it", "[storage]") {
  test::TemporaryDirectory directory;
  const fs::path path = directory.sub("db");
  const fs::path crashed = directory.sub("crashed");
  {
    auto database = open_or_fail({.path = path, .durability = Durability::none});
    auto store = database->shard();
    REQUIRE(put(*store, "early"));
    copy_running(path, crashed);
    REQUIRE(database->flush());
    REQUIRE(put(*store, "late"));
    fs::copy(files_with(path, ".log").back(), crashed);
  }
  const auto logs = files_with(crashed, ".log");
  REQUIRE(logs.size() == 2);
  SECTION("neither was lost") {
    auto database = open_or_fail({.path = crashed});
    auto store = database->shard();
    CHECK(has(*store, "early"));
    CHECK(has(*store, "late"));
  }
  SECTION("the first was lost") {
    fs::resize_file(logs[0], 0);
    auto database = open_or_fail({.path = crashed});
    CHECK(database->notes().size() == 1);
    auto store = database->shard();
    CHECK_FALSE(has(*store, "early"));
    CHECK_FALSE(has(*store, "late"));
  }
}

// A database with that key in a table, closed in order; the name of its manifest.
std::string manifest_of_closed(const fs::path& path, const std::string& key) {
  auto database = open_or_fail({.path = path});
  auto store = database->shard();
  REQUIRE(put(*store, key));
  REQUIRE(database->flush());
  store.reset();
  REQUIRE(database->close());
  std::string current;
  std::getline(std::ifstream(path / "CURRENT"), current);
  return current;
}

// A header that promises 32 bytes, of which the system has kept the file's size and not the contents.
void tear_edit(const fs::path& manifest) {
  const std::string header("\x01\x02\x03\x04\x20\x00\x01", 7);
  std::ofstream(manifest, std::ios::app | std::ios::binary) << header << std::string(32, '\0');
}

TEST_CASE("an edit of the manifest that a crash has torn is dropped", "[storage]") {
  test::TemporaryDirectory directory;
  const fs::path path = directory.sub("db");
  const std::string current = manifest_of_closed(path, "key");
  const fs::path manifest = path / current;
  const auto whole = fs::file_size(manifest);
  tear_edit(manifest);
  {
    auto database = open_or_fail({.path = path});
    REQUIRE(database->notes().size() == 1);
    CHECK(database->notes()[0].find(current + " at byte " + std::to_string(whole)) != std::string::npos);
    auto store = database->shard();
    CHECK(has(*store, "key"));
  }
  auto database = open_or_fail({.path = path});
  CHECK(database->notes().empty());
}

TEST_CASE("a manifest that CURRENT still names may be torn though the next one was synced", "[storage]") {
  test::TemporaryDirectory directory;
  const fs::path path = directory.sub("db");
  const std::string current = manifest_of_closed(path, "early");
  const auto whole = fs::file_size(path / current);
  // The machine ends after the next manifest was synced, and before CURRENT was turned to it.
  const uint64_t number = manifest_in_use(*rocksdb::Env::Default(), path);
  REQUIRE(current == "MANIFEST-" + std::string(number < 10 ? 5 : 4, '0') + std::to_string(number));
  auto mark = DurableMark::open(*rocksdb::Env::Default(), path);
  REQUIRE(mark);
  REQUIRE_FALSE((*mark)->advance_manifest({number + 10, 100}, number));

  SECTION("with an edit that was never synced") {
    tear_edit(path / current);
    for (int start = 0; start < 2; ++start) {
      auto database = open_or_fail({.path = path});
      CHECK(database->notes().size() == (start == 0 ? 1 : 0));
      auto store = database->shard();
      CHECK(has(*store, "early"));
    }
  }
  SECTION("but not shorter than it was synced") {
    fs::resize_file(path / current, whole - 1);
    auto opened = Database::open({.path = path});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message.find(current) != std::string::npos);
  }
}

TEST_CASE("the first live log read from the manifest is the first that RocksDB keeps", "[storage]") {
  test::TemporaryDirectory directory;
  const std::string path = directory.sub("db");
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  REQUIRE(rocksdb::DB::Open(options, path,
                            {{rocksdb::kDefaultColumnFamilyName, options}, {"x", options}, {"y", options}},
                            &handles, &opened)
              .ok());
  std::unique_ptr<rocksdb::DB> db(opened);
  uint64_t last = 0;
  int moved = 0;
  for (const size_t flushed : {1, 1, 2, 0, 1, 2, 2, 0, 1}) {
    for (size_t i = 0; i < handles.size(); ++i)
      REQUIRE(db->Put(rocksdb::WriteOptions(), handles[i], "key" + std::to_string(moved), "value").ok());
    REQUIRE(db->Flush(rocksdb::FlushOptions(), handles[flushed]).ok());
    const auto check = check_manifest(*rocksdb::Env::Default(), path, {});
    REQUIRE_FALSE(check.damage);
    uint64_t kept = 0;
    REQUIRE(db->GetIntProperty("rocksdb.min-log-number-to-keep", &kept));
    CHECK(check.first_live_log == kept);
    if (check.first_live_log != last) ++moved;
    last = check.first_live_log;
  }
  CHECK(moved >= 3);
  for (auto* handle : handles) REQUIRE(db->DestroyColumnFamilyHandle(handle).ok());
}

TEST_CASE("an edit of the manifest that cannot be read leaves all logs alive", "[storage]") {
  const std::string log_number = "\x02\x07";
  LiveLogs live;
  live.take(log_number);
  REQUIRE(live.first() == 7);
  for (const std::string edit : {"\x02", "\x02\xff", "\x4d", "\x01\x05z", "\x67\x01", "\x84\x40\x01"}) {
    LiveLogs strange = live;
    strange.take(edit);
    strange.take(log_number);
    CHECK(strange.first() == 0);
  }
}

}  // namespace covey::live_logs_test
