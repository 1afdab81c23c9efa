#include "storage/entry_tree.h"

#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "storage/rocks_database.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::entry_tree_test {
namespace {

// An entry as memtables have it, without a value.
std::string entry_of(const std::string& user, uint64_t tag) {
  std::string entry;
  size_t bytes = user.size() + 8;
  for (; bytes >= 0x80; bytes >>= 7) entry.push_back(static_cast<char>(bytes | 0x80));
  entry.push_back(static_cast<char>(bytes));
  entry += user;
  for (int i = 0; i < 8; ++i) entry.push_back(static_cast<char>(tag >> (8 * i)));
  return entry;
}

struct Newest {
  bool operator()(const std::pair<std::string, uint64_t>& a,
                  const std::pair<std::string, uint64_t>& b) const {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  }
};
using Truth = std::set<std::pair<std::string, uint64_t>, Newest>;

class Memory {
 public:
  char* allocate(size_t bytes) {
    blocks_.push_back(std::make_unique<uint64_t[]>((bytes + 7) / 8));
    return reinterpret_cast<char*>(blocks_.back().get());
  }
  const char* keep(const std::string& entry) {
    char* at = allocate(entry.size());
    std::copy(entry.begin(), entry.end(), at);
    return at;
  }

 private:
  std::vector<std::unique_ptr<uint64_t[]>> blocks_;
};

std::pair<std::string, uint64_t> pair_of(const char* entry) {
  const EntryKey key = key_of_entry(entry);
  return {std::string(key.user), key.tag};
}

void require_stands(const EntryTree::Window& window, const Truth& truth, Truth::const_iterator wanted) {
  RC_ASSERT((window.size == 0) == (wanted == truth.end()));
  if (window.size == 0) return;
  RC_ASSERT(window.at < window.size);
  RC_ASSERT(pair_of(window.entries[window.at]) == *wanted);
  // What the window holds beside it are its neighbours.
  for (size_t i = window.at; i < window.size; ++i, ++wanted) RC_ASSERT(pair_of(window.entries[i]) == *wanted);
}

void check_searches(const EntryTree& tree, const Truth& truth, const std::string& user, uint64_t tag) {
  EntryTree::Window window;
  const EntryKey key{user, tag};
  const auto before = [&](Truth::const_iterator at) {
    return at == truth.begin() ? truth.end() : std::prev(at);
  };
  tree.at_least(key, window);
  require_stands(window, truth, truth.lower_bound({user, tag}));
  tree.above(key, window);
  require_stands(window, truth, truth.upper_bound({user, tag}));
  tree.at_most(key, window);
  require_stands(window, truth, before(truth.upper_bound({user, tag})));
  tree.below(key, window);
  require_stands(window, truth, before(truth.lower_bound({user, tag})));
}

// Few bytes, so that keys are beginnings of others; long ones beyond what a node keeps of them.
std::string any_user_key() {
  const size_t front = *rc::gen::element<size_t>(0, 0, 3, 57, 58, 59, 200);
  const size_t back = *rc::gen::inRange<size_t>(0, 12);
  std::string key(front, 'p');
  for (size_t i = 0; i < back; ++i) key.push_back(*rc::gen::element('\0', '\1', 'a', 'b', '\xff'));
  return key;
}

TEST_CASE("entries stand in their order, whatever order they come in", "[storage]") {
  REQUIRE(rc::check([] {
    Memory memory;
    EntryTree tree([&](size_t bytes) { return memory.allocate(bytes); });
    Truth truth;
    const auto insert = [&](const std::string& user, uint64_t tag) {
      RC_ASSERT(tree.insert(memory.keep(entry_of(user, tag))) == truth.emplace(user, tag).second);
    };
    check_searches(tree, truth, "a", 1);
    uint64_t tag = 10;
    const std::string own = any_user_key();
    for (int round = 0; round < 5; ++round) {
      const int count = *rc::gen::inRange(1, 400);
      switch (*rc::gen::inRange(0, 6)) {
        case 0:  // one key again and again, as a partition's row
          for (int i = 0; i < count; ++i, ++tag) insert(own, tag);
          break;
        case 1:  // rising, as the log of dots
          for (int i = 0; i < count; ++i, ++tag) insert(own + "c" + std::to_string(100'000 + tag), tag);
          break;
        case 2:
          for (int i = 0; i < count; ++i, ++tag) insert(own + "d" + std::to_string(900'000 - tag), tag);
          break;
        case 3:  // also what is there already
          for (int i = 0; i < count; ++i) insert(any_user_key(), *rc::gen::inRange<uint64_t>(0, 3));
          break;
        case 4:  // the newest of keys that differ in zeros at the end alone
          for (int i = 0; i < count; ++i) insert(any_user_key(), ++tag);
          break;
        default:
          for (int i = 0; i < count; ++i)
            insert(own + std::to_string(*rc::gen::inRange(0, 1'000'000)), ++tag);
      }
      for (int i = 0; i < 10; ++i) {
        check_searches(tree, truth, any_user_key(), *rc::gen::inRange<uint64_t>(0, 3));
        const auto there =
            std::next(truth.begin(), *rc::gen::inRange<int>(0, static_cast<int>(truth.size())));
        check_searches(tree, truth, there->first, there->second);
        check_searches(tree, truth, *rc::gen::element(own, there->first, any_user_key()), tag + 1);
      }
    }
    EntryTree::Window window;
    tree.last(window);
    RC_ASSERT(pair_of(window.entries[window.at]) == *truth.rbegin());
    tree.first(window);
    for (const auto& wanted : truth) {
      RC_ASSERT(window.size > 0);
      RC_ASSERT(pair_of(window.entries[window.at]) == wanted);
      if (++window.at == window.size) tree.above(key_of_entry(window.entries[window.at - 1]), window);
    }
    RC_ASSERT(window.size == 0);
  }));
}

TEST_CASE("a hundred thousand entries stand in their order", "[storage]") {
  Memory memory;
  EntryTree tree([&](size_t bytes) { return memory.allocate(bytes); });
  Truth truth;
  uint64_t number = 1;
  for (uint64_t i = 0; i < 100'000; ++i) {
    number = number * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
    const std::string user = "part" + std::to_string(number >> 60) + "key:" + std::to_string(number >> 40);
    REQUIRE(tree.insert(memory.keep(entry_of(user, i))));
    truth.emplace(user, i);
  }
  EntryTree::Window window;
  tree.last(window);
  for (auto wanted = truth.rbegin(); wanted != truth.rend(); ++wanted) {
    REQUIRE(window.size > 0);
    REQUIRE(pair_of(window.entries[window.at]) == *wanted);
    if (window.at-- == 0) tree.below(key_of_entry(window.entries[0]), window);
  }
  REQUIRE(window.size == 0);
}

// Shards share the database's memtables.
TEST_CASE("what is read beside writes of other threads is in order and lacks nothing", "[storage]") {
  test::TemporaryDirectory directory;
  auto database = Database::open(
      {.path = directory.sub("db"), .durability = Durability::none, .write_buffer_bytes = 1 << 20});
  REQUIRE(database);
  constexpr int writers = 3, writes = 8'000;
  std::array<std::atomic<int>, writers> written{};
  const auto key_of = [](int writer, int i) {
    return "key" + std::to_string(1'000'000 + i * 7'919 % writes) + "of" + std::to_string(writer);
  };
  std::vector<std::thread> threads;
  for (int writer = 0; writer < writers; ++writer) {
    threads.emplace_back([&, writer] {
      const auto store = (*database)->shard();
      for (int i = 0; i < writes; ++i) {
        StoreBatch batch;
        batch.put(Column::objects, key_of(writer, i), std::to_string(i));
        batch.put(Column::partitions, std::to_string(writer), std::to_string(i));
        COVEY_ASSERT(store->write(batch).ok());
        written[writer] = i + 1;
      }
    });
  }
  const auto store = (*database)->shard();
  for (bool done = false; !done;) {
    std::array<int, writers> least{}, found{};
    for (int writer = 0; writer < writers; ++writer) least[writer] = written[writer];
    done = std::all_of(least.begin(), least.end(), [](int count) { return count == writes; });
    std::string last;
    auto cursor = store->cursor(Column::objects, "", "");
    for (; cursor->valid(); cursor->next()) {
      REQUIRE(last < cursor->key());
      last = cursor->key();
      ++found[last.back() - '0'];
    }
    REQUIRE_FALSE(cursor->error());
    for (int writer = 0; writer < writers; ++writer) {
      REQUIRE(found[writer] >= least[writer]);
      if (least[writer] == 0) continue;
      auto row = store->get(Column::partitions, std::to_string(writer));
      REQUIRE(row);
      REQUIRE(std::stoi(row->value()) + 1 >= least[writer]);
    }
  }
  for (auto& thread : threads) thread.join();
}

// A cursor's memory was another thread's before its destruction had ended, and was freed too early then.
TEST_CASE("threads that begin and end reads at once do not share their cursors' memory", "[storage]") {
  test::TemporaryDirectory directory;
  auto database = Database::open({.path = directory.sub("db"), .durability = Durability::none});
  REQUIRE(database);
  constexpr int readers = 4, reads = 20'000, keys = 3;
  {
    StoreBatch batch;
    for (int i = 0; i < keys; ++i) batch.put(Column::objects, "key" + std::to_string(i), "value");
    REQUIRE((*database)->shard()->write(batch).ok());
  }
  std::atomic<int> missed{0};
  std::vector<std::thread> threads;
  for (int reader = 0; reader < readers; ++reader) {
    threads.emplace_back([&] {
      const auto store = (*database)->shard();
      for (int i = 0; i < reads; ++i) {
        int found = 0;
        for (auto cursor = store->cursor(Column::objects, "", ""); cursor->valid(); cursor->next()) ++found;
        if (found != keys) ++missed;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(missed == 0);
}

}  // namespace
}  // namespace covey::entry_tree_test
