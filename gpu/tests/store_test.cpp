// What the feed relies on: whole batches, slots, nulls, dictionaries, zone maps that only widen, limits.
#include <limits>

#include "gpu/column_store.h"
#include "gpu/order.h"
#include "gpu/tests/check.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

Schema small_schema() {
  return {{{"x", ColumnType::kFloat64}, {"n", ColumnType::kInt64}, {"s", ColumnType::kString}}};
}

std::vector<Value> row(double x, int64_t n, const char* s) { return {x, n, std::string(s)}; }

ErrorCode code_of(const Status& status) { return status ? ErrorCode::kNoDevice : status.error().code; }

}  // namespace

TEST_CASE("slots: the lowest free one is given, and none beyond the limit") {
  SlotAllocator slots(200);
  for (Slot i = 0; i < 200; ++i) CHECK_EQUAL(*slots.allocate(), i);
  CHECK(!slots.allocate());
  CHECK(slots.release(70) && slots.release(3) && !slots.release(3));
  CHECK(slots.claim(70) && !slots.claim(70) && !slots.claim(200));
  CHECK_EQUAL(*slots.allocate(), 3u);
  CHECK(!slots.allocate());
  CHECK_EQUAL(slots.count(), 200u);
}

TEST_CASE("a store holds what was put last, and nulls where nothing was") {
  ColumnStore store(small_schema(), {.tile_rows = 64});
  UpdateBatch batch;
  batch.put(3, 10, row(1.5, 7, "a"));
  batch.put(200, 20, std::vector<Value>{Value(), int64_t{8}, Value()});
  CHECK(store.apply(batch).ok());
  CHECK_EQUAL(store.rows(), 2u);
  CHECK(store.value(3, 0) == Value(1.5) && store.value(3, 2) == Value(std::string("a")));
  CHECK(is_null(store.value(200, 0)) && is_null(store.value(200, 2)) &&
        store.value(200, 1) == Value(int64_t{8}));
  CHECK_EQUAL(store.time(200), 20);
  CHECK(store.tile(0, 3) == nullptr);
  batch.clear();
  batch.put(3, 11, std::vector<Value>{2.5, Value(), std::string("b")});
  batch.set(200, 0, -0.0);
  batch.erase(100);
  CHECK(store.apply(batch).ok());
  CHECK(store.value(3, 0) == Value(2.5) && is_null(store.value(3, 1)));
  CHECK_EQUAL(bits_of(std::get<double>(store.value(200, 0))), 0u);  // -0 is 0
  CHECK_EQUAL(store.dictionary(2).size(), 1u);                      // "a" is held by no row any more
  batch.clear();
  batch.erase(3);
  CHECK(store.apply(batch).ok());
  CHECK(!store.is_live(3) && is_null(store.value(3, 0)) && store.rows() == 1);
  CHECK_EQUAL(store.dictionary(2).size(), 0u);
  CHECK_EQUAL(store.tile(0, 0)->floats()[3], 0.0);  // dead rows hold zeros
}

TEST_CASE("a batch that can't be applied changes nothing") {
  auto dictionary = std::make_shared<Dictionary>(2);
  ColumnStore store(small_schema(), {.tile_rows = 64, .slots_max = 1000}, {nullptr, nullptr, dictionary});
  UpdateBatch first;
  first.put(1, 1, row(1, 1, "a"));
  CHECK(store.apply(first).ok());
  const auto refused = [&](auto fill, ErrorCode code) {
    UpdateBatch batch;
    batch.put(2, 2, row(2, 2, "a"));
    fill(batch);
    const Status applied = store.apply(batch);
    CHECK(code_of(applied) == code);
    CHECK(!applied && !applied.error().message.empty());
    CHECK(!store.is_live(2));
    CHECK_EQUAL(store.rows(), 1u);
  };
  refused([](UpdateBatch& b) { b.put(1000, 1, row(1, 1, "a")); }, ErrorCode::kBadUpdate);
  refused([](UpdateBatch& b) { b.put(5, 1, std::vector<Value>{1.0}); }, ErrorCode::kBadUpdate);
  refused(
      [](UpdateBatch& b) {
        b.put(5, 1, std::vector<Value>{int64_t{1}, Value(), Value()});
      },
      ErrorCode::kBadUpdate);
  refused(
      [](UpdateBatch& b) {
        b.put(5, 1, std::vector<Value>{Value(), 1.0, Value()});
      },
      ErrorCode::kBadUpdate);
  refused([](UpdateBatch& b) { b.set(7, 0, 1.0); }, ErrorCode::kBadUpdate);
  refused([](UpdateBatch& b) { b.set(1, 9, 1.0); }, ErrorCode::kBadUpdate);
  refused([](UpdateBatch& b) { b.put_siblings(5, {{1, row(1, 1, "a")}}); }, ErrorCode::kBadUpdate);
  refused([](UpdateBatch& b) { b.put(5, 1, row(1, 1, std::string(2000, 'x').c_str())); },
          ErrorCode::kBadUpdate);
  refused(
      [](UpdateBatch& b) {
        b.put(5, 1, row(1, 1, "b"));
        b.put(6, 1, row(1, 1, "c"));
      },
      ErrorCode::kDictionaryFull);
  UpdateBatch erased;
  erased.put(2, 2, row(2, 2, "a"));
  erased.erase(2);
  erased.set(2, 0, 3.0);
  CHECK(code_of(store.apply(erased)) == ErrorCode::kBadUpdate);
}

