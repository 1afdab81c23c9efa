// Over their limit of memory columns leave and come back: never a wrong row, and no more memory than allowed.
#include <catch2/catch.hpp>

#include "tests/unit/server/columns_fixture.h"

namespace covey::server::column_memory_test {

using namespace test_columns;

namespace {

// One node with two tables of three columns, of which all objects are stored.
struct TwoTables {
  std::map<std::string, Columns> columns;
  Columns& one = columns["n1"];
  SmallCluster cluster{1, 1, partitions, {}, {{"n1", &one.feed}}};
  const TableDefinition table = definition("lww");
  uint64_t wall_ms = cluster.now().wall_ms;

  explicit TwoTables(int rows = 3000) {
    one.states = [this] {
      PartitionStates states;
      for (const PartitionView& view : cluster.core("n1").partitions(cluster.now()))
        states.emplace(view.partition, view.state_hash);
      return states;
    };
    start(uint64_t{1} << 30);
    for (int i = 0; i < rows; ++i) {
      for (const char* name : {"a", "b"}) put(name, i, i);
    }
    settle();
  }
  void start(uint64_t bytes_max) {
    one.bytes_max = bytes_max;
    one.restart();
    one.feed.define({});
    one.events.clear();
    one.feed.define({{"a", table}, {"b", table}});
  }
  void put(const std::string& name, int key, int value) {
    Request request = cluster.make(Operation::put, "key " + std::to_string(key), "one", true);
    request.table = name;
    request.conflicts = Conflicts::last_write_wins;
    request.value = R"({"temp": )" + std::to_string(value) + R"(.5, "count": )" + std::to_string(value) +
                    R"(, "at": {"site": "s)" + std::to_string(value % 7) + R"("}})";
    REQUIRE(cluster.ask("n1", std::move(request)).status == Status::ok);
  }
  void settle() { one.settle(cluster.store("n1"), wall_ms); }
  std::string ask(const std::string& name, const std::vector<uint32_t>& asked) {
    return one.set->ask(name, table.text, asked, wall_ms);
  }
  ColumnSet::Counts counts() const { return one.set->counts(); }
  const ColumnPart& part(const std::string& name, uint32_t id = 0) const {
    const ColumnPart* found = one.set->find(name, table.text, PartitionId{id});
    REQUIRE(found != nullptr);
    return *found;
  }
  bool has(const std::string& name, const std::vector<uint32_t>& asked) const {
    bool all = true;
    for (uint32_t id = 0; id < partitions; ++id) {
      const ColumnPart& one_part = part(name, id);
      all = all && one_part.state() == ColumnPart::State::whole && one_part.has(asked);
    }
    return all;
  }
  int64_t sum_of_counts(const std::string& name) const {
    int64_t sum = 0;
    for (uint32_t id = 0; id < partitions; ++id) {
      part(name, id).keys().with_prefix("", [&](agg::Slot slot) {
        const agg::Value value = part(name, id).columns().value(slot, 1);
        sum += std::get<int64_t>(value);
      });
    }
    return sum;
  }
  void keep_all() {
    std::optional<ColumnSet::PartKey> last;
    while (auto checkpoint = one.set->next_checkpoint(last)) {
      one.kept.parts[{checkpoint->table, checkpoint->partition}] = checkpoint->bytes;
      one.set->kept(*checkpoint);
    }
  }
};

}  // namespace

TEST_CASE("columns that left come back as a full scan would give them, whatever happened meanwhile",
          "[columns]") {
  Told told;
  uint32_t seed = 100;
  for (uint64_t bytes_max : {6'000, 12'000, 24'000, 36'000, 42'000, 48'000}) {
    for (int i = 0; i < 4; ++i)
      story(++seed, {definition(), wider_definition(), definition("lww"), other_definition()}, told,
            {.bytes_max = bytes_max});
  }
  REQUIRE(told.compared > 100);
  REQUIRE(told.refused > 20);
  REQUIRE(told.evictions > 100);
  REQUIRE(told.returns > 50);
  REQUIRE(told.restored > 20);
}

TEST_CASE("what was asked for longest ago leaves first, and what is asked for comes back", "[columns]") {
  TwoTables node;
  const uint64_t all_bytes = node.counts().bytes;
  REQUIRE(node.ask("a", {0, 1, 2}).empty());
  REQUIRE(node.ask("b", {0}).empty());
  REQUIRE(node.ask("b", {1}).empty());
  REQUIRE(node.ask("a", {1}).empty());
  // Of both tables, all were loaded and asked for before there was too little memory.
  node.start(all_bytes);
  node.settle();
  REQUIRE(node.counts().evictions_total == 0);
  REQUIRE(node.ask("a", {0, 1, 2}).empty());
  REQUIRE(node.ask("b", {0, 1, 2}).empty());
  REQUIRE(node.ask("a", {0}).empty());
  // More rows than there is room for: columns of a that were not asked for again leave, the larger first.
  for (int i = 3000; !node.counts().evictions_total; ++i) {
    node.put("b", i, i);
    node.settle();
  }
  REQUIRE_FALSE(node.has("a", {1}));
  REQUIRE(node.has("a", {0, 2}));
  REQUIRE(node.has("b", {0, 1, 2}));
  REQUIRE(node.counts().evicted_columns == 1);
  REQUIRE(node.counts().evicted_bytes > 3000 * 8);
  REQUIRE(node.counts().bytes <= all_bytes);
  // It comes back in place of what is less wanted by now, and follows writes again.
  REQUIRE(node.ask("a", {1}).empty());
  REQUIRE_FALSE(node.has("a", {1}));
  node.put("a", 1, 1'000'000);
  node.settle();
  REQUIRE(node.has("a", {1}));
  REQUIRE_FALSE(node.has("a", {2}));
  REQUIRE(node.sum_of_counts("a") == 2999 * 3000 / 2 - 1 + 1'000'000);
  REQUIRE(node.counts().returns_total == 1);
  REQUIRE(node.counts().bytes <= all_bytes);
}

TEST_CASE("of tables that nobody asked for, one leaves whole, and comes back from its checkpoint",
          "[columns]") {
  TwoTables node;
  node.keep_all();
  const uint64_t all_bytes = node.counts().bytes;
  node.start(all_bytes * 3 / 4);
  node.settle();
  REQUIRE(node.counts().evicted_tables == 1);
  REQUIRE(node.counts().evicted_columns == 0);
  const std::string gone = node.has("a", {}) ? "b" : "a", other = gone == "a" ? "b" : "a";
  REQUIRE(node.has(other, {0, 1, 2}));
  REQUIRE(node.part(gone).state() == ColumnPart::State::evicted);
  REQUIRE(node.part(gone).columns().rows() == 0);
  node.put(gone, 5, 2'000'000);  // while it is away
  node.settle();
  const uint64_t restored = node.counts().restored_total, rebuilt = node.counts().rebuilt_total;
  REQUIRE(node.ask(gone, {1}).empty());
  node.settle();
  REQUIRE(node.has(gone, {1}));
  REQUIRE(node.sum_of_counts(gone) == 2999 * 3000 / 2 - 5 + 2'000'000);
  REQUIRE(node.counts().restored_total == restored + partitions);
  REQUIRE(node.counts().rebuilt_total == rebuilt);
  REQUIRE(node.counts().bytes <= node.one.bytes_max);
}

TEST_CASE("columns for which there is no room are refused by the name of the setting, and not tried at once",
          "[columns]") {
  TwoTables node;
  const uint64_t all_bytes = node.counts().bytes;
  node.start(all_bytes / 4);  // half of a table
  node.settle();
  REQUIRE(node.ask("a", {0, 1, 2}).empty());
  node.settle();
  const std::string why = node.ask("a", {0, 1, 2});
  REQUIRE(why.find("aggregation.memory_mb") != std::string::npos);
  REQUIRE(why.find("table a") != std::string::npos);
  REQUIRE(node.counts().refused_total == 1);
  REQUIRE(node.counts().bytes <= all_bytes / 4);
  node.wall_ms += 60'000;
  REQUIRE_FALSE(node.ask("a", {0, 1, 2}).empty());
  REQUIRE(node.counts().returns_total == 1);
  node.wall_ms += 300'000;
  REQUIRE(node.ask("a", {0, 1, 2}).empty());
  REQUIRE(node.counts().returns_total == 2);
}

TEST_CASE("two who ask in turns for what does not fit together are both served", "[columns]") {
  TwoTables node;
  node.start(node.counts().bytes * 3 / 4);
  node.settle();
  int served_a = 0, served_b = 0;
  for (int turn = 0; turn < 200; ++turn) {
    // Both ask again every 50 ms until they are answered; loading takes several of these.
    node.wall_ms += 50;
    REQUIRE(node.ask("a", {0, 1, 2}).empty());
    REQUIRE(node.ask("b", {0, 1, 2}).empty());
    served_a += node.has("a", {0, 1, 2}) ? 1 : 0;
    served_b += node.has("b", {0, 1, 2}) ? 1 : 0;
    node.one.deliver(node.one.events.size(), node.wall_ms);
    if (node.one.set->loading()) node.one.set->load(node.cluster.store("n1"), 1500, node.wall_ms);
    node.one.hear();
  }
  REQUIRE(served_a > 5);
  REQUIRE(served_b > 5);
  REQUIRE(node.counts().refused_total == 0);
}

}  // namespace covey::server::column_memory_test
