// Backups of a database in use, and data directories made of them.
#include "storage/backup.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "storage/identity.h"
#include "storage/restore.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::backup_test {
namespace {

namespace fs = std::filesystem;
using Kind = BackupError::Kind;

const BackupLabel label{data_format_version, "cluster", "n1", 64};

std::unique_ptr<DataDirectory> open_directory(const std::string& path, uint64_t life,
                                              const std::string& cluster = "cluster",
                                              const std::string& node = "n1") {
  auto opened = DataDirectory::open({.path = path, .cluster = cluster, .node = node, .new_life = life});
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

void put(Store& store, const std::string& key, const std::string& value) {
  StoreBatch batch;
  batch.put(Column::objects, key, value);
  batch.put(Column::dots, key, value);
  REQUIRE(store.write(batch));
}

// Bytes that do not compress.
std::string noise(uint32_t seed, size_t bytes) {
  std::string out(bytes, '\0');
  for (char& byte : out) byte = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return out;
}

BackupFolder::Made create(BackupFolder& folder, DataDirectory& directory, BackupOptions options = {}) {
  auto made = folder.create(directory.database(), label, options);
  if (!made) FAIL(made.error().message);
  return *made;
}

std::vector<uint32_t> ids(const BackupFolder& folder) {
  auto list = folder.list();
  REQUIRE(list);
  std::vector<uint32_t> out;
  for (const BackupInfo& backup : list->backups) out.push_back(backup.id);
  return out;
}

void flip_byte(const fs::path& file) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(fs::file_size(file) / 2));
  const char byte = static_cast<char>(bytes.get() ^ 1);
  bytes.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
  bytes.put(byte);
}

// The largest file below a folder whose name ends like this.
fs::path largest(const fs::path& folder, const std::string& ending) {
  fs::path found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || !entry.path().string().ends_with(ending)) continue;
    if (found.empty() || entry.file_size() > fs::file_size(found)) found = entry.path();
  }
  REQUIRE_FALSE(found.empty());
  return found;
}

RestoreOptions restoring(const std::string& folder, const std::string& directory) {
  return {.backups = folder, .directory = directory, .cluster = "cluster", .node = "n1", .partitions = 64};
}

void check_refused(const RestoreOptions& options, const std::string& told) {
  const auto restored = restore_backup(options);
  REQUIRE_FALSE(restored);
  CHECK_THAT(restored.error(), Catch::Contains(told));
}

}  // namespace