TEST_CASE("memory: a batch beyond the limit is refused, a dropped column gives its bytes back") {
  ColumnStore store(small_schema(), {.tile_rows = 1024, .bytes_max = 64 * 1024});
  UpdateBatch batch;
  for (Slot slot = 0; slot < 1000; ++slot) batch.put(slot, 1, row(slot, slot, "a"));
  CHECK(store.apply(batch).ok());
  const uint64_t bytes = store.bytes();
  CHECK_EQUAL(bytes, 1024u * (8 + 8 + 4 + 8) + 5 * 128);
  batch.clear();
  for (Slot slot = 2000; slot < 3024; ++slot) batch.put(slot, 1, row(slot, slot, "a"));
  CHECK(code_of(store.apply(batch)) == ErrorCode::kOutOfMemory);
  CHECK(store.rows() == 1000 && store.bytes() == bytes);
  store.set_state(0, ColumnState::kAbsent);
  CHECK_EQUAL(store.bytes(), bytes - 1024 * 8 - 128);
  batch.clear();
  batch.put(5, 2, row(77, 5, "b"));
  CHECK(store.apply(batch).ok());
  CHECK(is_null(store.value(5, 0)));
  store.set_state(0, ColumnState::kWhole);
  CHECK(store.state(0) == ColumnState::kFilling);  // its rows have to be given again
}

TEST_CASE("small tables take little memory") {
  ColumnStore store(small_schema());
  UpdateBatch batch;
  for (Slot slot = 0; slot < 20; ++slot) batch.put(slot, 1, row(slot, slot, "a"));
  CHECK(store.apply(batch).ok());
  CHECK(store.bytes() < 10000);
}

TEST_CASE("zone maps widen and never narrow; counts are exact") {
  ColumnStore store(small_schema(), {.tile_rows = 64});
  UpdateBatch batch;
  batch.put(0, 1, row(1.5, -4, "a"));
  batch.put(1, 1, row(-1024, 9, "a"));
  batch.put(2, 1, std::vector<Value>{std::numeric_limits<double>::infinity(), Value(), Value()});
  CHECK(store.apply(batch).ok());
  const ZoneMap& zone = store.tile(0, 0)->zone;
  CHECK(zone.count == 3 && zone.has_special && zone.low == -1 && zone.high == 11);
  CHECK(zone.min == order_float(-1024) && zone.max == order_float(1.5));
  batch.clear();
  batch.erase(1);
  batch.erase(2);
  batch.put(0, 2, row(1, -4, "a"));
  const uint64_t version = store.tile(0, 0)->version;
  CHECK(store.apply(batch).ok());
  CHECK(zone.count == 1 && zone.has_special && zone.low == -1 && zone.high == 11);
  CHECK(store.tile(0, 0)->version > version);
}

