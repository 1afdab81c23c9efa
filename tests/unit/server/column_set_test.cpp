// The columns are what a full scan of the stored objects would give, whatever happened to them and however
// changes and loading interleave.
#include "server/column_set.h"

#include <catch2/catch.hpp>
#include <random>

#include "replication/codec.h"
#include "server/column_feed.h"
#include "tests/unit/replication/small_cluster.h"

namespace covey::server {
namespace {

constexpr uint32_t partitions = 4;

TableDefinition definition(const std::string& conflicts = "siblings") {
  auto parsed = parse_table_definition(std::string_view(R"({"conflicts": ")" + conflicts + R"(", "columns": [
        {"name": "temp", "type": "float64"}, {"name": "count", "type": "int64"},
        {"name": "site", "path": "/at/site", "type": "string"}]})"));
  REQUIRE(parsed.ok());
  return std::move(*parsed);
}

// With two columns more.
TableDefinition wider_definition() {
  auto parsed = parse_table_definition(std::string_view(R"({"columns": [
        {"name": "temp", "type": "float64"}, {"name": "count", "type": "int64"},
        {"name": "site", "path": "/at/site", "type": "string"},
        {"name": "wind", "type": "int64"}, {"name": "deep", "path": "/x/0/temp", "type": "int64"}]})"));
  REQUIRE(parsed.ok());
  return std::move(*parsed);
}

// What outlives a process.
struct Kept final : ColumnHistory {
  std::map<std::pair<std::string, PartitionId>, std::string> parts;
  std::string written;  // changes
  ColumnChanges read;

  struct Sink final : ChangeSink {
    explicit Sink(Kept& to) : kept(to) {}
    void write(std::string_view batch) override { kept.written.append(batch); }
    void begin_file() override {}
    Kept& kept;
  };
  std::optional<std::string> part(const std::string& table, PartitionId partition) override {
    auto found = parts.find({table, partition});
    return found == parts.end() ? std::nullopt : std::optional(found->second);
  }
  const ColumnChanges& changes() override {
    read = ColumnChanges();
    (void)read.read(written);
    return read;
  }
};

// One node's feed and columns, with what is on its way between them.
struct Columns {
  std::vector<ColumnEvent> events;
  std::function<PartitionStates()> states;
  Kept kept;
  ColumnFeed feed{[this](std::vector<ColumnEvent>&& told) {
                    std::move(told.begin(), told.end(), std::back_inserter(events));
                  },
                  [this] { return states ? states() : PartitionStates(); }};
  std::vector<uint64_t> loaded;  // the shard has not heard of it yet
  std::unique_ptr<ColumnSet> set;

  Columns() { feed.use_journal(std::make_unique<Kept::Sink>(kept)); }
  void restart() {
    events.clear();
    loaded.clear();
    set = std::make_unique<ColumnSet>(
        ColumnSetOptions{.shards = 1, .partitions = partitions},
        [this](uint32_t, uint64_t number) { loaded.push_back(number); }, states ? &kept : nullptr);
  }
  // Some of the parts, and without those some changes.
  void keep(std::mt19937& random) {
    std::optional<ColumnSet::PartKey> last;
    bool all = true;
    while (auto checkpoint = set->next_checkpoint(last)) {
      all = all && random() % 4 != 0;
      if (!all) continue;
      kept.parts.erase({checkpoint->table, checkpoint->partition});
      if (!checkpoint->bytes.empty())
        kept.parts[{checkpoint->table, checkpoint->partition}] = checkpoint->bytes;
      set->kept(*checkpoint);
    }
    // What is on its way is not in the parts yet.
    if (all && events.empty() && !set->loading()) kept.written.clear();
  }
  void define(const TableDefinition& table, bool anew = true) {
    if (anew) feed.define({});
    feed.define({{"default", table}});
  }
  // The first `count` events arrive.
  void deliver(size_t count, uint64_t wall_ms) {
    count = std::min(count, events.size());
    std::vector<ColumnEvent> now(std::make_move_iterator(events.begin()),
                                 std::make_move_iterator(events.begin() + static_cast<ptrdiff_t>(count)));
    events.erase(events.begin(), events.begin() + static_cast<ptrdiff_t>(count));
    set->apply(0, now, wall_ms);
  }
  void hear() {
    for (uint64_t number : std::exchange(loaded, {})) feed.mark(number);
  }
  void settle(Store& store, uint64_t wall_ms) {
    while (!events.empty() || !loaded.empty() || set->loading()) {
      deliver(events.size(), wall_ms);
      if (set->loading()) set->load(store, 100, wall_ms);
      hear();
    }
    set->expire(wall_ms);
  }
};

