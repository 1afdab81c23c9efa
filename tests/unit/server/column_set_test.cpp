// The columns are what a full scan of the stored objects would give, whatever happened to them and however
// changes and loading interleave.
#include "server/column_set.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/server/columns_fixture.h"

namespace covey::server::column_set_test {

using namespace test_columns;

TEST_CASE("columns equal a full scan of the objects after writes, deletes, merges, siblings, expiry, crashes",
          "[columns]") {
  Told told;
  for (uint32_t seed = 1; seed <= 12; ++seed) story(seed, {definition()}, told);
  REQUIRE(told.restored > 20);
  REQUIRE(told.refused == 0);
}

TEST_CASE("columns of a table where the last write wins equal what its readers see", "[columns]") {
  Told told;
  for (uint32_t seed = 21; seed <= 26; ++seed) story(seed, {definition("lww")}, told);
}

TEST_CASE("a table that gets more columns keeps those that it had while the others are filled", "[columns]") {
  Told told;
  for (uint32_t seed = 31; seed <= 40; ++seed) {
    const std::vector<TableDefinition> definitions = {definition(), wider_definition(), definition("lww"),
                                                      other_definition()};
    story(seed, definitions, told);
  }
  // As seen from outside: whole all the time, but for the new column.
  const TableDefinition before = definition(), after = wider_definition();
  std::map<std::string, Columns> columns;
  Columns& one = columns["n1"];
  test::SmallCluster cluster(1, 1, partitions, {}, {{"n1", &one.feed}});
  one.restart();
  one.define(before);
  for (int i = 0; i < 100; ++i) {
    Request request = cluster.make(Operation::put, "key " + std::to_string(i), "one", true);
    request.value = R"({"temp": 1.5, "wind": )" + std::to_string(i) + R"(, "at": {"site": "eu"}})";
    cluster.ask("n1", std::move(request));
  }
  one.settle(cluster.store("n1"), cluster.now().wall_ms);
  one.feed.define({{"default", after}});
  one.deliver(one.events.size(), cluster.now().wall_ms);
  const ColumnPart* part = one.set->find("default", after.text, PartitionId{1});
  REQUIRE(part != nullptr);
  REQUIRE(part->state() == ColumnPart::State::whole);
  const std::vector<uint32_t> old_columns = {0, 1, 2, 5}, new_column = {3};
  REQUIRE(part->has(old_columns));
  REQUIRE_FALSE(part->has(new_column));
  REQUIRE(part->columns().rows() > 0);
  one.settle(cluster.store("n1"), cluster.now().wall_ms);
  REQUIRE(part->has(new_column));
  require_equal(one, cluster.store("n1"), after, cluster.now().wall_ms, {0, 1, 2, 3, 4});
  REQUIRE(one.set->find("default", before.text, PartitionId{1}) == nullptr);
  // Likewise wherever the new columns stand, and those that stay.
  const TableDefinition other = other_definition();
  one.feed.define({{"default", other}});
  one.deliver(one.events.size(), cluster.now().wall_ms);
  part = one.set->find("default", other.text, PartitionId{1});
  REQUIRE(part != nullptr);
  REQUIRE(part->state() == ColumnPart::State::whole);
  const std::vector<uint32_t> stay = {0, 1, 3}, filled = {2};
  REQUIRE(part->has(stay));
  REQUIRE_FALSE(part->has(filled));
  one.settle(cluster.store("n1"), cluster.now().wall_ms);
  require_equal(one, cluster.store("n1"), other, cluster.now().wall_ms, {0, 1, 2, 3});
}

TEST_CASE("a row is read out of a value as its columns are declared", "[columns]") {
  auto table = make_column_table("t", definition());
  std::vector<agg::Value> row;
  auto read = [&](std::string_view text) {
    table->read(text, row);
    return row;
  };
  using Values = std::vector<agg::Value>;
  REQUIRE(read(R"({"temp": 1.5, "count": 7, "at": {"site": "eu"}})") == Values{1.5, int64_t{7}, "eu"});
  REQUIRE(read(R"({"at": {"x": 1, "site": "a\"b"}, "count": -9223372036854775808})") ==
          Values{{}, INT64_MIN, "a\"b"});
  REQUIRE(read(R"({"temp": 3, "temp": 4})") == Values{3.0, {}, {}});
  REQUIRE(read(R"({"te\u006dp": 3})") == Values{3.0, {}, {}});
  REQUIRE(read(R"({"temp": 123456789012345678901234567890})") ==
          Values{123456789012345678901234567890.0, {}, {}});
  REQUIRE(read(R"({"temp": "3", "count": 3.0, "at": "eu"})") == Values{{}, {}, {}});
  REQUIRE(read(R"({"temp": null})") == Values{{}, {}, {}});
  REQUIRE(read("[1]") == Values{{}, {}, {}});
  REQUIRE(read("") == Values{{}, {}, {}});
  REQUIRE(read(R"({"temp": 1, )") == Values{{}, {}, {}});
}

