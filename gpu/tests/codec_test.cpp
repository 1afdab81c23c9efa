// Bytes from elsewhere: whatever is cut short, flipped or made up is refused, and what is accepted is the
// same again.
#include <algorithm>
#include <fstream>

#include "gpu/bytes.h"
#include "gpu/checkpoint.h"
#include "gpu/group_key.h"
#include "gpu/order.h"
#include "gpu/tests/check.h"
#include "gpu/tests/random_rows.h"

namespace covey::agg::test {

namespace {

// Puts a right checksum behind bytes that were tampered with, so that the decoder itself is tried.
std::string resealed(std::string bytes) {
  bytes.resize(bytes.size() - 8);
  Checksum sum;
  sum.update(bytes.data(), bytes.size());
  ByteWriter out;
  out.raw(bytes.data(), bytes.size());
  out.u64(sum.value());
  return out.take();
}

struct Example {
  Schema schema = random_schema();
  std::vector<Row> rows;
  std::optional<Plan> plan;
  std::string bytes;
  explicit Example(uint64_t seed) {
    Random random(seed);
    rows = random_rows(300, {.siblings = true, .special = true}, random);
    std::vector<Query> queries;
    for (int i = 0; i < 4; ++i) queries.push_back(random_query(random));
    queries[0].aggregates.push_back(quantiles("x", {0.5}, QuantileMode::kSketch));
    queries[0].aggregates.push_back(aggregate(AggregateKind::kDistinct, "x"));
    queries[1].limit_groups = 1;
    plan = plan_of(schema, queries);
    const auto backend = make_cpu_backend({.threads = 1});
    ScanProfile profile;
    const Stores stores = make_stores(schema, rows, {.tile_rows = 64}, random);
    const auto partials = backend->scan(*plan, stores.inputs, {}, profile);
    bytes = partials->encode();
  }
};

}  // namespace

TEST_CASE("partials: damaged bytes are refused") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Example example(seed);
    const auto again = Partials::decode(*example.plan, example.bytes);
    CHECK(again.ok() && again->encode() == example.bytes);
    for (size_t length = 0; length < example.bytes.size(); length += 1 + length / 50) {
      CHECK(!Partials::decode(*example.plan, std::string_view(example.bytes).substr(0, length)).ok());
    }
    Random random(seed);
    for (int i = 0; i < 300; ++i) {
      std::string bytes = example.bytes;
      bytes[random.below(bytes.size())] ^= static_cast<char>(1 << random.below(8));
      CHECK(!Partials::decode(*example.plan, bytes).ok());
    }
  }
}

TEST_CASE("partials: forged bytes with a right checksum never break the decoder or what follows it") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Example example(seed);
    Random random(seed * 31);
    for (int i = 0; i < 1000; ++i) {
      std::string bytes = example.bytes;
      for (uint64_t n = 1 + random.below(3); n > 0; --n) {
        bytes[random.below(bytes.size())] = static_cast<char>(random.chance(0.3) ? 0xff : random.next());
      }
      if (random.chance(0.2)) bytes.resize(25 + random.below(bytes.size() - 25));
      Result<Partials> partials = Partials::decode(*example.plan, resealed(bytes));
      if (!partials) continue;
      Result<Partials> right = Partials::decode(*example.plan, example.bytes);
      CHECK(right->merge(*example.plan, std::move(*partials)).ok());
      CHECK(!right->encode().empty());
      while (const auto ask = right->refinement(*example.plan)) {
        CHECK(right->absorb(*example.plan, *ask, Refined(*ask)).ok());
      }
      for (size_t query = 0; query < example.plan->queries().size(); ++query)
        right->finish(*example.plan, query).ok();
    }
  }
}

namespace {

// The most memory that the process has had since the last call, above what it has now. Linux.
uint64_t peak_bytes(bool begin) {
  if (begin) std::ofstream("/proc/self/clear_refs") << "5";
  std::ifstream status("/proc/self/status");
  uint64_t peak = 0, now = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) peak = std::stoull(line.substr(6)) << 10;
    if (line.starts_with("VmRSS:")) now = std::stoull(line.substr(6)) << 10;
  }
  return begin ? now : peak;
}

}  // namespace