using Row = std::vector<std::pair<int64_t, std::vector<agg::Value>>>;  // versions

std::map<std::string, Row> rows_of(const ColumnPart& part) {
  std::map<std::string, Row> out;
  part.keys().with_prefix("", [&](agg::Slot slot) {
    REQUIRE(part.columns().is_live(slot));
    Row& row = out[part.keys().key(slot)];
    for (const agg::RowVersion& version : part.columns().siblings(slot))
      row.push_back({version.time, version.values});
    std::vector<agg::Value> latest;
    for (uint32_t i = 0; i < part.columns().schema().columns.size(); ++i)
      latest.push_back(part.columns().value(slot, i));
    std::pair<int64_t, std::vector<agg::Value>> last{part.columns().time(slot), latest};
    if (row.empty()) {
      row.push_back(last);
    } else {
      REQUIRE(row.back() == last);
    }
  });
  REQUIRE(out.size() == part.columns().rows());
  return out;
}

std::map<std::string, Row> scanned(Store& store, const ColumnTable& table, PartitionId id, uint64_t wall_ms) {
  std::map<std::string, Row> out;
  std::string prefix = object_key(id, table.name(), "");
  auto cursor = store.cursor(Column::objects, prefix, after_prefix(prefix));
  for (; cursor->valid(); cursor->next()) {
    auto object = decode_object(cursor->value());
    REQUIRE(object.has_value());
    Object live = *object;
    std::erase_if(live.versions, [&](const Version& version) {
      return version.expires_ms != 0 && version.expires_ms <= wall_ms;
    });
    resolve(live, table.conflicts());
    Row row;
    for (RowState& version : table.rows(live)) row.push_back({version.time, version.values});
    if (!row.empty()) out[std::string(cursor->key().substr(prefix.size()))] = row;
  }
  return out;
}

void require_equal(Columns& columns, Store& store, const TableDefinition& table, uint64_t wall_ms) {
  ColumnTable reader("default", table);
  for (uint32_t id = 0; id < partitions; ++id) {
    const ColumnPart* part = columns.set->find("default", table.text, PartitionId{id});
    REQUIRE(part != nullptr);
    INFO(part->why());
    REQUIRE(part->state() == ColumnPart::State::whole);
    REQUIRE(rows_of(*part) == scanned(store, reader, PartitionId{id}, wall_ms));
  }
}

std::string some_value(std::mt19937& random) {
  switch (random() % 6) {
    case 0:
      return R"({"temp": )" + std::to_string(random() % 1000) + R"(.125, "at": {"site": "s)" +
             std::to_string(random() % 5) + R"("}})";
    case 1:
      return R"({"count": -)" + std::to_string(random() % 1000) + "}";
    case 2:
      return R"({"temp": "wrong", "count": 1.5, "at": [1]})";
    case 3:
      return "no JSON";
    default:
      return R"({"x": [{"temp": 1}], "temp": )" + std::to_string(random() % 1000) + R"(, "count": )" +
             std::to_string(random()) + R"(, "at": {"site": "a\u00e9"}})";
  }
}