TEST_CASE("a row that the check of a value reads is the one that the value is read as later", "[columns]") {
  const TableDefinition checked = definition();
  auto table = make_column_table("t", checked);
  for (const char* text : {R"({"temp": 1.5, "count": 7, "at": {"site": "a\u00e9"}})", "{}",
                           R"({"temp": 3, "temp": 4})", R"({"temp": 9007199254740993, "count": null})",
                           R"({"temp": 18446744073709551615})", R"({"temp": 1e-5, "at": {"site": ""}})"}) {
    INFO(text);
    std::vector<agg::Value> row, read;
    REQUIRE_FALSE(check_columns(checked, text, &row));
    table->read(text, read);
    REQUIRE(row == read);
  }
  // What 64 bits can't hold is read out of the text by its digits.
  std::vector<agg::Value> row = {1.0};
  REQUIRE_FALSE(check_columns(checked, R"({"temp": 123456789012345678901234567890})", &row));
  REQUIRE(row.empty());
}

TEST_CASE("a row that was read is taken once, for its value and definition alone", "[columns]") {
  auto table = make_column_table("t", definition());
  ReadRows known;
  Object object;
  object.versions.push_back({.value = R"({"count": 1})"});
  auto count = [&] { return table->rows(object, &known).at(0).values.at(1); };
  known.put({row_name(table->definition(), object.versions[0].value), {{}, int64_t{2}, {}}});
  REQUIRE(count() == agg::Value(int64_t{2}));  // the marked one
  REQUIRE(count() == agg::Value(int64_t{1}));
  known.put({row_name("another", object.versions[0].value), {{}, int64_t{2}, {}}});
  known.put({row_name(table->definition(), "{}"), {{}, int64_t{2}, {}}});
  REQUIRE(count() == agg::Value(int64_t{1}));
}

TEST_CASE("a value's row expires with its key") {
  auto definition =
      parse_table_definition(std::string_view(R"({"columns": [{"name": "n", "type": "int64"}]})"));
  REQUIRE(definition);
  const auto table = make_column_table("t", *definition);
  Object object;
  Version value{.dot = {Actor{1}, {1}}, .time = Hlc{uint64_t{1'000} << 16}, .value = R"({"n": 1})"};
  object.versions.push_back(value);
  CHECK(table->rows(object).at(0).expires_ms == 0);
  Version expiry{.dot = {Actor{1}, {2}}, .time = Hlc{uint64_t{2'000} << 16}, .expires_ms = 5'000};
  expiry.kind = VersionKind::expiry;
  object.versions.push_back(expiry);
  CHECK(table->rows(object).at(0).expires_ms == 5'000);
}

TEST_CASE("each key has one slot and each slot one key", "[columns]") {
  std::mt19937 random(1);
  KeyIndex index;
  std::map<std::string, agg::Slot> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::string key = std::string(random() % 3 == 0 ? 20 : 1, 'k') + std::to_string(random() % 700);
    if (random() % 2 == 0) {
      auto slot = index.insert(key);
      REQUIRE(slot.has_value());
      auto [at, is_new] = model.try_emplace(key, *slot);
      REQUIRE(at->second == *slot);
      REQUIRE(index.key(*slot) == key);
    } else {
      auto slot = index.erase(key);
      REQUIRE(slot.has_value() == (model.erase(key) == 1));
    }
    REQUIRE(index.size() == model.size());
  }
  for (const auto& [key, slot] : model) REQUIRE(index.find(key) == slot);
  size_t with_prefix = 0;
  index.with_prefix("kk", [&](agg::Slot) { ++with_prefix; });
  REQUIRE(with_prefix == static_cast<size_t>(std::count_if(
                             model.begin(), model.end(), [](auto& entry) { return entry.first[1] == 'k'; })));
}

TEST_CASE("columns of a copy that was filled at once have all its rows", "[columns]") {
  const TableDefinition table = definition();
  Columns columns;
  test::SmallCluster cluster(2, 2, partitions, {}, {{"n2", &columns.feed}});
  columns.restart();
  columns.define(table);
  const auto write = [&](int first, int end) {
    for (int i = first; i < end; ++i) {
      Request request = cluster.make(Operation::put, "key " + std::to_string(i), "one", true);
      request.value = R"({"temp": 1.5, "at": {"site": "eu"}})";
      cluster.ask("n1", std::move(request));
    }
  };
  write(0, 100);
  cluster.wait_ms(5'000);
  cluster.isolate("n2");
  cluster.store("n2") = MemoryStore();
  columns.restart();
  cluster.start("n2", {.life = 77'001, .fallback_life = 77'002, .fresh = true});
  columns.define(table);
  columns.settle(cluster.store("n2"), cluster.now().wall_ms);
  cluster.join("n1", "n2");
  cluster.wait_ms(20);
  write(100, 120);  // of which n2 hears while it is filled
  cluster.wait_ms(5'000);
  REQUIRE(cluster.core("n2").stats().copies_filled > 0);
  columns.settle(cluster.store("n2"), cluster.now().wall_ms);
  require_equal(columns, cluster.store("n2"), table, cluster.now().wall_ms, {0, 1, 2, 3});
}

}  // namespace covey::server::column_set_test
