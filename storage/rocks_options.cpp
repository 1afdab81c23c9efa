#include "storage/rocks_options.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "storage/file_checksum.h"
#include "storage/log_format.h"
#include "storage/memtable.h"

namespace covey {

namespace {

// The persisted names of the columns, in the order of Column.
constexpr std::array<const char*, column_count> column_names = {"objects",    "dots", "residual",
                                                                "partitions", "node", "expiry"};

// Sees the syncs of every file: logs, tables, the manifest.
class SyncWatch final : public rocksdb::EventListener {
 public:
  explicit SyncWatch(FileEvents events) : events_(std::move(events)) {}
  bool ShouldBeNotifiedOnFileIO() override { return true; }
  void OnFileSyncFinish(const rocksdb::FileOperationInfo& info) override {
    if (info.status.ok() && info.path.find("/MANIFEST-") != std::string::npos)
      events_.manifest_synced(info.path);
  }
  // Going on after a full disk has one place, Database::recover.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (status->IsCorruption()) {
      events_.damaged(status->ToString());
    } else if (status->severity() >= rocksdb::Status::Severity::kFatalError) {
      events_.failed("RocksDB cannot go on: " + status->ToString());
    }
  }
  void OnIOError(const rocksdb::IOErrorInfo& info) override {
    using rocksdb::FileOperationType;
    if (info.operation == FileOperationType::kSync || info.operation == FileOperationType::kFsync ||
        info.operation == FileOperationType::kRangeSync)
      events_.failed("fsync of " + info.file_path + " failed: " + info.io_status.ToString());
    if (info.operation == FileOperationType::kAppend && info.io_status.IsNoSpace())
      for (const uint64_t log : log_numbers({info.file_path.substr(info.file_path.rfind('/') + 1)}))
        events_.log_torn(log);
  }

 private:
  const FileEvents events_;
};

rocksdb::CompressionType first_supported(std::initializer_list<rocksdb::CompressionType> wanted) {
  const auto supported = rocksdb::GetSupportedCompressions();
  for (const auto type : wanted)
    if (std::find(supported.begin(), supported.end(), type) != supported.end()) return type;
  return rocksdb::kNoCompression;
}

// Measured with a memtable of 100,000 keys: of the 7 microseconds that a read of a new key took, the filter
// saves 4.
void speed_up_memtable(Column which, rocksdb::ColumnFamilyOptions& column) {
  column.memtable_factory = tree_memtables();
  if (which != Column::objects) return;
  column.memtable_prefix_bloom_size_ratio = 0.02;
  column.memtable_whole_key_filtering = true;
}

rocksdb::BlockBasedTableOptions table_options(const std::shared_ptr<rocksdb::Cache>& cache,
                                              bool with_filter) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 16 << 10;
  // Indexes and filters count as cache, so that memory has one limit; those of the newest tables stay in it.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  // Most reads are of single objects and many of keys that are not there: a filter spares those the disk. In
  // parts: the filter of a large table in one block, of hundreds of KiB, falls out of the cache and is read
  // and checked again for every key.
  if (with_filter) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.partition_filters = true;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.pin_top_level_index_and_filter = true;
  }
  return table;
}

rocksdb::DBOptions database_options(const DatabaseOptions& options, rocksdb::Env& env, FileEvents events) {
  rocksdb::DBOptions db;
  db.env = &env;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  // Damage must show itself: at writing, at reading, and as a missing or shortened log that had been closed.
  db.paranoid_checks = true;
  db.verify_sst_unique_id_in_manifest = true;
  // One for each whole table, in the manifest: a backup compares what it copies.
  db.file_checksum_gen_factory = file_checksum_factory();
  db.track_and_verify_wals_in_manifest = true;
  // Unsynced ends are dropped before RocksDB opens (storage/log_check.h): what is left is whole.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  // The checks know fresh logs of whole, uncompressed records, which reach the system with each write.
  db.recycle_log_file_num = 0;
  db.wal_compression = rocksdb::kNoCompression;
  db.manual_wal_flush = false;
  db.unordered_write = false;
  // A column that is seldom written must not keep old logs for long: they are read at each start.
  db.max_total_wal_size = 2 * options.write_buffer_bytes;
  // Ends a cursor without deleting files in a shard's thread.
  db.avoid_unnecessary_blocking_io = !options.deterministic;
  if (options.deterministic) db.db_host_id.clear();
  db.max_background_jobs = 2;
  // A table's background writes go out as they are made and not in one flood before its fsync.
  db.bytes_per_sync = 1 << 20;
  db.skip_stats_update_on_db_open = true;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.max_log_file_size = 1 << 20;
  db.keep_log_file_num = 3;
  db.listeners.push_back(std::make_shared<SyncWatch>(std::move(events)));
  return db;
}

std::vector<rocksdb::ColumnFamilyDescriptor> column_options(const DatabaseOptions& options,
                                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions base;
  base.write_buffer_size = std::max<uint64_t>(options.write_buffer_bytes / 2, 64 << 10);
  base.max_write_buffer_number = 3;
  base.level_compaction_dynamic_level_bytes = true;
  base.compression = first_supported({rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
  base.bottommost_compression = first_supported({rocksdb::kZSTD, rocksdb::kLZ4Compression});
  base.disable_auto_compactions = options.deterministic;

  std::vector<rocksdb::ColumnFamilyDescriptor> columns;
  for (size_t i = 0; i < column_names.size(); ++i) {
    auto column = base;
    const bool with_filter = i == static_cast<size_t>(Column::objects);
    column.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(cache, with_filter)));
    speed_up_memtable(static_cast<Column>(i), column);
    columns.emplace_back(column_names[i], column);
  }
  base.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(cache, false)));
  columns.emplace_back(rocksdb::kDefaultColumnFamilyName, base);
  return columns;
}

}  // namespace

RocksSetup rocks_setup(const DatabaseOptions& options, rocksdb::Env& env, FileEvents events) {
  // Parts of 4 MiB or more: RocksDB's own choice, of 1 MiB, is soon full where a few large blocks meet.
  const int shard_bits =
      std::clamp(static_cast<int>(std::bit_width(options.block_cache_bytes >> 22)) - 1, 0, 6);
  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes, shard_bits);
  RocksSetup setup{database_options(options, env, std::move(events)), column_options(options, cache)};
  // Beside the cache, not in it: memtables would leave blocks no room when they are full.
  setup.database.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  return setup;
}

}  // namespace covey
