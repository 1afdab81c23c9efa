#include "storage/rocks_store.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "storage/rocks_load.h"
#include "storage/rocks_options.h"
#include "storage/rocks_slice.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

constexpr size_t operation_bytes = 32;  // at most what RocksDB's batch adds to each, and its header

class RocksSnapshot final : public StoreSnapshot {
 public:
  explicit RocksSnapshot(rocksdb::DB& db) : snapshot_(&db) {}
  const rocksdb::Snapshot* get() const { return snapshot_.snapshot(); }

 private:
  mutable rocksdb::ManagedSnapshot snapshot_;
};

class RocksCursor final : public StoreCursor {
 public:
  // `failed` makes an error of a status.
  using Failed = std::function<StoreError(const rocksdb::Status&)>;
  RocksCursor(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* column, std::string_view lower,
              std::string_view upper, const rocksdb::Snapshot* snapshot, Failed failed)
      : upper_(upper), upper_slice_(upper_), failed_(std::move(failed)) {
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    if (!upper_.empty()) options.iterate_upper_bound = &upper_slice_;
    options.snapshot = snapshot;
    // Who takes a snapshot is about to walk through everything once: that must not push the cache's contents
    // out.
    options.fill_cache = snapshot == nullptr;
    iterator_.reset(db.NewIterator(options, column));
    // Without a seek the cursor stays invalid: an empty range.
    if (upper_.empty() || lower < upper_) iterator_->Seek(slice(lower));
  }

  bool valid() const override { return iterator_->Valid(); }
  void next() override {
    COVEY_ASSERT(valid());
    iterator_->Next();
  }
  std::string_view key() const override { return view(iterator_->key()); }
  std::string_view value() const override { return view(iterator_->value()); }
  std::optional<StoreError> error() const override {
    const auto status = iterator_->status();
    if (status.ok()) return std::nullopt;
    return failed_(status);
  }

 private:
  const std::string upper_;
  const rocksdb::Slice upper_slice_;
  const Failed failed_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace

RocksStore::RocksStore(Database& database, std::function<void()> on_durable, uint64_t cache_bytes)
    : database_(database), progress_(database.commit_->add(std::move(on_durable))), objects_(cache_bytes) {}

RocksStore::~RocksStore() { database_.commit_->remove(progress_); }

Result<std::optional<std::string>, StoreError> RocksStore::get(Column column, std::string_view key) {
  if (column == Column::objects) {
    if (const auto known = objects_.find(key)) return std::optional<std::string>(*known);
  }
  count_nothing();
  std::string value;
  const auto status = database_.db_->Get(rocksdb::ReadOptions(),
                                         database_.columns_[static_cast<size_t>(column)], slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return database_.failed(status, "reading");
  if (column == Column::objects) objects_.put(key, value);
  return std::optional<std::string>(std::move(value));
}

Result<Lsn, StoreError> RocksStore::write(const StoreBatch& batch) {
  if (auto error = database_.refusal()) return *error;
  count_nothing();
  size_t bytes = 0;
  uint64_t objects = 0;
  for (const auto& operation : batch.operations()) {
    bytes += operation_bytes + operation.key.size() + operation.range_end.size() +
             (operation.value ? operation.value->size() : 0);
    objects += operation.column == Column::objects ? 1 : 0;
  }
  rocksdb::WriteBatch writes(bytes);
  for (const auto& operation : batch.operations()) {
    if (auto failed = add(operation, writes)) return *failed;
  }
  std::shared_lock lock(database_.writing_);
  const auto status = database_.db_->Write(rocksdb::WriteOptions(), &writes);
  lock.unlock();
  if (!status.ok()) {
    auto error = database_.failed(status, "writing");
    if (error.kind == StoreError::Kind::full) database_.commit_->recover_soon();
    return error;
  }
  remember(batch);
  ++written_.value;
  if (database_.options_.durability == Durability::none) {
    progress_->written.store(written_.value);
  } else {
    database_.commit_->wrote(*progress_, written_.value, std::max<uint64_t>(objects, 1));
  }
  return written_;
}

std::unique_ptr<StoreLoad> RocksStore::load() {
  return std::make_unique<RocksLoad>(database_, [this] { database_.commit_->tell(*progress_); });
}

// What this store has written before is durable first, since the tables must not outlive it. They may take a
// write's number, and then the logs lack one between them. Who judges logs at a start takes that for a loss
// unless the synced mark lies behind it (storage/log_check.h): so it is set before anything else is written.
Result<Lsn, StoreError> RocksStore::write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) {
  auto& loaded = static_cast<RocksLoad&>(*load);
  if (!loaded.is_table()) {
    StoreBatch all;
    for (auto& [key, value] : loaded.entries_) all.put(Column::objects, std::move(key), std::move(value));
    for (const auto& operation : batch.operations()) all.add(operation);
    return write(all);
  }
  if (auto error = database_.refusal()) return *error;
  const StoreError failed{StoreError::Kind::io, "an fsync has failed"};
  std::unique_lock lock(database_.writing_);
  if (progress_->durable.load() < written_.value && !database_.commit_->sync_now()) return failed;
  const uint64_t last_write = database_.last_write();
  if (auto error = loaded.ingest(batch)) return *error;
  ++written_.value;
  remember(batch);
  if (database_.last_write() == last_write) {
    database_.commit_->made_durable(*progress_, written_.value);
  } else {
    progress_->written.store(written_.value);
    if (!database_.commit_->sync_now()) return failed;
  }
  return written_;
}

std::optional<StoreError> RocksStore::add(const StoreBatch::Operation& operation,
                                          rocksdb::WriteBatch& writes) const {
  auto* column = database_.columns_[static_cast<size_t>(operation.column)];
  rocksdb::Status status;
  if (operation.value) {
    status = writes.Put(column, operation.key, *operation.value);
  } else if (operation.range_end.empty()) {
    status = writes.Delete(column, operation.key);
  } else {
    status = writes.DeleteRange(column, operation.key, operation.range_end);
  }
  if (!status.ok()) return to_store_error(status, "writing");
  return std::nullopt;
}

void RocksStore::remember(const StoreBatch& batch) {
  for (const auto& operation : batch.operations()) {
    if (operation.column != Column::objects) continue;
    if (operation.value) {
      objects_.put(operation.key, *operation.value);
    } else if (operation.range_end.empty()) {
      objects_.erase(operation.key);
    } else {
      objects_.clear();  // a whole partition goes: rare
    }
  }
}

Lsn RocksStore::durable() const {
  if (database_.options_.durability == Durability::none) return written_;
  return Lsn{progress_->durable.load()};
}

std::unique_ptr<StoreCursor> RocksStore::cursor(Column column, std::string_view lower, std::string_view upper,
                                                const StoreSnapshot* snapshot) {
  return std::make_unique<RocksCursor>(
      *database_.db_, database_.columns_[static_cast<size_t>(column)], lower, upper,
      snapshot ? static_cast<const RocksSnapshot*>(snapshot)->get() : nullptr,
      [this](const rocksdb::Status& status) { return database_.failed(status, "reading on"); });
}

std::unique_ptr<StoreSnapshot> RocksStore::snapshot() {
  return std::make_unique<RocksSnapshot>(*database_.db_);
}

}  // namespace covey