// Answers how many parts began with what was kept.
uint64_t story(uint32_t seed, const std::vector<TableDefinition>& definitions) {
  uint64_t restored = 0;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::map<std::string, TableDefinition> tables;  // by node
  std::map<std::string, Columns> columns;
  std::map<std::string, Feed*> feeds;
  const std::vector<std::string> names = {"n1", "n2", "n3", "n4"};
  for (const std::string& name : names) feeds[name] = &columns[name].feed;
  for (auto& [name, one] : columns) one.restart();
  test::SmallCluster cluster(4, 3, partitions, {}, feeds);
  for (auto& [name, one] : columns) {
    one.states = [&cluster, of = name] {
      PartitionStates states;
      for (const PartitionView& view : cluster.core(of).partitions(cluster.now()))
        states.emplace(view.partition, view.state_hash);
      return states;
    };
    one.restart();
    one.define(tables[name] = definitions.front());
  }
  auto wall = [&] { return cluster.now().wall_ms; };
  for (int step = 0; step < 300; ++step) {
    const std::string name = names[random() % names.size()];
    const std::string key = "key " + std::to_string(random() % 40);
    Columns& one = columns[name];
    switch (random() % 17) {
      case 0:
        cluster.isolate(name);
        break;
      case 1:
        cluster.heal();
        break;
      case 2:
        cluster.wait_ms(random() % 3000);
        break;
      case 3:
        one.deliver(random() % 20, wall());
        break;
      case 4:
        if (one.set->loading()) one.set->load(cluster.store(name), random() % 5, wall());
        break;
      case 5:
        one.hear();
        break;
      case 6:
        one.set->reload(0);
        break;
      case 7:
        one.define(tables[name] = definitions[random() % definitions.size()], random() % 4 == 0);
        break;
      case 8: {
        one.settle(cluster.store(name), wall());
        require_equal(one, cluster.store(name), tables[name], wall());
        break;
      }
      case 9: {  // a restart: of the columns only what was kept is left
        if (random() % 3 != 0) break;
        cluster.crash(name);
        restored += one.set->counts().restored_total;
        one.restart();
        one.feed.define({});
        one.events.clear();
        if (random() % 8 == 0) one.kept.written.resize(one.kept.written.size() * (random() % 8) / 8);
        one.define(tables[name]);
        break;
      }
      case 10:
      case 11: {
        if (random() % 2 == 0) {
          one.keep(random);
          break;
        }
        Response read = cluster.get(name, key, "one", true);
        cluster.erase(name, key, read.context);
        break;
      }
      default: {
        Request request = cluster.make(Operation::put, key, "one", true);
        request.value = some_value(random);
        if (random() % 2 == 0) request.context = cluster.get(name, key, "one", true).context;
        if (random() % 4 == 0) request.expires_ms = wall() + random() % 4000;
        cluster.ask(name, std::move(request));
      }
    }
  }
  cluster.heal();
  cluster.wait_ms(10'000);
  for (const std::string& name : names) {
    columns[name].settle(cluster.store(name), wall());
    require_equal(columns[name], cluster.store(name), tables[name], wall());
    restored += columns[name].set->counts().restored_total;
  }
  return restored;
}

}  // namespace

TEST_CASE("columns equal a full scan of the objects after writes, deletes, merges, siblings, expiry, crashes",
          "[columns]") {
  uint64_t restored = 0;
  for (uint32_t seed = 1; seed <= 12; ++seed) restored += story(seed, {definition()});
  REQUIRE(restored > 20);
}

TEST_CASE("columns of a table where the last write wins equal what its readers see", "[columns]") {
  for (uint32_t seed = 21; seed <= 26; ++seed) (void)story(seed, {definition("lww")});
}

TEST_CASE("a table that gets more columns keeps those that it had while the others are filled", "[columns]") {
  for (uint32_t seed = 31; seed <= 36; ++seed) {
    std::mt19937 random(seed);
    const std::vector<TableDefinition> definitions = {definition(), wider_definition(), definition("lww")};
    (void)story(seed, definitions);
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
  require_equal(one, cluster.store("n1"), after, cluster.now().wall_ms);
  REQUIRE(one.set->find("default", before.text, PartitionId{1}) == nullptr);
}

TEST_CASE("a part that passes the memory for columns fails, says why, and gives its memory back",
          "[columns]") {
  std::vector<uint64_t> loaded;
  ColumnSet set({.shards = 1, .partitions = 1, .bytes_max = 4096},
                [&](uint32_t, uint64_t number) { loaded.push_back(number); });
  auto table = make_column_table("default", definition());
  std::vector<ColumnEvent> events;
  events.push_back({.kind = ColumnEvent::Kind::defined, .table = table});
  for (int i = 0; i < 1000; ++i) {
    events.push_back({.kind = ColumnEvent::Kind::row, .table = table, .key = "key " + std::to_string(i)});
    events.back().versions.push_back({i, 0, {1.5, int64_t{i}, std::string("site")}});
  }
  set.apply(0, events, 0);
  const ColumnPart* part = set.find("default", table->definition(), PartitionId{0});
  REQUIRE(part != nullptr);
  REQUIRE(part->state() == ColumnPart::State::failed);
  REQUIRE(part->why().find("memory") != std::string::npos);
  REQUIRE(set.counts().bytes == 0);
  REQUIRE(set.counts().rows == 0);
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

}  // namespace covey::server
