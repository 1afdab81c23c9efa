// What peers send mostly replaces what is there, and is stored without being merged: with the same effect.
#include <catch2/catch.hpp>
#include <map>

#include "replication/codec.h"
#include "replication/feed.h"
#include "replication/replica.h"
#include "storage/memory_store.h"
#include "tests/unit/replication/generators.h"
#include "tests/unit/replication/property.h"

namespace covey::testing::replace_test {
namespace {

const std::vector<TableKey> keys = {{"default", "a"}, {"default", "b"}, {"t", "c"}};

struct Told : Feed {
  std::vector<std::string> words;
  void changing(PartitionId, uint64_t before, uint64_t after,
                const std::vector<const TableKey*>& changed) override {
    words.push_back(std::to_string(before) + " " + std::to_string(after));
    for (const TableKey* key : changed) words.push_back(key->key);
  }
  void changed(PartitionId, const TableKey& key, const Object& after) override {
    words.push_back(key.key + encode(after));
  }
  void reached(PartitionId, uint64_t state) override { words.push_back(std::to_string(state)); }
  void dropped(PartitionId) override {}
  void applied() override {}
};

struct Copy {
  MemoryStore store;
  CoreStats stats;
  CoreOptions options;
  Told told;
  std::unique_ptr<Replica> replica;
  Copy() {
    options.feed = &told;
    replica = std::make_unique<Replica>(options, store, stats);
  }
  Partition& partition() { return replica->at(PartitionId{0}); }

  // All that is stored.
  std::map<std::string, std::string> contents() {
    std::map<std::string, std::string> out;
    for (const Column column :
         {Column::objects, Column::dots, Column::residual, Column::partitions, Column::expiry}) {
      for (auto cursor = store.cursor(column, "", ""); cursor->valid(); cursor->next())
        out[std::to_string(static_cast<int>(column)) + std::string(cursor->key())] = cursor->value();
    }
    return out;
  }
};

struct Sent {
  size_t key;
  Object object;
  DotSet settled;
};

Sent any_sent() {
  Sent sent{*rc::gen::inRange<size_t>(0, keys.size()), *any_filled_object(), *any_dot_set()};
  if (*rc::gen::arbitrary<bool>()) sent.settled = dots_of(sent.object);
  if (*rc::gen::inRange(0, 4) == 0 && !sent.object.versions.empty()) {
    Version& typed = sent.object.versions.front();
    typed.kind = VersionKind::member;
    typed.name = "m";
  }
  return sent;
}

// As merge_into does it for those that do not simply replace what is there.
void merge_slowly(Replica::Edit& edit, const Sent& sent) {
  auto mine = edit.read(keys[sent.key]);
  RC_ASSERT(mine.ok());
  DotSet dots = sent.settled;
  for (const Version& version : sent.object.versions) dots.add(version.dot);
  edit.put(keys[sent.key], merge(*mine, sent.object), dots);
}

TEST_CASE("an object that replaces what is there is stored as if it had been merged", "[replica]") {
  int cases = 0, replaced = 0, merged = 0;
  const auto property = [&] {
    ++cases;
    Copy slow, fast;
    for (int round = 0; round < 3; ++round) {
      const bool keeps_log = *rc::gen::inRange(0, 4) != 0;
      Replica::Edit slow_edit(*slow.replica, slow.partition(), {.keeps_log = keeps_log});
      Replica::Edit fast_edit(*fast.replica, fast.partition(), {.keeps_log = keeps_log});
      const DotSet joined = *any_dot_set();
      slow_edit.join_clock(joined);
      fast_edit.join_clock(joined);
      for (int count = *rc::gen::inRange(0, 5); count > 0; --count) {
        const Sent sent = any_sent();
        merge_slowly(slow_edit, sent);
        Object object = sent.object;
        auto done = fast_edit.replace(keys[sent.key], object, sent.settled);
        RC_ASSERT(done.ok());
        if (!*done) {
          RC_ASSERT(object == sent.object);
          merge_slowly(fast_edit, sent);
        }
        ++(*done ? replaced : merged);
      }
      // In this edit, too, it reads as it will.
      for (const TableKey& key : keys) RC_ASSERT(*slow_edit.read(key) == *fast_edit.read(key));
      RC_ASSERT(*slow_edit.commit() == *fast_edit.commit());
      RC_ASSERT(slow.contents() == fast.contents());
      RC_ASSERT(slow.told.words == fast.told.words);
      RC_ASSERT(encode_partition(slow.partition()) == encode_partition(fast.partition()));
      RC_ASSERT(slow.partition().logged == fast.partition().logged);
    }
  };
  REQUIRE(rc::check(property));
  // Both ways were tried: more than 20 times each with the 100 cases that are the rule.
  CHECK(replaced > cases / 5);
  CHECK(merged > cases / 5);
}

TEST_CASE("a plain overwrite by a peer is not merged", "[replica]") {
  Copy copy;
  const Actor actor{7};
  for (uint64_t counter = 1; counter <= 3; ++counter) {
    Object object;
    object.versions.push_back(version_of({actor, {counter}}));
    object.context.add(actor, {1, counter});
    Replica::Edit edit(*copy.replica, copy.partition(), {});
    auto done = edit.replace(keys[0], object, DotSet{{actor, {counter}}});
    REQUIRE(done);
    CHECK(*done);
    REQUIRE(edit.commit());
  }
  auto stored = copy.replica->read_stored(copy.partition(), keys[0]);
  REQUIRE(stored);
  CHECK(stored->versions == std::vector<Version>{version_of({actor, {3}})});
  CHECK(stored->context.empty());
}

}  // namespace
}  // namespace covey::testing::replace_test
