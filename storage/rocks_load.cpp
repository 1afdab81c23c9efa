#include "storage/rocks_load.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <map>

#include "replication/codec.h"
#include "storage/rocks_slice.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

constexpr uint64_t table_bytes_max = 64 << 20;
constexpr size_t run_bytes = 256 << 10;
constexpr size_t runs_waiting_max = 16;
constexpr size_t varint_bytes_max = 10;

}  // namespace

RocksLoad::RocksLoad(Database& database, std::function<void()> on_ready)
    : database_(database), on_ready_(std::move(on_ready)) {}

RocksLoad::~RocksLoad() {
  {
    std::lock_guard lock(mutex_);
    dropped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  writer_.reset();
  std::vector<std::string> left;
  if (!writing_.empty()) left.push_back(writing_);
  for (const Tables& tables : tables_) left.insert(left.end(), tables.paths.begin(), tables.paths.end());
  for (const std::string& path : left) database_.env_->DeleteFile(path).PermitUncheckedError();
}

std::optional<StoreError> RocksLoad::add(std::string_view key, std::string_view value) {
  bytes_ += key.size() + value.size();
  if (!is_table()) {
    COVEY_ASSERT(entries_.empty() || entries_.back().first < key);
    entries_.emplace_back(key, value);
    return std::nullopt;
  }
  for (const auto& [first, second] : entries_) append(first, second);
  entries_ = {};
  append(key, value);
  return run_.size() < run_bytes ? std::nullopt : hand_over();
}

void RocksLoad::append(std::string_view key, std::string_view value) {
  if (run_.empty()) run_.reserve(run_bytes + key.size() + value.size() + 2 * varint_bytes_max);
  Writer out(run_);
  out.bytes(key);
  out.bytes(value);
}

std::optional<StoreError> RocksLoad::hand_over() {
  std::string run = std::exchange(run_, {});
  if (database_.options_.deterministic) {
    if (!failure_) failure_ = write_run(run);
    return failure_;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return runs_.size() < runs_waiting_max || failure_; });
  if (failure_) return failure_;
  runs_.push_back(std::move(run));
  lock.unlock();
  changed_.notify_all();
  if (!thread_.joinable()) thread_ = std::thread([this] { write_runs(); });
  return std::nullopt;
}

