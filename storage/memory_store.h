// A Store without a disk, for the simulator and for tests: it says itself what would have been on the disk,
// and loses the rest when told to crash. Everything about it is deterministic.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "replication/store.h"
#include "storage/durability.h"

namespace covey {

// Used by one thread. Writes become durable only when sync() or sync_to() says so; with Durability::none
// durable() is the newest write all the same, and crash() still loses what was not synced: that is what
// `none` means. A snapshot or a cursor shares the columns; the first write to a column after it copies that
// column.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(Durability durability = Durability::sync);

  Result<std::optional<std::string>, StoreError> get(Column column, std::string_view key) override;
  Result<Lsn, StoreError> write(const StoreBatch& batch) override;
  std::unique_ptr<StoreLoad> load() override;
  Result<Lsn, StoreError> write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) override;
  Lsn durable() const override;
  std::unique_ptr<StoreCursor> cursor(Column column, std::string_view lower, std::string_view upper,
                                      const StoreSnapshot* snapshot = nullptr) override;
  std::unique_ptr<StoreSnapshot> snapshot() override;

  Lsn written() const { return written_; }

  // What the disk does. Stalled: nothing becomes durable, and no load ready, until the stall ends.
  void sync() { sync_to(written_); }
  void sync_to(Lsn lsn);
  void set_stalled(bool stalled) { stalled_ = stalled; }

  // The machine stops: of the writes that were not synced the oldest `survivors` are kept, as a disk may have
  // done, and the rest is undone. Costs as much as was not synced. Afterwards all that is left is durable.
  // Faults stay.
  void crash(size_t survivors = 0);

  // Faults. A failing write applies nothing; nullopt: it will not fail after all.
  void fail_next_write(std::optional<StoreError> error) { next_write_error_ = std::move(error); }
  void set_full(bool full) { full_ = full; }
  // The stored bytes of this key no longer have their checksum: reading them fails until they are written
  // again.
  void damage(Column column, std::string key) { damaged_.emplace(column, std::move(key)); }

  // A copy of the disk as it is now, with its unsynced writes, and without the faults but for damaged keys.
  std::unique_ptr<MemoryStore> clone() const;

 private:
  using Map = std::map<std::string, std::string, std::less<>>;
  using Columns = std::array<std::shared_ptr<Map>, column_count>;
  struct Undo {
    Column column;
    std::string key;
    std::optional<std::string> previous;
  };
  struct Unsynced {
    Lsn lsn;
    std::vector<Undo> undo;  // in the order of the writes
  };
  class Snapshot;
  class Cursor;
  class Load;

  Map& writable(Column column);
  void assign(Column column, const std::string& key, std::optional<std::string> value);

  Durability durability_;
  Columns columns_;
  std::deque<Unsynced> unsynced_;
  Lsn written_;
  Lsn durable_;
  std::optional<StoreError> next_write_error_;
  std::set<std::pair<Column, std::string>> damaged_;
  bool full_ = false;
  bool stalled_ = false;
};

}  // namespace covey
