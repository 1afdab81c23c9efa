// A shard's Store in the node's shared database, or a reader's. Made by Database::shard and Database::reader.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "replication/store.h"
#include "storage/group_commit.h"
#include "storage/object_cache.h"
#include "storage/rocks_database.h"

namespace rocksdb {
class WriteBatch;
}

namespace covey {

class RocksStore final : public Store {
 public:
  // cache_bytes: of objects; 0 unless this store alone writes what it reads.
  RocksStore(Database& database, std::function<void()> on_durable, uint64_t cache_bytes);
  ~RocksStore() override;

  Result<std::optional<std::string>, StoreError> get(Column column, std::string_view key) override;
  Result<Lsn, StoreError> write(const StoreBatch& batch) override;
  std::unique_ptr<StoreLoad> load() override;
  // As tables: everything before it is durable first, and it is itself once this returns.
  Result<Lsn, StoreError> write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) override;
  Lsn durable() const override;
  std::unique_ptr<StoreCursor> cursor(Column column, std::string_view lower, std::string_view upper,
                                      const StoreSnapshot* snapshot = nullptr) override;
  std::unique_ptr<StoreSnapshot> snapshot() override;

 private:
  std::optional<StoreError> add(const StoreBatch::Operation& operation, rocksdb::WriteBatch& writes) const;
  void remember(const StoreBatch& batch);

  Database& database_;
  std::shared_ptr<GroupCommit::Progress> progress_;
  ObjectCache objects_;
  Lsn written_;
};

}  // namespace covey
