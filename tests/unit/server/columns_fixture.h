// A node's feed and columns beside a small cluster, and what a full scan of its stored objects would give.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "replication/codec.h"
#include "server/column_feed.h"
#include "server/column_set.h"
#include "tests/unit/replication/small_cluster.h"

namespace covey::server::test_columns {

using covey::test::SmallCluster;

constexpr uint32_t partitions = 4;

inline TableDefinition definition(const std::string& conflicts = "siblings") {
  auto parsed = parse_table_definition(std::string_view(R"({"conflicts": ")" + conflicts + R"(", "columns": [
        {"name": "temp", "type": "float64"}, {"name": "count", "type": "int64"},
        {"name": "site", "path": "/at/site", "type": "string"}]})"));
  REQUIRE(parsed.ok());
  return std::move(*parsed);
}

// With two columns more.
inline TableDefinition wider_definition() {
  auto parsed = parse_table_definition(std::string_view(R"({"columns": [
        {"name": "temp", "type": "float64"}, {"name": "count", "type": "int64"},
        {"name": "site", "path": "/at/site", "type": "string"},
        {"name": "wind", "type": "int64"}, {"name": "deep", "path": "/x/0/temp", "type": "int64"}]})"));
  REQUIRE(parsed.ok());
  return std::move(*parsed);
}

