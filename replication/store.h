// What the core asks of storage: an ordered map for each column family, atomic batches, snapshots, and word
// of what has become durable. RocksDB and memory implement it (storage/); both pass
// tests/unit/storage/store_contract.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/result.h"
#include "replication/types.h"

namespace covey {

// Column families. The numbers and names are persisted: never reuse one.
enum class Column : uint8_t {
  objects = 0,     // partition, table, key -> object
  dots = 1,        // partition, actor, counter -> table and key
  residual = 2,    // partition, table, key -> nothing: objects stored with a context
  partitions = 3,  // partition -> clock, state hash, count, next counter, ...
  node = 4,        // identity, members, tables
  expiry = 5,      // partition, time, table, key -> nothing: objects with a version that expires
};
inline constexpr int column_count = 6;

struct StoreError {
  enum class Kind : uint8_t {
    io,          // the write or read failed; nothing of the batch was applied
    corruption,  // stored bytes do not have their checksum; never read past, never cut short
    full,        // no space left; reads go on
  };
  Kind kind = Kind::io;
  std::string message;
};

// Everything one step of the core changes, applied as one or not at all. Order matters for one key: last
// wins.
class StoreBatch {
 public:
  struct Operation {
    Column column = Column::objects;
    std::string key;
    std::optional<std::string> value;  // nullopt: erase
    std::string range_end;             // not empty (and no value): erase all of [key, range_end)
  };
  void put(Column column, std::string key, std::string value) {
    Operation& added = operations_.emplace_back();  // in its place: most of a write's batch is made here
    added.column = column;
    added.key = std::move(key);
    added.value = std::move(value);
  }
  void erase(Column column, std::string key) {
    operations_.push_back({column, std::move(key), std::nullopt, {}});
  }
  // REQUIRES lower < upper
  void erase_range(Column column, std::string lower, std::string upper) {
    operations_.push_back({column, std::move(lower), std::nullopt, std::move(upper)});
  }
  void add(Operation operation) { operations_.push_back(std::move(operation)); }
  const std::vector<Operation>& operations() const { return operations_; }
  bool empty() const { return operations_.empty(); }
  void clear() { operations_.clear(); }

 private:
  std::vector<Operation> operations_;
};

// A view of the store at one moment. Holds resources of the store: keep few, and not for long.
class StoreSnapshot {
 public:
  virtual ~StoreSnapshot() = default;
};

// Walks one column family in bytewise key order. Views are valid until the next call of next() or
// destruction.
class StoreCursor {
 public:
  virtual ~StoreCursor() = default;
  virtual bool valid() const = 0;  // false at the end and after an error: ask error() then
  virtual void next() = 0;         // REQUIRES valid()
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual std::optional<StoreError> error() const = 0;
};

// Objects that are new to the store, kept aside until they are written (Store::write), on disk if they are
// many. Those that are not written are dropped with it. Used by the store's thread; gone before the store.
// The store may work on them meanwhile: an error is told by any later call.
class StoreLoad {
 public:
  virtual ~StoreLoad() = default;
  // An entry of the column of objects. REQUIRES: its key is behind those of all added before. Waits where
  // what was added before is not written as fast.
  [[nodiscard]] virtual std::optional<StoreError> add(std::string_view key, std::string_view value) = 0;
  // Nothing more is added.
  virtual void end() = 0;
  // After end(): whether find() and Store::write() need not wait for what was added.
  virtual bool ready() = 0;
  // What was added under the key; nullopt: nothing was. REQUIRES end()
  [[nodiscard]] virtual Result<std::optional<std::string>, StoreError> find(std::string_view key) = 0;
};

// One shard's store. Used by one thread; several Store objects may share one database.
class Store {
 public:
  virtual ~Store() = default;

  // nullopt: no such key.
  [[nodiscard]] virtual Result<std::optional<std::string>, StoreError> get(Column column,
                                                                           std::string_view key) = 0;

  // Applies the batch at once: later reads see it. It is durable when durable() >= the returned Lsn, which
  // this store counts up by one for each write.
  [[nodiscard]] virtual Result<Lsn, StoreError> write(const StoreBatch& batch) = 0;

  virtual std::unique_ptr<StoreLoad> load() = 0;
  // The same for a batch and a load, as one: first what was added to the load, over it the batch. What was
  // written before may become durable with it. REQUIRES: the load has ended; the batch erases no range.
  [[nodiscard]] virtual Result<Lsn, StoreError> write(const StoreBatch& batch,
                                                      std::unique_ptr<StoreLoad> load) = 0;

  // The newest write known to survive a crash of the machine (mode sync or interval), or simply the newest
  // (mode none).
  virtual Lsn durable() const = 0;

  // Walks [lower, upper) of a column; an empty upper means to the end. With a snapshot, as of that moment;
  // without, as of now. Writes made after the call are not seen.
  virtual std::unique_ptr<StoreCursor> cursor(Column column, std::string_view lower, std::string_view upper,
                                              const StoreSnapshot* snapshot = nullptr) = 0;

  virtual std::unique_ptr<StoreSnapshot> snapshot() = 0;
};

}  // namespace covey