void RocksLoad::end() {
  if (!run_.empty() && hand_over()) return;  // any later call tells of it
  if (!thread_.joinable()) {
    if (!failure_ && writer_) failure_ = end_table(tables_[static_cast<size_t>(Column::objects)]);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

bool RocksLoad::ready() {
  if (!thread_.joinable()) return true;
  std::lock_guard lock(mutex_);
  return written_;
}

std::optional<StoreError> RocksLoad::await() {
  if (thread_.joinable()) thread_.join();
  return failure_;
}

void RocksLoad::write_runs() {
  count_nothing();
  std::unique_lock lock(mutex_);
  while (!failure_) {
    changed_.wait(lock, [this] { return !runs_.empty() || ended_ || dropped_; });
    if (dropped_) return;
    if (runs_.empty()) break;
    const std::string run = std::move(runs_.front());
    runs_.pop_front();
    lock.unlock();
    changed_.notify_all();
    auto failure = write_run(run);
    lock.lock();
    failure_ = std::move(failure);
  }
  lock.unlock();
  std::optional<StoreError> failure;
  if (!failure_ && writer_) failure = end_table(tables_[static_cast<size_t>(Column::objects)]);
  lock.lock();
  if (failure) failure_ = std::move(failure);
  written_ = true;
  lock.unlock();
  changed_.notify_all();
  on_ready_();
}

std::optional<StoreError> RocksLoad::write_run(std::string_view run) {
  for (covey::Reader in(run); !in.done();) {
    if (writer_ && writer_->FileSize() >= table_bytes_max) {
      if (auto error = end_table(tables_[static_cast<size_t>(Column::objects)])) return error;
    }
    if (!writer_) {
      if (auto error = begin_table(Column::objects)) return error;
    }
    const std::string_view key = in.bytes();
    const auto status = writer_->Put(slice(key), slice(in.bytes()));
    if (!status.ok()) return to_store_error(status, writing_);
  }
  return std::nullopt;
}

std::optional<StoreError> RocksLoad::begin_table(Column column) {
  rocksdb::Options options = database_.db_->GetOptions(database_.columns_[static_cast<size_t>(column)]);
  // It may lie at the lowest level at once, whose compression takes several times as long.
  options.bottommost_compression = rocksdb::kDisableCompressionOption;
  writing_ = database_.options_.path + "/" + load_file_prefix + std::to_string(++database_.loads_);
  rocksdb::EnvOptions files(options);
  // Past the system's cache: nobody reads it soon, and it has to be on the disk at the end anyway.
  for (const bool direct : {true, false}) {
    files.use_direct_writes = direct;
    writer_ = std::make_unique<rocksdb::SstFileWriter>(
        files, options, database_.columns_[static_cast<size_t>(column)], false);
    const auto status = writer_->Open(writing_);
    if (status.ok()) break;
    if (!direct) return to_store_error(status, writing_);  // not all file systems can
  }
  return std::nullopt;
}

std::optional<StoreError> RocksLoad::end_table(Tables& tables) {
  rocksdb::ExternalSstFileInfo info;
  const auto status = writer_->Finish(&info);
  writer_.reset();
  if (!status.ok()) return to_store_error(status, writing_);
  tables.paths.push_back(std::exchange(writing_, {}));
  tables.checksums.push_back(info.file_checksum);
  tables.checksum_kinds.push_back(info.file_checksum_func_name);
  return std::nullopt;
}

Result<std::optional<std::string>, StoreError> RocksLoad::find(std::string_view key) {
  if (!entries_.empty()) {
    const auto at =
        std::lower_bound(entries_.begin(), entries_.end(), key,
                         [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    if (at == entries_.end() || at->first != key) return std::optional<std::string>();
    return std::optional<std::string>(at->second);
  }
  if (auto error = await()) return *error;
  if (readers_.empty()) {
    const auto options = database_.db_->GetOptions(database_.columns_[static_cast<size_t>(Column::objects)]);
    for (const std::string& path : tables_[static_cast<size_t>(Column::objects)].paths) {
      auto reader = std::make_unique<rocksdb::SstFileReader>(options);
      const auto status = reader->Open(path);
      if (!status.ok()) return to_store_error(status, path);
      readers_.push_back({std::move(reader), nullptr});
      readers_.back().cursor.reset(readers_.back().table->NewIterator(rocksdb::ReadOptions()));
    }
  }
  for (Reader& reader : readers_) {
    reader.cursor->Seek(slice(key));
    if (!reader.cursor->status().ok())
      return database_.failed(reader.cursor->status(), "reading what was loaded");
    if (reader.cursor->Valid() && reader.cursor->key() == slice(key))
      return std::optional<std::string>(reader.cursor->value().ToString());
  }
  return std::optional<std::string>();
}

std::optional<StoreError> RocksLoad::add_tables(const StoreBatch& batch) {
  std::array<std::map<std::string_view, const StoreBatch::Operation*>, column_count> last;
  for (const auto& operation : batch.operations()) {
    COVEY_ASSERT(operation.range_end.empty());
    last[static_cast<size_t>(operation.column)][operation.key] = &operation;
  }
  for (size_t column = 0; column < last.size(); ++column) {
    if (last[column].empty()) continue;
    if (auto error = begin_table(static_cast<Column>(column))) return error;
    for (const auto& [key, operation] : last[column]) {
      const auto status =
          operation->value ? writer_->Put(slice(key), *operation->value) : writer_->Delete(slice(key));
      if (!status.ok()) return to_store_error(status, writing_);
    }
    if (auto error = end_table(tables_[column])) return error;
  }
  return std::nullopt;
}

std::optional<StoreError> RocksLoad::ingest(const StoreBatch& batch) {
  readers_.clear();
  if (auto error = await()) return error;
  if (auto error = add_tables(batch)) return error;
  std::vector<rocksdb::IngestExternalFileArg> parts;
  for (size_t column = 0; column < tables_.size(); ++column) {
    Tables& tables = tables_[column];
    if (tables.paths.empty()) continue;
    rocksdb::IngestExternalFileArg part;
    part.column_family = database_.columns_[column];
    part.external_files = tables.paths;
    part.files_checksums = tables.checksums;
    part.files_checksum_func_names = tables.checksum_kinds;
    part.options.move_files = true;
    part.options.write_global_seqno = false;
    part.options.verify_file_checksum = false;  // it was made while the file was
    parts.push_back(std::move(part));
  }
  const auto status = database_.db_->IngestExternalFiles(parts);
  if (!status.ok()) return database_.failed(status, "taking in tables");
  return std::nullopt;
}

}  // namespace covey
