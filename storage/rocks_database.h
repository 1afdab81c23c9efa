// One RocksDB database a node, shared by the stores of its shards.
//
// A write reaches the operating system before it returns (no manual_wal_flush), so a killed process loses no
// write that returned, in any mode. Buffering the log in the process and flushing it every 16 writes was
// measured to save at most a tenth of a write's processor time, and a full disk would then show itself only
// after readers have seen the write.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "replication/result.h"
#include "replication/store.h"
#include "storage/durability.h"

namespace rocksdb {
class BackupEngine;
class ColumnFamilyHandle;
class DB;
class Env;
class Status;
}  // namespace rocksdb

namespace covey {

// Files of the database's directory that are not part of it: of loads that were not written.
inline constexpr const char* load_file_prefix = "load-";

class DurableMark;
class GroupCommit;
class LogFiles;
class LogSync;
class RocksStore;
struct LogPosition;

struct DatabaseOptions {
  std::string path;  // of RocksDB's own directory; its parent exists
  Durability durability = Durability::sync;
  uint32_t interval_ms = 1000;                // with Durability::interval: at least so long between two syncs
  uint64_t block_cache_bytes = 64ull << 20;   // also holds indexes and filters
  uint64_t object_cache_bytes = 32ull << 20;  // of each shard's store (storage/object_cache.h); 0: none
  uint64_t write_buffer_bytes = 64ull << 20;  // all memtables together; logs take at most twice as much
  uint64_t log_ahead_bytes = 256 << 10;       // with Durability::sync: see storage/log_files.h; 0: none
  uint64_t load_memory_bytes = 1 << 20;       // what a load (Store::load) with more is made tables of at once
  rocksdb::Env* env = nullptr;  // the files; borrowed, outlives the database. nullptr: the real ones
  // The simulator's way, repeatable: no thread for syncs (whoever uses it calls sync() and recover()) and no
  // compaction of its own.
  bool deterministic = false;
  // Called with the reason, on any thread, when the database cannot go on. Empty: prints it and aborts, as a
  // server must: after a failed fsync nobody knows what is on the disk, and asking again gives a false
  // answer. From then on nothing is written or becomes durable.
  std::function<void(const std::string&)> on_failure;
  // Called once, on any thread, when bytes of a table turn out to be damaged. Reads of them fail as
  // corruption; the rest goes on until RocksDB meets them itself, then writes fail as well. May be empty.
  std::function<void(const std::string&)> on_damage;
};

class Database {
 public:
  // Opens or makes the database. Errors: corruption names the file and the place, and the files stay as they
  // are.
  static Result<std::unique_ptr<Database>, StoreError> open(DatabaseOptions options);
  // Makes everything durable (best effort: use close() to know) and closes. All stores and cursors are gone
  // by then.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // A store for one more shard, whose Lsn counts from 0. on_durable is called whenever its durable() has
  // grown (never with Durability::none) or a load has become ready, on another thread and under a lock: it
  // only posts a message to the shard. The store must not outlive the database.
  std::unique_ptr<Store> shard(std::function<void()> on_durable = {});
  // For reading only, what all shards write. No cache of objects: nobody would tell it of their writes. The
  // store must not outlive the database.
  std::unique_ptr<Store> reader();

  // Waits until everything written before the call is durable, in any mode. For any thread but a shard's.
  [[nodiscard]] Result<Done, StoreError> sync();
  // sync(), then closes all files. Nothing may be used afterwards.
  [[nodiscard]] Result<Done, StoreError> close();
  // Writes the memtables out as tables and waits for it. For tests, and for the simulator's repeatable runs.
  [[nodiscard]] Result<Done, StoreError> flush();
  // After a full disk: tries to take writes again. False: there is still no space for what is in memory,
  // which becomes tables first (and 4 MiB). The sync thread does this by itself.
  bool recover();

  // Makes a backup of the present state, of which `label` is kept with it; `id` becomes its number. Writes go
  // on meanwhile; files that it needs are not deleted before it ends. `progress` as the engine is set to.
  // For storage/backup.cpp.
  rocksdb::Status back_up(rocksdb::BackupEngine& engine, const std::string& label,
                          const std::function<void()>& progress, uint32_t& id);

  uint64_t live_bytes() const;  // of what is stored, about: tables as they are compressed, and memtables
  uint64_t last_write() const;  // RocksDB's number of it; one for each operation of a batch
  uint64_t syncs() const;       // how many there have been, for metrics
  // What opening found in the unsynced end of the log and dropped. Worth a warning in the server's log.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  friend class RocksLoad;
  friend class RocksStore;
  explicit Database(DatabaseOptions options);
  std::optional<StoreError> check_files();
  std::optional<StoreError> open_files();
  bool sync_logs();
  bool has_room_to_resume() const;
  bool resume();
  void await_deletions();
  void fail(const std::string& reason);
  void damaged(const std::string& what);
  // The status as an error, its damage told.
  StoreError failed(const rocksdb::Status& status, const std::string& where);
  std::optional<StoreError> refusal() const;
  void manifest_synced(const std::string& path);
  std::optional<StoreError> mark_synced(LogPosition size, uint64_t last_write);
  void stop();

  DatabaseOptions options_;
  rocksdb::Env* env_;
  std::vector<std::string> notes_;
  std::unique_ptr<DurableMark> mark_;
  // Writers share it; who takes tables in has it alone (RocksStore::write of a load).
  std::shared_mutex writing_;
  std::atomic<uint64_t> loads_{0};  // files of loads that were begun, for their names
  std::unique_ptr<LogSync> log_sync_;
  std::shared_ptr<LogFiles> log_files_;
  std::unique_ptr<rocksdb::Env> database_env_;  // with log_files_; outlives db_
  std::atomic<bool> has_failed_{false};
  std::atomic<uint64_t> torn_log_{0};  // the log that has just been found full; 0: none
  std::atomic<bool> damage_told_{false};
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, column_count> columns_{};
  std::vector<rocksdb::ColumnFamilyHandle*> all_handles_;  // columns_ and RocksDB's own "default"
  std::unique_ptr<GroupCommit> commit_;                    // its thread uses all of the above
};

}  // namespace covey