TEST_CASE("partials: a forged number of groups takes no memory for what has not come") {
  // 256 aggregates make a group large in memory; of half a million groups only the first keys are there.
  const Schema schema = random_schema();
  Query query;
  query.group_by = {"n"};
  query.limit_groups = kGroupsMax;
  for (int i = 0; i < 16; ++i) {
    query.aggregates.push_back(aggregate(AggregateKind::kHistogram, "x"));
    for (int edge = 0; edge < 200; ++edge) query.aggregates.back().edges.emplace_back(edge + i / 32.0);
  }
  query.aggregates.push_back(quantiles("x", {0.5}, QuantileMode::kSketch));
  query.aggregates.push_back(aggregate(AggregateKind::kDistinct, "x"));
  const auto plan = plan_of(schema, {query});
  for (const bool with_keys : {false, true}) {
    ByteWriter out;
    const std::string empty = Partials(*plan).encode();
    out.raw(empty.data(), 18);  // magic, format, fingerprint, one selection
    out.u8(0);
    const uint64_t groups = 500'000;
    out.varint(groups);
    for (uint64_t i = 0; with_keys && i < groups; ++i) {
      std::string key(9, '\1');
      for (int byte = 0; byte < 8; ++byte) key[8 - byte] = static_cast<char>(i >> (8 * byte));
      out.text(key);
    }
    for (uint64_t i = 0; with_keys && i < groups; ++i) out.varint(1);  // rows
    const std::string rest(with_keys ? 100 : 2 * groups, '\0');
    out.raw(rest.data(), rest.size());
    const std::string forged = resealed(out.take() + std::string(8, '\0'));
    const uint64_t before = peak_bytes(true);
    CHECK(!Partials::decode(*plan, forged).ok());
    CHECK(peak_bytes(false) < before + (uint64_t{64} << 20));
  }
}

TEST_CASE("rounds of quantiles: a forged question for many counts is refused") {
  Query query;
  query.group_by = {"n"};
  query.limit_groups = kGroupsMax;
  query.aggregates = {quantiles("x", {0.5}, QuantileMode::kExact)};
  const auto plan = plan_of(random_schema(), {query});
  Refinement ask;
  ask.fingerprint = plan->fingerprint();
  for (uint64_t i = 0; i <= kCountedTargetsMax; ++i)
    ask.targets.push_back({0, "", 2 * i, 2 * i + 1, 1 << 20, false});
  std::string key(9, '\1');
  for (QuantileTarget& target : ask.targets) target.group = key;
  CHECK(!Refinement::decode(*plan, ask.encode()).ok());
  ask.targets.pop_back();
  CHECK(Refinement::decode(*plan, ask.encode()).ok());
}

TEST_CASE("partials of other queries do not merge") {
  const Example a(1), b(2);
  Result<Partials> received = Partials::decode(*b.plan, a.bytes);
  CHECK(!received && received.error().code == ErrorCode::kMismatch);
  Partials partials(*a.plan);
  const Status merged = partials.merge(*a.plan, Partials(*b.plan));
  CHECK(!merged && merged.error().code == ErrorCode::kMismatch);
  std::string newer = a.bytes;
  newer[8] = 2;
  received = Partials::decode(*a.plan, resealed(newer));
  CHECK(!received && received.error().code == ErrorCode::kNewerFormat);
}

