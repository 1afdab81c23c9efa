#include "storage/object_cache.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>

#include "storage/rocks_database.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::object_cache_test {
namespace {

TEST_CASE("what the object cache answers is what was put last, and its memory has a limit", "[storage]") {
  REQUIRE(rc::check([] {
    constexpr uint64_t limit = 128 << 10;
    ObjectCache cache(limit);
    std::map<std::string, std::string> truth;
    for (int i = 0; i < 2'000; ++i) {
      const std::string key = "key" + std::to_string(*rc::gen::inRange(0, 700));
      const int what = *rc::gen::inRange(0, 20);
      if (what == 0) {
        cache.erase(key);
        truth.erase(key);
      } else {
        const std::string value(*rc::gen::inRange(0, what < 3 ? 1'000 : 500), static_cast<char>('a' + what));
        cache.put(key, value);
        truth[key] = value;
      }
      RC_ASSERT(cache.bytes() <= limit);
      const std::string asked = "key" + std::to_string(*rc::gen::inRange(0, 700));
      if (const auto found = cache.find(asked)) RC_ASSERT(truth.contains(asked) && *found == truth[asked]);
    }
    cache.clear();
    for (const auto& [key, value] : truth) RC_ASSERT_FALSE(cache.find(key).has_value());
  }));
}

TEST_CASE("the object cache makes room when it is full, and goes on", "[storage]") {
  constexpr uint64_t limit = 1 << 20;
  ObjectCache cache(limit);
  uint64_t most = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "key" + std::to_string(i);
    cache.put(key, std::string(static_cast<size_t>(i) % 4'000, 'v'));
    REQUIRE(cache.bytes() <= limit);
    REQUIRE(cache.find(key));
    most = std::max(most, cache.bytes());
  }
  CHECK(most > limit - 10'000);
}

TEST_CASE("the object cache keeps what fits", "[storage]") {
  ObjectCache cache(1 << 20);
  size_t kept = 0;
  for (int i = 0; i < 1'000; ++i) cache.put("key" + std::to_string(i), std::string(100, 'v'));
  for (int i = 0; i < 1'000; ++i) kept += cache.find("key" + std::to_string(i)) ? 1 : 0;
  CHECK(kept == 1'000);
  // As many small objects as three quarters of it hold: few keys find all of their places taken.
  kept = 0;
  cache.clear();
  for (int i = 0; i < 4'096; ++i) cache.put("more" + std::to_string(i), std::string(170, 'v'));
  for (int i = 0; i < 4'096; ++i) kept += cache.find("more" + std::to_string(i)) ? 1 : 0;
  CHECK(kept > 4'000);
  cache.put("large", std::string(1 << 20, 'v'));
  CHECK_FALSE(cache.find("large"));
  cache.put("key1", "new");
  CHECK(cache.find("key1") == "new");
  cache.put("key1", std::string(1 << 20, 'v'));
  CHECK_FALSE(cache.find("key1"));
  CHECK_FALSE(ObjectCache(0).find("key1"));
}

TEST_CASE("an object that was erased, alone or with its partition, is not answered from the cache",
          "[storage]") {
  test::TemporaryDirectory directory;
  auto database = Database::open({.path = directory.sub("db"), .deterministic = true});
  REQUIRE(database);
  auto store = (*database)->shard();
  StoreBatch batch;
  for (const char* key : {"a1", "a2", "b1"}) batch.put(Column::objects, key, "v");
  REQUIRE(store->write(batch));
  batch.clear();
  batch.erase(Column::objects, "b1");
  batch.erase_range(Column::objects, "a", "b");
  batch.put(Column::objects, "a2", "after");
  REQUIRE(store->write(batch));
  CHECK(*store->get(Column::objects, "a1") == std::nullopt);
  CHECK(*store->get(Column::objects, "a2") == "after");
  CHECK(*store->get(Column::objects, "b1") == std::nullopt);
}

TEST_CASE("who only reads is given what a shard has written since, also of an object that it has read before",
          "[storage]") {
  test::TemporaryDirectory directory;
  auto database = Database::open({.path = directory.sub("db"), .deterministic = true});
  REQUIRE(database);
  auto store = (*database)->shard();
  auto reader = (*database)->reader();
  for (const char* value : {"before", "after"}) {
    StoreBatch batch;
    batch.put(Column::objects, "a", value);
    REQUIRE(store->write(batch));
    CHECK(*reader->get(Column::objects, "a") == value);
  }
}

}  // namespace
}  // namespace covey::object_cache_test
