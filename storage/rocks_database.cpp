#include "storage/rocks_database.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/utilities/backup_engine.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string_view>
#include <utility>

#include "storage/disk_space.h"
#include "storage/durable_mark.h"
#include "storage/group_commit.h"
#include "storage/log_check.h"
#include "storage/log_files.h"
#include "storage/log_format.h"
#include "storage/log_sync.h"
#include "storage/manifest_check.h"
#include "storage/rocks_options.h"
#include "storage/rocks_status.h"
#include "storage/rocks_store.h"

namespace covey {
namespace {

constexpr std::chrono::seconds resume_time_max{30};
// Beside the tables that memory becomes: the manifest, room ahead in the new log, a block that is not full.
constexpr uint64_t resume_margin_bytes = 4 << 20;

}  // namespace

Database::Database(DatabaseOptions options)
    : options_(std::move(options)), env_(options_.env ? options_.env : rocksdb::Env::Default()) {}

Result<std::unique_ptr<Database>, StoreError> Database::open(DatabaseOptions options) {
  std::unique_ptr<Database> database(new Database(std::move(options)));
  if (auto error = database->check_files()) return *error;
  if (auto error = database->open_files()) return *error;
  const bool with_thread = !database->options_.deterministic;
  const uint32_t interval_ms =
      database->options_.durability == Durability::interval ? database->options_.interval_ms : 0;
  database->commit_ =
      std::make_unique<GroupCommit>(GroupCommit::Actions{[raw = database.get()] { return raw->sync_logs(); },
                                                         [raw = database.get()] { return raw->recover(); }},
                                    interval_ms, with_thread);
  return database;
}

// What RocksDB itself would take in silence: a missing CURRENT file (it would start anew and delete the
// tables), and logs that have become shorter or damaged (it would drop the rest).
std::optional<StoreError> Database::check_files() {
  const auto made = env_->CreateDirIfMissing(options_.path);
  if (!made.ok()) return to_store_error(made, options_.path);
  std::vector<std::string> names;
  const auto listed = env_->GetChildren(options_.path, &names);
  if (!listed.ok()) return to_store_error(listed, options_.path);

  for (const std::string& name : names) {
    if (!name.starts_with(load_file_prefix)) continue;
    const auto removed = env_->DeleteFile(options_.path + "/" + name);
    if (!removed.ok()) return to_store_error(removed, options_.path + "/" + name);
  }

  const auto is = [](std::string_view wanted) {
    return [wanted](const std::string& name) { return name == wanted; };
  };
  const bool has_current = std::any_of(names.begin(), names.end(), is("CURRENT"));
  if (!has_current) {
    const bool has_data = std::any_of(names.begin(), names.end(), [](std::string_view name) {
      return name.ends_with(".sst") || name.ends_with(".log");
    });
    if (has_data)
      return StoreError{StoreError::Kind::corruption,
                        options_.path + "/CURRENT is missing, and tables or logs are there"};
    auto mark = DurableMark::create(*env_, options_.path);
    if (!mark) return mark.error();
    mark_ = std::move(*mark);
    return std::nullopt;
  }

  auto mark = DurableMark::open(*env_, options_.path);
  if (!mark) return mark.error();
  mark_ = std::move(*mark);
  const SyncedPositions synced = mark_->positions();
  const auto manifest = check_manifest(*env_, options_.path, {synced.manifest, synced.manifest_before});
  auto check = check_logs(*env_, options_.path, synced.logs, manifest.first_live_log);
  if (manifest.damage) check.damage = manifest.damage;
  if (check.damage) {
    check.damage->message = options_.path + ": " + check.damage->message;
    return check.damage;
  }
  notes_ = std::move(check.notes);
  if (manifest.drop) {
    notes_.push_back(manifest.note);
    check.drops.push_back(*manifest.drop);
  }
  return drop_unsynced(*env_, options_.path, check.drops);
}

std::optional<StoreError> Database::open_files() {
  const bool syncs_each = options_.durability == Durability::sync;
  log_files_ = std::make_shared<LogFiles>(env_->GetFileSystem(), syncs_each ? options_.log_ahead_bytes : 0);
  database_env_ = rocksdb::NewCompositeEnv(log_files_);
  const auto setup = rocks_setup(
      options_, *database_env_,
      {[this](const std::string& reason) { fail(reason); },
       [this](const std::string& path) { manifest_synced(path); }, [this](uint64_t log) { torn_log_ = log; },
       [this](const std::string& what) { damaged(what); }});
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(setup.database, options_.path, setup.columns, &all_handles_, &db);
  if (!status.ok()) return to_store_error(status, options_.path);
  db_.reset(db);
  std::copy_n(all_handles_.begin(), columns_.size(), columns_.begin());

  // Recovery has put the old logs' contents into tables, so what is durable begins with the new log.
  std::unique_ptr<rocksdb::LogFile> log;
  const auto current = db_->GetCurrentWalFile(&log);
  if (!current.ok()) return to_store_error(current, options_.path);
  log_sync_ = std::make_unique<LogSync>(*env_, options_.path);
  if (auto error =
          mark_->advance_logs({{log->LogNumber(), 0}, db_->GetLatestSequenceNumber(), log->LogNumber()}))
    return error;
  return mark_->sync();
}

Database::~Database() { stop(); }

void Database::stop() {
  if (!db_) return;
  if (commit_) commit_->sync_now();
  commit_.reset();
  for (auto* handle : all_handles_) db_->DestroyColumnFamilyHandle(handle);
  all_handles_.clear();
  db_.reset();
  log_sync_.reset();
  mark_.reset();
}

std::unique_ptr<Store> Database::shard(std::function<void()> on_durable) {
  return std::make_unique<RocksStore>(*this, std::move(on_durable), options_.object_cache_bytes);
}

std::unique_ptr<Store> Database::reader() {
  return std::make_unique<RocksStore>(*this, std::function<void()>(), 0);
}

Result<Done, StoreError> Database::sync() {
  if (!commit_->sync_now()) return StoreError{StoreError::Kind::io, options_.path + ": an fsync has failed"};
  return Done{};
}

Result<Done, StoreError> Database::close() {
  auto synced = sync();
  if (!synced) return synced;
  if (auto error = mark_->sync()) return *error;
  stop();
  return Done{};
}

Result<Done, StoreError> Database::flush() {
  const std::vector<rocksdb::ColumnFamilyHandle*> handles(columns_.begin(), columns_.end());
  const auto status = db_->Flush(rocksdb::FlushOptions(), handles);
  await_deletions();
  if (!status.ok()) return to_store_error(status, "writing tables");
  return Done{};
}

// RocksDB deletes logs on a thread of its own; listing them waits for it.
void Database::await_deletions() {
  rocksdb::VectorLogPtr logs;
  if (options_.deterministic) db_->GetSortedWalFiles(logs).PermitUncheckedError();
}

rocksdb::Status Database::back_up(rocksdb::BackupEngine& engine, const std::string& label,
                                  const std::function<void()>& progress, uint32_t& id) {
  rocksdb::CreateBackupOptions options;
  // What is in memory becomes tables, which later backups share; a log would be copied anew each time.
  options.flush_before_backup = true;
  options.progress_callback = progress;
  rocksdb::Status status = engine.CreateNewBackupWithMetadata(options, db_.get(), label, &id);
  if (!status.IsCorruption()) return status;
  // Either a table here has not its checksum, or something in the folder of backups.
  const auto live = db_->VerifyFileChecksums(rocksdb::ReadOptions());
  if (live.IsCorruption()) damaged("met by a backup: " + live.ToString());
  return status;
}

uint64_t Database::live_bytes() const {
  uint64_t sum = 0;
  for (auto* column : columns_) {
    for (const char* property : {"rocksdb.estimate-live-data-size", "rocksdb.cur-size-all-mem-tables"}) {
      uint64_t bytes = 0;
      if (db_->GetIntProperty(column, property, &bytes)) sum += bytes;
    }
  }
  return sum;
}

uint64_t Database::last_write() const { return db_->GetLatestSequenceNumber(); }

uint64_t Database::syncs() const { return commit_->syncs(); }

void Database::fail(const std::string& reason) {
  has_failed_ = true;
  if (options_.on_failure) return options_.on_failure(reason);
  std::fprintf(stderr, "covey: %s; stopping\n", reason.c_str());
  std::abort();
}

void Database::damaged(const std::string& what) {
  if (damage_told_.exchange(true)) return;
  if (options_.on_damage) options_.on_damage(options_.path + ": " + what);
}

StoreError Database::failed(const rocksdb::Status& status, const std::string& where) {
  auto error = to_store_error(status, where);
  if (error.kind == StoreError::Kind::corruption) damaged(error.message);
  return error;
}

// Whether a write is not even tried.
std::optional<StoreError> Database::refusal() const {
  if (has_failed_) return StoreError{StoreError::Kind::io, options_.path + " has failed"};
  if (torn_log_ > 0) return StoreError{StoreError::Kind::full, options_.path + ": the disk was full"};
  return std::nullopt;
}

// One sync at a time (GroupCommit sees to it). The last write and the log's size are taken first: those the
// sync surely covers, also when a shard writes on meanwhile or RocksDB begins the next log.
bool Database::sync_logs() {
  if (has_failed_) return false;
  const uint64_t last_write = db_->GetLatestSequenceNumber();
  std::unique_ptr<rocksdb::LogFile> log;
  std::optional<uint64_t> bytes;
  auto status = db_->GetCurrentWalFile(&log);
  // The log may have become tables and gone between its name and its size; a second look finds the next one.
  if (!status.ok()) status = db_->GetCurrentWalFile(&log);
  std::optional<StoreError> error;
  if (!status.ok()) error = to_store_error(status, "asking for the log's size");
  if (!error) bytes = log_files_->appended(log->LogNumber());
  if (!error) error = log_sync_->sync(log->LogNumber());
  if (!error) {
    COVEY_ASSERT(bytes.has_value());  // RocksDB begins a log for itself at each start
    error = mark_synced({log->LogNumber(), *bytes}, last_write);
  }
  if (error) fail("syncing the log failed: " + error->message);
  return !error;
}

// size: the log's, maybe with a record's beginning at the end.
std::optional<StoreError> Database::mark_synced(LogPosition size, uint64_t last_write) {
  SyncedLogs logs = mark_->positions().logs;
  const bool is_new = size.log != logs.end.log;
  if (log_sync_->file() == nullptr) return std::nullopt;
  const auto end = last_fragment_end(*log_sync_->file(), is_new ? 0 : logs.end.bytes, size.bytes);
  if (!end) return std::nullopt;
  logs.end = {size.log, *end};
  logs.last_write = last_write;
  auto error = mark_->advance_logs(logs);
  // Durable before anything in the new log is promised: what follows the log of a mark that lags behind may
  // be dropped.
  if (!error && is_new) error = mark_->sync();
  return error;
}

// Before RocksDB deletes a log whose contents it has noted in the manifest as tables.
void Database::manifest_synced(const std::string& path) {
  uint64_t bytes = 0;
  auto status = env_->GetFileSize(path, &bytes);
  const auto number = std::strtoull(path.c_str() + path.rfind('-') + 1, nullptr, 10);
  std::optional<StoreError> error;
  if (!status.ok()) error = to_store_error(status, path);
  if (!error) error = mark_->advance_manifest({number, bytes}, manifest_in_use(*env_, options_.path));
  if (!error) error = mark_->sync();
  if (error) fail("noting the sync of the manifest failed: " + error->message);
}

// RocksDB makes tables of what is in memory and goes on in a new log. With nothing in memory it would go on
// in the torn log, or in one before it, and that ends in an assertion of its own.
bool Database::recover() {
  if (!has_room_to_resume()) return false;
  const bool resumed = resume();
  await_deletions();
  if (!resumed) return false;
  std::unique_ptr<rocksdb::LogFile> log;
  if (!db_->GetCurrentWalFile(&log).ok()) return false;
  if (log->LogNumber() <= torn_log_)
    fail("the disk was full at the first write to a log, which can only be mended by a new start");
  torn_log_ = 0;
  return true;
}

// An attempt that fails leaves work for other threads of RocksDB, which may sync the torn log once the
// attempt is over: an assertion of 7.8 ends the process then. So none is made that has to fail.
bool Database::has_room_to_resume() const {
  uint64_t in_memory = 0, free = 0;
  db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &in_memory);
  if (options_.env != nullptr) {
    if (!env_->GetFreeSpace(options_.path, &free).ok()) return true;
  } else if (const auto told = free_disk_bytes(options_.path)) {
    free = *told;  // what an ordinary user may use: RocksDB counts what is kept for root, too
  } else {
    return true;
  }
  return free >= in_memory + resume_margin_bytes;
}

// RocksDB 7.8 waits for those tables for ever if a compaction meets the full disk meanwhile.
bool Database::resume() {
  if (options_.deterministic) return db_->Resume().ok();
  auto resumed = std::async(std::launch::async, [this] { return db_->Resume().ok(); });
  if (resumed.wait_for(resume_time_max) == std::future_status::timeout)
    fail("RocksDB does not go on after the disk was full, which can only be mended by a new start");
  return resumed.get();
}

}  // namespace covey