// Of the wider one's columns some, elsewhere, with one between them.
inline TableDefinition other_definition() {
  auto parsed = parse_table_definition(std::string_view(R"({"columns": [
        {"name": "deep", "path": "/x/0/temp", "type": "int64"}, {"name": "site", "path": "/at/site", "type": "string"},
        {"name": "wind", "path": "/count", "type": "int64"}, {"name": "temp", "type": "float64"}]})"));
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
  uint64_t bytes_max = uint64_t{1} << 30;

  Columns() { feed.use_journal(std::make_unique<Kept::Sink>(kept)); }
  void restart() {
    events.clear();
    loaded.clear();
    set = std::make_unique<ColumnSet>(
        ColumnSetOptions{.shards = 1, .partitions = partitions, .bytes_max = bytes_max},
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

// Of these columns; the values of others are null.
inline std::vector<agg::Value> only(std::vector<agg::Value> values, const std::vector<uint32_t>& columns) {
  for (uint32_t i = 0; i < values.size(); ++i) {
    if (std::find(columns.begin(), columns.end(), i) == columns.end()) values[i] = {};
  }
  return values;
}

inline std::map<std::string, Row> rows_of(const ColumnPart& part, const std::vector<uint32_t>& columns) {
  std::map<std::string, Row> out;
  part.keys().with_prefix("", [&](agg::Slot slot) {
    REQUIRE(part.columns().is_live(slot));
    Row& row = out[part.keys().key(slot)];
    for (const agg::RowVersion& version : part.columns().siblings(slot))
      row.push_back({version.time, only(version.values, columns)});
    std::vector<agg::Value> latest;
    for (uint32_t i = 0; i < part.columns().schema().columns.size(); ++i)
      latest.push_back(part.columns().value(slot, i));
    std::pair<int64_t, std::vector<agg::Value>> last{part.columns().time(slot), only(latest, columns)};
    if (row.empty()) {
      row.push_back(last);
    } else {
      REQUIRE(row.back() == last);
    }
  });
  REQUIRE(out.size() == part.columns().rows());
  return out;
}

inline std::map<std::string, Row> scanned(Store& store, const ColumnTable& table, PartitionId id,
                                          uint64_t wall_ms, const std::vector<uint32_t>& columns) {
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
    for (RowState& version : table.rows(live)) row.push_back({version.time, only(version.values, columns)});
    if (!row.empty()) out[std::string(cursor->key().substr(prefix.size()))] = row;
  }
  return out;
}

inline void require_equal(Columns& columns, Store& store, const TableDefinition& table, uint64_t wall_ms,
                          const std::vector<uint32_t>& asked) {
  ColumnTable reader("default", table);
  for (uint32_t id = 0; id < partitions; ++id) {
    const ColumnPart* part = columns.set->find("default", table.text, PartitionId{id});
    REQUIRE(part != nullptr);
    INFO(part->why());
    REQUIRE(part->state() == ColumnPart::State::whole);
    REQUIRE(part->has(asked));
    REQUIRE(rows_of(*part, asked) == scanned(store, reader, PartitionId{id}, wall_ms, asked));
  }
}

inline std::string some_value(std::mt19937& random) {
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

struct StoryOptions {
  uint64_t bytes_max = uint64_t{1} << 30;  // of a node's columns
};
struct Told {
  uint64_t restored = 0;  // parts that began with what was kept
  uint64_t compared = 0, refused = 0;
  uint64_t evictions = 0, returns = 0;
  void add(const ColumnSet::Counts& counts) {
    restored += counts.restored_total;
    evictions += counts.evictions_total;
    returns += counts.returns_total;
  }
};

// Writers, readers and everything that happens to columns, in an order that the seed draws.
inline void story(uint32_t seed, const std::vector<TableDefinition>& definitions, Told& told,
                  StoryOptions options = {}) {
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::map<std::string, TableDefinition> tables;  // by node
  std::map<std::string, Columns> columns;
  std::map<std::string, Feed*> feeds;
  const std::vector<std::string> names = {"n1", "n2", "n3", "n4"};
  for (const std::string& name : names) feeds[name] = &columns[name].feed;
  for (auto& [name, one] : columns) {
    one.bytes_max = options.bytes_max;
    one.restart();
  }
  SmallCluster cluster(4, 3, partitions, {}, feeds);
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
  const bool all_fit = options.bytes_max >= StoryOptions().bytes_max;
  auto some_columns = [&](const std::string& name) {
    std::vector<uint32_t> out;
    for (uint32_t i = 0; i < tables[name].columns.size(); ++i) {
      if (all_fit || random() % 2 == 0) out.push_back(i);
    }
    return out;
  };
  // What is asked for is there in the end, and right, or refused for lack of memory.
  auto check = [&](const std::string& name, const std::vector<uint32_t>& asked) {
    Columns& one = columns[name];
    for (int tries = 0;; ++tries) {
      REQUIRE(tries < 40);
      one.settle(cluster.store(name), wall());
      const std::string why = one.set->ask("default", tables[name].text, asked, wall());
      if (!why.empty()) {
        REQUIRE(why.find(too_little_memory) == 0);
        ++told.refused;
        return;
      }
      bool ready = true;
      for (uint32_t id = 0; id < partitions; ++id) {
        const ColumnPart* part = one.set->find("default", tables[name].text, PartitionId{id});
        REQUIRE(part != nullptr);
        ready = ready && part->state() == ColumnPart::State::whole && part->has(asked);
      }
      if (ready) break;
      cluster.wait_ms(100);
    }
    REQUIRE(one.set->counts().bytes <= one.bytes_max);
    require_equal(one, cluster.store(name), tables[name], wall(), asked);
    ++told.compared;
  };
  for (int step = 0; step < 300; ++step) {
    const std::string name = names[random() % names.size()];
    const std::string key = "key " + std::to_string(random() % 40);
    Columns& one = columns[name];
    switch (random() % 18) {
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
        check(name, some_columns(name));
        break;
      }
      case 9: {  // a restart: of the columns only what was kept is left
        if (random() % 3 != 0) break;
        cluster.crash(name);
        told.add(one.set->counts());
        one.restart();
        one.feed.define({});
        one.events.clear();
        if (random() % 8 == 0) one.kept.written.resize(one.kept.written.size() * (random() % 8) / 8);
        one.define(tables[name]);
        break;
      }
      case 12:
        (void)one.set->ask("default", tables[name].text, some_columns(name), wall());
        break;
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
    check(name, some_columns(name));
    for (uint32_t i = 0; i < tables[name].columns.size(); ++i) check(name, {i});
    told.add(columns[name].set->counts());
  }
}

}  // namespace covey::server::test_columns