TEST_CASE("rounds of quantiles: damaged or forged bytes are refused or harmless") {
  Random random(3);
  const Schema schema = random_schema();
  const auto rows = random_rows(30000, {}, random);
  Query query;
  query.group_by = {"kind"};
  query.aggregates = {quantiles("x", {0.1, 0.9}, QuantileMode::kExact),
                      quantiles("n", {0.5}, QuantileMode::kExact)};
  const auto plan = plan_of(schema, {query});
  const auto backend = make_cpu_backend({.threads = 2});
  const Stores stores = make_stores(schema, rows, {}, random);
  ScanProfile profile;
  auto partials = backend->scan(*plan, stores.inputs, {}, profile);
  const auto ask = partials->refinement(*plan);
  CHECK(ask.has_value());
  const auto found = backend->refine(*plan, *ask, stores.inputs, {}, profile);
  for (const std::string& good : {ask->encode(), found->encode()}) {
    const bool asking = good == ask->encode();
    const auto accepted = [&](const std::string& bytes) {
      return asking ? Refinement::decode(*plan, bytes).ok() : Refined::decode(*ask, bytes).ok();
    };
    CHECK(accepted(good));
    for (size_t length = 0; length < good.size(); length += 1 + length / 20)
      CHECK(!accepted(good.substr(0, length)));
    for (int i = 0; i < 200; ++i) {
      std::string bytes = good;
      bytes[random.below(bytes.size())] ^= static_cast<char>(1 << random.below(8));
      CHECK(!accepted(bytes));
      accepted(resealed(bytes));
    }
  }
}

TEST_CASE("group keys keep the order of their values") {
  const std::vector<ColumnType> types = {ColumnType::kString, ColumnType::kInt64};
  std::vector<std::pair<std::string, int64_t>> values;
  for (const char* text : {"", "a", "aa", "b"}) {
    for (const int64_t number : {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX})
      values.emplace_back(text, number);
  }
  values.emplace_back(std::string("a\0", 2), 5);
  values.emplace_back(std::string("a\0b", 3), 5);
  std::sort(values.begin(), values.end());
  std::string before;
  for (const auto& [text, number] : values) {
    std::string key;
    append_string_key(key, text);
    append_number_key(key, order_int(number));
    CHECK(before.empty() || before < key);
    before = key;
    std::vector<Value> read;
    CHECK(decode_group_key(key, types, read));
    CHECK(read == (std::vector<Value>{text, number}));
    CHECK(!decode_group_key(key.substr(0, key.size() - 1), types, read));
    CHECK(!decode_group_key(key + "x", types, read));
  }
}

TEST_CASE("a store comes back from its checkpoint as it was") {
  Random random(17);
  const Schema schema = random_schema();
  const auto rows = random_rows(2000, {.siblings = true, .special = true}, random);
  Stores stores = make_stores(schema, rows, {.tile_rows = 256, .gaps = 0.2}, random);
  ColumnStore& store = *stores.stores[0];
  add_column(store, {"late", ColumnType::kInt64});
  const std::string bytes = checkpoint_bytes(store, "sequence 42");
  Result<Restored> restored = restore_checkpoint(bytes);
  CHECK(restored.ok());
  if (!restored) return;
  CHECK_EQUAL(restored->note, "sequence 42");
  CHECK(restored->store.schema() == store.schema() && restored->store.state(5) == ColumnState::kFilling);
  CHECK_EQUAL(restored->store.rows(), store.rows());
  CHECK_EQUAL(restored->store.bytes(), store.bytes());
  for (Slot slot = 0; slot < store.tiles() * 256; ++slot) {
    CHECK_EQUAL(restored->store.is_live(slot), store.is_live(slot));
    for (uint32_t column = 0; column <= schema.columns.size(); ++column) {
      CHECK_EQUAL(text_of(restored->store.value(slot, column)), text_of(store.value(slot, column)));
    }
  }
  CHECK(checkpoint_bytes(restored->store, "sequence 42").size() == bytes.size());
  UpdateBatch batch;  // and it goes on
  for (Slot slot = 0; slot < 1500; slot += 3) {
    batch.erase(slot);
    batch.put(slot + 1, 1,
              std::vector<Value>{1.0, int64_t{2}, std::string("new"), Value(), Value(), int64_t{3}});
  }
  CHECK(restored->store.apply(batch).ok() && store.apply(batch).ok());
  Query query;
  query.group_by = {"site"};
  query.aggregates = {aggregate(AggregateKind::kSum, "x"), aggregate(AggregateKind::kVar, "n"),
                      aggregate(AggregateKind::kMin, "x")};
  const auto plan = plan_of(store.schema(), {query}, {.siblings = Siblings::kMin});
  const auto backend = make_cpu_backend({.threads = 1});
  Stores after;
  after.inputs.push_back({&restored->store, {}});
  CHECK(scan_of(*backend, *plan, after)->encode() == scan_of(*backend, *plan, stores)->encode());
}