TEST_CASE("a backup made while a node writes is a state that it had", "[storage]") {
  test::TemporaryDirectory parent;
  auto directory = open_directory(parent.sub("data"), 1);
  BackupFolder folder(parent.sub("backups"));
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> written{0};
  std::thread writer([&] {
    auto store = directory->database().shard();
    while (!stop) {
      const uint32_t number = written;
      put(*store, std::to_string(number), noise(number, 1000 + number % 40'000));
      ++written;
    }
  });
  std::vector<uint32_t> before;
  for (int i = 0; i < 3; ++i) {
    while (written < 200u * (i + 1)) std::this_thread::yield();
    before.push_back(written);
    create(folder, *directory);
  }
  stop = true;
  writer.join();
  for (uint32_t id = 1; id <= 3; ++id) {
    CHECK(folder.verify(id).ok());
    auto options = restoring(parent.sub("backups"), parent.sub("restored" + std::to_string(id)));
    options.id = id;
    REQUIRE(restore_backup(options));
    auto restored = open_directory(options.directory, 2);
    auto store = restored->database().shard();
    // All that was written before it, and of what was written meanwhile the first ones.
    uint32_t present = 0;
    for (;; ++present) {
      const auto object = store->get(Column::objects, std::to_string(present));
      const auto dot = store->get(Column::dots, std::to_string(present));
      REQUIRE((object && dot));
      REQUIRE(*object == *dot);
      if (!*object) break;
      REQUIRE(**object == noise(present, 1000 + present % 40'000));
    }
    CHECK(present >= before[id - 1]);
    for (uint32_t later = present; later < written; ++later)
      REQUIRE_FALSE(store->get(Column::objects, std::to_string(later))->has_value());
  }
}

TEST_CASE("backups share the tables that they have in common", "[storage]") {
  test::TemporaryDirectory parent;
  auto directory = open_directory(parent.sub("data"), 1);
  BackupFolder folder(parent.sub("backups"));
  CHECK(ids(folder).empty());
  auto store = directory->database().shard();
  put(*store, "first", noise(1, 2'000'000));
  const auto first = create(folder, *directory);
  CHECK(first.new_bytes > 2'000'000);
  put(*store, "second", "small");
  const auto second = create(folder, *directory);
  CHECK(second.info.bytes > 2'000'000);
  CHECK(second.new_bytes < 200'000);
  SECTION("one that is deleted leaves what others need") {
    REQUIRE(folder.remove(first.info.id));
    CHECK(ids(folder) == std::vector<uint32_t>{second.info.id});
    CHECK(folder.verify(second.info.id).ok());
    CHECK(folder.verify(first.info.id).error().kind == Kind::no_such);
    CHECK(folder.remove(first.info.id).error().kind == Kind::no_such);
  }
  SECTION("only so many are kept as was asked") {
    const auto third = create(folder, *directory, {.keep = 2});
    CHECK(third.removed == std::vector<uint32_t>{1});
    CHECK(ids(folder) == std::vector<uint32_t>{2, 3});
    create(folder, *directory, {.keep = 1});
    CHECK(ids(folder) == std::vector<uint32_t>{4});
    CHECK(folder.verify(4).ok());
  }
}

TEST_CASE("a flipped byte in a backup is found, and it is not restored", "[storage]") {
  test::TemporaryDirectory parent;
  const std::string path = parent.sub("backups");
  auto directory = open_directory(parent.sub("data"), 1);
  BackupFolder folder(path);
  auto store = directory->database().shard();
  put(*store, "first", noise(1, 500'000));
  create(folder, *directory);
  put(*store, "second", noise(2, 900'000));
  create(folder, *directory);
  flip_byte(largest(path + "/shared_checksum", ".sst"));  // of the second alone
  CHECK(folder.verify(1).ok());
  const auto verified = folder.verify(2);
  REQUIRE_FALSE(verified);
  CHECK(verified.error().kind == Kind::damaged);
  auto options = restoring(path, parent.sub("restored"));
  check_refused(options, "hecksum");
  CHECK(fs::is_empty(fs::path(options.directory)) == false);  // the lock
  CHECK_FALSE(fs::exists(options.directory + "/db"));
  options.id = 1;
  CHECK(restore_backup(options).ok());

  fs::remove(largest(path + "/shared_checksum", ".sst"));
  const auto list = folder.list();
  REQUIRE(list);
  CHECK(list->damaged == std::vector<uint32_t>{2});
  CHECK(folder.verify(2).error().kind == Kind::damaged);
  CHECK(folder.remove(2).ok());
}

TEST_CASE("a damaged table gets into no backup and is told", "[storage]") {
  test::TemporaryDirectory parent;
  std::atomic<bool> told{false};
  DatabaseOptions options;
  options.on_damage = [&](const std::string&) { told = true; };
  auto opened = DataDirectory::open(
      {.path = parent.sub("data"), .cluster = "cluster", .node = "n1", .new_life = 1, .database = options});
  REQUIRE(opened);
  BackupFolder folder(parent.sub("backups"));
  auto store = (*opened)->database().shard();
  put(*store, "before", "x");
  create(folder, **opened);
  put(*store, "key", noise(1, 1'000'000));
  REQUIRE((*opened)->database().flush());
  flip_byte(largest(parent.path() / "data", ".sst"));
  const auto made = folder.create((*opened)->database(), label, {});
  REQUIRE_FALSE(made);
  CHECK(made.error().kind == Kind::damaged);
  CHECK(told);
  CHECK(ids(folder) == std::vector<uint32_t>{1});
  CHECK(folder.verify(1).ok());
  store.reset();
}

TEST_CASE("what is restored has forgotten what came later, and says so", "[storage]") {
  test::TemporaryDirectory parent;
  const std::string path = parent.sub("backups");
  auto directory = open_directory(parent.sub("data"), 11);
  {
    auto store = directory->database().shard();
    put(*store, "key", "value");
    StoreBatch batch;
    batch.put(Column::node, "member/n2", "where n2 is");
    batch.put(Column::node, "table/t", "a definition");
    REQUIRE(store->write(batch));
  }
  BackupFolder folder(path);
  create(folder, *directory);
  auto options = restoring(path, parent.sub("restored"));

  SECTION("as a mark in the database, not only by the directory's looks") {
    REQUIRE(restore_backup(options));
    auto database = Database::open({.path = options.directory + "/db"});
    REQUIRE(database);
    auto store = (*database)->shard();
    CHECK(*store->get(Column::node, "identity/restored") == "1");
    CHECK(*store->get(Column::node, "identity/clean") == "0");
    CHECK(*store->get(Column::node, "member/n2") == "where n2 is");
  }
  SECTION("in a new life") {
    REQUIRE(restore_backup(options));
    auto restored = open_directory(options.directory, 22);
    CHECK(restored->restored());
    CHECK_FALSE(restored->clean());
    CHECK_FALSE(restored->fresh());
    CHECK(restored->life() == 22);
    CHECK(*restored->database().shard()->get(Column::objects, "key") == "value");
    check_refused(options, "not empty");
  }
  SECTION("for the node that it is of alone") {
    options.node = "n2";
    check_refused(options, "node n1");
    options.node = "n1";
    options.partitions = 32;
    check_refused(options, "64 partitions");
    options.partitions = 64;
    options.cluster = "other";
    check_refused(options, "--to-another-cluster");
    CHECK_FALSE(fs::exists(options.directory));
  }
  SECTION("or for a node of another cluster, without the members of this one") {
    options.to_another_cluster = true;
    check_refused(options, "another cluster.name");
    options.cluster = "other";
    options.node = "m1";
    REQUIRE(restore_backup(options));
    auto restored = open_directory(options.directory, 22, "other", "m1");
    auto store = restored->database().shard();
    CHECK(restored->restored());
    CHECK_FALSE(store->get(Column::node, "member/n2")->has_value());
    CHECK(*store->get(Column::node, "table/t") == "a definition");
    CHECK(*store->get(Column::objects, "key") == "value");
  }
  SECTION("where nothing else is") {
    fs::create_directories(options.directory);
    std::ofstream(options.directory + "/mine") << "something";
    check_refused(options, "not empty (mine)");
    fs::remove(options.directory + "/mine");
    fs::create_directories(options.directory + "/db-restoring");  // of a restore that was broken off
    REQUIRE(restore_backup(options));
  }
  SECTION("only of backups that are there") {
    options.id = 7;
    check_refused(options, "no good backup");
    options.backups = parent.sub("nowhere");
    options.id = 0;
    check_refused(options, "holds no backup");
  }
}

TEST_CASE("a folder is for the backups of one node", "[storage]") {
  test::TemporaryDirectory parent;
  auto directory = open_directory(parent.sub("data"), 1);
  BackupFolder folder(parent.sub("backups"));
  create(folder, *directory);
  BackupLabel other = label;
  other.node = "n2";
  const auto made = folder.create(directory->database(), other, {});
  REQUIRE_FALSE(made);
  CHECK(made.error().kind == Kind::other_owner);
  folder.stop();
  CHECK(folder.create(directory->database(), label, {}).error().kind == Kind::stopped);
  CHECK(folder.verify(1).error().kind == Kind::stopped);
}

}  // namespace covey::backup_test
