// Whose data directory it is, and whether a life may go on in it.
#include "storage/identity.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/storage/killed_process.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::identity_test {
namespace {

namespace fs = std::filesystem;
using Kind = DirectoryError::Kind;

auto open(const std::string& path, uint64_t new_life = 1, const std::string& cluster = "cluster",
          const std::string& node = "n1") {
  return DataDirectory::open({.path = path, .cluster = cluster, .node = node, .new_life = new_life});
}

std::unique_ptr<DataDirectory> open_or_fail(const std::string& path, uint64_t new_life) {
  auto opened = open(path, new_life);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

void check_refused(const Result<std::unique_ptr<DataDirectory>, DirectoryError>& opened, Kind kind,
                   const std::string& told) {
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().kind == kind);
  CHECK_THAT(opened.error().message, Catch::Contains(told));
}

void make_closed(const std::string& path, uint64_t life) {
  auto directory = open_or_fail(path, life);
  REQUIRE(directory->close());
}

void replace_text(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::trunc) << text;
}

}  // namespace

TEST_CASE("a life goes on after an orderly close", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  {
    auto directory = open_or_fail(path, 11);
    CHECK(directory->fresh());
    CHECK_FALSE(directory->clean());
    CHECK(directory->life() == 11);
    CHECK(directory->incarnation() == 1);
    REQUIRE(directory->close());
  }
  auto directory = open_or_fail(path, 22);
  CHECK_FALSE(directory->fresh());
  CHECK(directory->clean());
  CHECK(directory->life() == 11);
  CHECK(directory->incarnation() == 2);
}

TEST_CASE("a new life begins when the directory was not closed in order", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  make_closed(path, 11);
  open_or_fail(path, 22).reset();
  auto directory = open_or_fail(path, 33);
  CHECK_FALSE(directory->clean());
  CHECK(directory->life() == 33);
  CHECK(directory->incarnation() == 3);
}

TEST_CASE("child: opens a data directory", "[.child]") {
  auto directory = open_or_fail(test::child_path(), 11);
  test::die();
}

TEST_CASE("a new life begins after a kill, and a life has 40 bits", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  test::run_killed("child: opens a data directory", path);
  auto directory = open_or_fail(path, ~uint64_t{0});
  CHECK_FALSE(directory->fresh());
  CHECK_FALSE(directory->clean());
  CHECK(directory->life() == (uint64_t{1} << 40) - 1);
}

TEST_CASE("a copied or restored directory begins a new life", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  make_closed(path, 11);
  fs::copy(path, parent.sub("copy"), fs::copy_options::recursive);

  auto copy = open_or_fail(parent.sub("copy"), 22);
  CHECK_FALSE(copy->fresh());
  CHECK_FALSE(copy->clean());
  CHECK(copy->life() == 22);
  CHECK(copy->restored());

  SECTION("the original goes on") {
    auto original = open_or_fail(path, 33);
    CHECK(original->life() == 11);
    CHECK_FALSE(original->restored());
  }
  SECTION("the copy counts as restored until its replicas are marked so, whatever happens before") {
    copy.reset();
    copy = open_or_fail(parent.sub("copy"), 23);
    CHECK(copy->restored());
    REQUIRE(copy->noted());
    CHECK_FALSE(copy->restored());
    copy.reset();
    CHECK_FALSE(open_or_fail(parent.sub("copy"), 24)->restored());
  }
  SECTION("unless its database alone is put back to an older state") {
    fs::copy(path + "/db", parent.sub("backup"), fs::copy_options::recursive);
    make_closed(path, 44);
    fs::remove_all(path + "/db");
    fs::copy(parent.sub("backup"), path + "/db", fs::copy_options::recursive);
    CHECK(open_or_fail(path, 55)->life() == 55);
  }
  SECTION("and a directory that was only moved goes on") {
    fs::rename(path, parent.sub("moved"));
    CHECK(open_or_fail(parent.sub("moved"), 66)->life() == 11);
  }
}

TEST_CASE("two processes cannot use one directory, and the second is told who has it", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  auto directory = open_or_fail(path, 11);
  check_refused(open(path, 22), Kind::locked, "process " + std::to_string(getpid()));
  REQUIRE(directory->close());
  directory.reset();
  CHECK(open_or_fail(path, 22)->clean());
}

TEST_CASE("the data of another cluster or node is refused, and stays usable by its owner", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  make_closed(path, 11);
  check_refused(open(path, 22, "other", "n1"), Kind::other_cluster, "\"cluster\"");
  check_refused(open(path, 22, "cluster", "n2"), Kind::other_node, "\"n1\"");
  CHECK(open_or_fail(path, 33)->life() == 11);
}

TEST_CASE("a newer format is refused", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  make_closed(path, 11);
  SECTION("as the marker tells it") {
    replace_text(path + "/COVEY", "covey data directory\nformat 2\nanything that format 2 may say\n");
    check_refused(open(path, 22), Kind::newer_format, "format 2");
  }
  SECTION("as the database tells it") {
    auto database = Database::open({.path = path + "/db"});
    REQUIRE(database);
    StoreBatch batch;
    batch.put(Column::node, "identity/format", "2");
    REQUIRE((*database)->shard()->write(batch));
    database->reset();
    check_refused(open(path, 22), Kind::newer_format, "format 2");
  }
}

TEST_CASE("a path that cannot be a data directory is refused with the reason", "[storage]") {
  test::TemporaryDirectory parent;
  replace_text(parent.path() / "file", "text");
  check_refused(open(parent.sub("file")), Kind::not_a_directory, "not a directory");
  fs::create_directory(parent.sub("home"));
  replace_text(parent.path() / "home" / "letter", "text");
  check_refused(open(parent.sub("home")), Kind::not_ours, "letter");
  CHECK_FALSE(fs::exists(parent.sub("home") + "/LOCK"));
  check_refused(open(parent.sub("no/such/parent")), Kind::io, "cannot be made");
  if (geteuid() != 0) {
    fs::create_directory(parent.sub("closed"));
    fs::permissions(parent.sub("closed"), fs::perms::owner_read | fs::perms::owner_exec);
    check_refused(open(parent.sub("closed")), Kind::permission, "user");
  }
}

TEST_CASE("a damaged directory is reported, can be set aside, and then begins afresh", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  make_closed(path, 11);
  fs::remove(path + "/db/CURRENT");
  check_refused(open(path, 22), Kind::corrupt, "CURRENT");
  const auto aside = set_aside_damaged(path);
  REQUIRE(aside);
  CHECK(fs::exists(*aside + "/SYNCED"));
  auto directory = open_or_fail(path, 22);
  CHECK(directory->fresh());
  CHECK(directory->life() == 22);
}

TEST_CASE("a damaged marker is reported", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  make_closed(path, 11);
  replace_text(path + "/COVEY", "covey data dir");
  check_refused(open(path, 22), Kind::corrupt, "COVEY");
}

TEST_CASE("a first start that was interrupted is taken up again", "[storage]") {
  test::TemporaryDirectory parent;
  const auto path = parent.sub("data");
  fs::create_directory(path);
  replace_text(path + "/LOCK", "12345\n");
  replace_text(path + "/COVEY.new", "covey");
  CHECK(open_or_fail(path, 11)->fresh());
}

}  // namespace covey::identity_test
