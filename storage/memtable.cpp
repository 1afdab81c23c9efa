#include "storage/memtable.h"

#include <rocksdb/memtablerep.h>

#include <array>
#include <atomic>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string_view>

#include "replication/result.h"
#include "storage/entry_tree.h"
#include "storage/rocks_slice.h"

namespace covey {

namespace {

using rocksdb::Slice;

constexpr size_t node_alignment = 64;
constexpr size_t ahead = 6;
constexpr size_t shells_max = 32;

// Memory of cursors that are destroyed and not deleted, some for each thread. A cursor gives its own back
// while it is being destroyed, and what is left of that still reads and writes it: so no other thread may
// take it.
class Shells {
 public:
  ~Shells() {
    while (count_ > 0) ::operator delete(free_[--count_]);
  }
  void* take(size_t bytes) { return count_ > 0 ? free_[--count_] : ::operator new(bytes); }
  // All are of one size.
  void give(void* shell) {
    if (count_ == free_.size()) ::operator delete(free_[--count_]);
    free_[count_++] = shell;
  }
  static Shells& of_this_thread() {
    static thread_local Shells shells;
    return shells;
  }

 private:
  std::array<void*, shells_max> free_;
  size_t count_ = 0;
};

// Read by any threads beside those that write, until nothing is written any more.
class TreeMemtable final : public rocksdb::MemTableRep {
 public:
  explicit TreeMemtable(rocksdb::Allocator* allocator);

  bool InsertKey(rocksdb::KeyHandle handle) override {
    std::unique_lock lock(mutex_);
    return tree_.insert(static_cast<const char*>(handle));
  }
  void Insert(rocksdb::KeyHandle handle) override { COVEY_ASSERT(InsertKey(handle)); }
  void InsertConcurrently(rocksdb::KeyHandle handle) override { Insert(handle); }
  bool InsertKeyConcurrently(rocksdb::KeyHandle handle) override { return InsertKey(handle); }
  bool InsertKeyWithHint(rocksdb::KeyHandle handle, void**) override { return InsertKey(handle); }
  bool InsertKeyWithHintConcurrently(rocksdb::KeyHandle handle, void**) override { return InsertKey(handle); }

  bool Contains(const char* entry) const override {
    const EntryKey key = key_of_entry(entry);
    EntryTree::Window found;
    read([&](const EntryTree& tree) { tree.at_least(key, found); });
    return found.size > 0 && key_of_entry(found.entries[found.at]) == key;
  }
  void MarkReadOnly() override { read_only_.store(true, std::memory_order_release); }
  size_t ApproximateMemoryUsage() override { return 0; }  // all of it is the allocator's

  Iterator* GetIterator(rocksdb::Arena* arena) override;
  Iterator* GetDynamicPrefixIterator(rocksdb::Arena* arena) override;

  template <class Search>
  void read(Search&& search) const {
    if (read_only_.load(std::memory_order_acquire)) return search(tree_);
    std::shared_lock lock(mutex_);
    search(tree_);
  }

 private:
  char* allocate_node(size_t bytes) {
    char* memory = nullptr;
    Allocate(bytes + node_alignment - 1, &memory);
    const auto address = reinterpret_cast<uintptr_t>(memory);
    return memory + (node_alignment - address % node_alignment) % node_alignment;
  }

  mutable std::shared_mutex mutex_;  // protects tree_
  std::atomic<bool> read_only_{false};
  EntryTree tree_;
};

// Holds a copy of one leaf: what is inserted meanwhile is newer than whatever it is read for.
class Cursor : public rocksdb::MemTableRep::Iterator {
 public:
  explicit Cursor(const TreeMemtable& table) : table_(table) {}
  bool Valid() const override { return window_.at < window_.size; }
  const char* key() const override { return window_.entries[window_.at]; }
  void Next() override {
    if (window_.at + 1 < window_.size) {
      ++window_.at;
      // Who walks on reads them soon; they lie anywhere in memory.
      if (window_.at + ahead < window_.size) __builtin_prefetch(window_.entries[window_.at + ahead]);
      return;
    }
    const EntryKey from = key_of_entry(key());
    search([&](const EntryTree& tree) { tree.above(from, window_); });
  }
  void Prev() override {
    if (window_.at > 0) {
      --window_.at;
      return;
    }
    const EntryKey from = key_of_entry(key());
    search([&](const EntryTree& tree) { tree.below(from, window_); });
  }
  void Seek(const Slice& internal_key, const char* entry) override {
    const EntryKey target = key_of(internal_key, entry);
    search([&](const EntryTree& tree) { tree.at_least(target, window_); });
  }
  void SeekForPrev(const Slice& internal_key, const char* entry) override {
    const EntryKey target = key_of(internal_key, entry);
    search([&](const EntryTree& tree) { tree.at_most(target, window_); });
  }
  void SeekToFirst() override {
    search([&](const EntryTree& tree) { tree.first(window_); });
  }
  void SeekToLast() override {
    search([&](const EntryTree& tree) { tree.last(window_); });
  }

 private:
  static EntryKey key_of(const Slice& internal_key, const char* entry) {
    return entry != nullptr ? key_of_entry(entry) : key_of_internal(view(internal_key));
  }
  template <class Search>
  void search(Search&& wanted) {
    table_.read(wanted);
  }

  const TreeMemtable& table_;
  EntryTree::Window window_;
};

// RocksDB asks for cursors within an arena, a class of its own that is no part of its interface, and destroys
// them without deleting.
class ArenaCursor final : public Cursor {
 public:
  using Cursor::Cursor;
  ~ArenaCursor() override { Shells::of_this_thread().give(this); }
};

TreeMemtable::TreeMemtable(rocksdb::Allocator* allocator)
    : MemTableRep(allocator), tree_([this](size_t bytes) { return allocate_node(bytes); }) {}

rocksdb::MemTableRep::Iterator* TreeMemtable::GetIterator(rocksdb::Arena* arena) {
  if (arena == nullptr) return new Cursor(*this);
  return new (Shells::of_this_thread().take(sizeof(ArenaCursor))) ArenaCursor(*this);
}

// Without a prefix extractor only MemTableRep::Get comes here, for one search; in 7.8 it never deletes what
// it was given.
rocksdb::MemTableRep::Iterator* TreeMemtable::GetDynamicPrefixIterator(rocksdb::Arena* arena) {
  if (arena != nullptr) return GetIterator(arena);
  alignas(Cursor) static thread_local std::byte memory[sizeof(Cursor)];
  return new (memory) Cursor(*this);
}

class TreeMemtables final : public rocksdb::MemTableRepFactory {
 public:
  const char* Name() const override { return "covey.TreeMemtables"; }
  rocksdb::MemTableRep* CreateMemTableRep(const rocksdb::MemTableRep::KeyComparator&,
                                          rocksdb::Allocator* allocator,
                                          const rocksdb::SliceTransform* extractor,
                                          rocksdb::Logger*) override {
    COVEY_ASSERT(extractor == nullptr);
    return new TreeMemtable(allocator);
  }
  bool IsInsertConcurrentlySupported() const override { return true; }
  bool CanHandleDuplicatedKey() const override { return true; }
};

}  // namespace

std::shared_ptr<rocksdb::MemTableRepFactory> tree_memtables() { return std::make_shared<TreeMemtables>(); }

}  // namespace covey