TEST_CASE("a column added to a filled table is refused to scans until it is whole") {
  ColumnStore store(small_schema(), {.tile_rows = 64});
  UpdateBatch batch;
  for (Slot slot = 0; slot < 100; ++slot) batch.put(slot, 1, row(slot, slot, "a"));
  CHECK(store.apply(batch).ok());
  add_column(store, {"y", ColumnType::kFloat64});
  Query query;
  query.aggregates = {aggregate(AggregateKind::kSum, "y")};
  Query other;
  other.aggregates = {aggregate(AggregateKind::kSum, "x")};
  const auto plan = plan_of(store.schema(), {query, other});
  Stores stores;
  stores.inputs.push_back({&store, {}});
  const auto backend = make_cpu_backend({.threads = 1});
  auto partials = scan_of(*backend, *plan, stores);
  const auto refused = partials->finish(*plan, 0);
  CHECK(!refused && refused.error().code == ErrorCode::kColumnNotReady && refused.error().subject == "y");
  CHECK(partials->finish(*plan, 1).ok());  // the batch's other queries are answered
  batch.clear();
  for (Slot slot = 0; slot < 100; ++slot) batch.set(slot, 3, slot * 2.0);
  CHECK(store.apply(batch).ok());
  store.set_state(3, ColumnState::kWhole);
  partials = scan_of(*backend, *plan, stores);
  CHECK(answer_of(*partials, *plan).groups[0].aggregates[0].values[0] == Number(9900.0));
}

TEST_CASE("columns that change their places keep their rows, siblings and strings, and the others are null") {
  auto strings = std::make_shared<Dictionary>();
  ColumnStore store(small_schema(), {.tile_rows = 64}, {nullptr, nullptr, strings});
  UpdateBatch batch;
  for (Slot slot = 0; slot < 100; ++slot) batch.put(slot, slot, row(slot, slot * 2, "a"));
  batch.put_siblings(7, {{1, row(1, 2, "b")}, {2, row(3, 4, "c")}});
  CHECK(store.apply(batch).ok());
  const uint64_t id = store.id();
  const Schema before = store.schema();
  const ColumnSpec integers = before.columns[1], texts = before.columns[2];
  auto others = std::make_shared<Dictionary>();
  const std::vector<uint32_t> from = {2, kNewColumn, 1};
  store.rearrange({{texts, {"new", ColumnType::kString}, integers}}, from, {nullptr, others, nullptr});
  CHECK(store.id() != id);
  CHECK(store.state(0) == ColumnState::kWhole && store.state(1) == ColumnState::kFilling);
  CHECK(store.value(5, 0) == Value("a") && is_null(store.value(5, 1)) &&
        store.value(5, 2) == Value(int64_t{10}));
  CHECK(store.time(5) == 5);
  const auto versions = store.siblings(7);
  CHECK(versions.size() == 2 && versions[0].values == std::vector<Value>({"b", {}, int64_t{2}}));
  CHECK_EQUAL(strings->size(), 3u);
  batch.clear();
  batch.set(5, 1, std::string("x"));
  CHECK(store.apply(batch).ok());
  CHECK_EQUAL(others->size(), 1u);
  const uint64_t bytes = store.bytes();
  const uint64_t freed = store.column_bytes(0) + store.column_bytes(1);
  const std::vector<uint32_t> one = {2};
  store.rearrange({{integers}}, one);
  CHECK_EQUAL(strings->size(), 0u);
  CHECK_EQUAL(others->size(), 0u);
  CHECK_EQUAL(store.bytes(), bytes - freed);
  CHECK(store.value(7, 0) == Value(int64_t{4}) && store.siblings(7)[0].values.size() == 1);
  batch.clear();
  batch.erase(7);
  CHECK(store.apply(batch).ok());
  strings->trim();
  CHECK(strings->bytes() == 0);
}

TEST_CASE("stores that shared a dictionary leave it empty when they go") {
  auto dictionary = std::make_shared<Dictionary>();
  Random random(5);
  {
    ColumnStore a(small_schema(), {.tile_rows = 64}, {nullptr, nullptr, dictionary});
    ColumnStore b(small_schema(), {.tile_rows = 64}, {nullptr, nullptr, dictionary});
    for (int round = 0; round < 300; ++round) {
      UpdateBatch batch;
      const std::string text = "t" + std::to_string(random.below(20));
      const auto slot = static_cast<Slot>(random.below(300));
      if (random.chance(0.3)) {
        batch.erase(slot);
      } else if (random.chance(0.3)) {
        batch.put_siblings(slot, {{1, row(1, 1, text.c_str())}, {2, row(1, 1, "last")}});
      } else {
        batch.put(slot, 1, row(1, 1, text.c_str()));
      }
      CHECK((random.chance(0.5) ? a : b).apply(batch).ok());
    }
    CHECK(dictionary->size() > 0);
    ColumnStore moved(std::move(a));
    a = ColumnStore(small_schema());
  }
  CHECK_EQUAL(dictionary->size(), 0u);
}

}  // namespace covey::agg::test