TEST_CASE(
    "a checkpoint that is damaged, cut short or longer is refused whole, and leaves dictionaries as they "
    "were") {
  Random random(18);
  const auto rows = random_rows(300, {.siblings = true}, random);
  const Schema schema = random_schema();
  const Stores stores = make_stores(schema, rows, {.tile_rows = 64}, random);
  const std::string bytes = checkpoint_bytes(*stores.stores[0], "note");
  auto site = std::make_shared<Dictionary>();
  const auto refused = [&](const std::string& bad) {
    const Result<Restored> restored = restore_checkpoint(bad, {nullptr, nullptr, site});
    CHECK(!restored.ok());
    CHECK_EQUAL(site->size(), 0u);
  };
  for (size_t length = 0; length < bytes.size(); length += 1 + length / 30) refused(bytes.substr(0, length));
  refused(bytes + "x");
  for (int i = 0; i < 500; ++i) {
    std::string bad = bytes;
    bad[random.below(bad.size())] ^= static_cast<char>(1 << random.below(8));
    refused(bad);
  }
  const Result<Restored> limited = restore_checkpoint(bytes, {}, {.bytes_max = 1000});
  CHECK(!limited && limited.error().code == ErrorCode::kOutOfMemory);
  const Result<Restored> crowded =
      restore_checkpoint(bytes, {nullptr, nullptr, std::make_shared<Dictionary>(2)});
  CHECK(!crowded && crowded.error().code == ErrorCode::kDictionaryFull);
}

TEST_CASE("a checkpoint whose zone maps or empty rows do not fit its values is refused") {
  Random random(8);
  const Schema schema{{{"x", ColumnType::kFloat64}}};
  std::vector<Row> rows;
  for (int i = 0; i < 50; ++i) rows.push_back({0, {1.0 + random.unit()}, {}});
  const Stores stores = make_stores(schema, rows, {.tile_rows = 64}, random);
  const std::string good = checkpoint_bytes(*stores.stores[0], "");
  // In the tile of x: column, row group and count of one byte each, least, greatest, lowest and highest bit,
  // special, the valid rows, the values.
  const auto changed = [&](size_t at, std::string_view with) {
    std::string out;
    for (std::string_view left = good; left.size() >= 24;) {
      ByteReader head(left);
      const uint64_t tag = head.u64();
      const uint64_t length = head.u64();
      std::string section(left.substr(0, 16 + length));
      const bool tile = tag == 3 && section[16] == 0;
      if (tile) section.replace(16 + at, with.size(), with);
      Checksum sum;
      sum.update(section.data(), 16);
      sum.update(section.data() + 16, length);
      ByteWriter tail;
      tail.u64(sum.value());
      out += section + tail.take();
      left.remove_prefix(24 + length);
    }
    return restore_checkpoint(out).ok();
  };
  CHECK(changed(0, std::string_view("", 0)));
  const std::string low(8, '\0'), high(8, '\xff');
  CHECK(changed(3, low));  // wider
  CHECK(changed(11, high));
  CHECK(!changed(3, high));  // the least is above all values
  CHECK(!changed(11, low));
  CHECK(!changed(19, "\x02"));           // the lowest bit is above that of the values: 2^1
  CHECK(!changed(30 + 60 * 8, "\x01"));  // a row without a value is not zero
}

}  // namespace covey::agg::test
