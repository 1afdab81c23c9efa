#include "storage/rocks_load.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <map>

#include "storage/rocks_status.h"

namespace covey {

namespace {

constexpr uint64_t table_bytes_max = 64 << 20;

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace

RocksLoad::RocksLoad(Database& database) : database_(database) {}

RocksLoad::~RocksLoad() {
  writer_.reset();
  std::vector<std::string> left;
  if (!writing_.empty()) left.push_back(writing_);
  for (const Tables& tables : tables_) left.insert(left.end(), tables.paths.begin(), tables.paths.end());
  for (const std::string& path : left) database_.env_->DeleteFile(path).PermitUncheckedError();
}

std::optional<StoreError> RocksLoad::add(std::string_view key, std::string_view value) {
  const uint64_t before = bytes_;
  bytes_ += key.size() + value.size();
  const uint64_t in_memory_max = database_.options_.load_memory_bytes;
  if (bytes_ <= in_memory_max) {
    COVEY_ASSERT(entries_.empty() || entries_.back().first < key);
    entries_.emplace_back(key, value);
    return std::nullopt;
  }
  if (before <= in_memory_max) {
    if (auto error = begin_table(Column::objects)) return error;
    for (const auto& [first, second] : entries_) {
      const auto status = writer_->Put(first, second);
      if (!status.ok()) return to_store_error(status, writing_);
    }
    entries_.clear();
    entries_.shrink_to_fit();
  }
  if (writer_ && writer_->FileSize() >= table_bytes_max) {
    if (auto error = end_table(tables_[static_cast<size_t>(Column::objects)])) return error;
  }
  if (!writer_) {
    if (auto error = begin_table(Column::objects)) return error;
  }
  const auto status = writer_->Put(slice(key), slice(value));
  if (!status.ok()) return to_store_error(status, writing_);
  return std::nullopt;
}

std::optional<StoreError> RocksLoad::begin_table(Column column) {
  rocksdb::Options options = database_.db_->GetOptions(database_.columns_[static_cast<size_t>(column)]);
  // It may lie at the lowest level at once, whose compression takes several times as long.
  options.bottommost_compression = rocksdb::kDisableCompressionOption;
  writing_ = database_.options_.path + "/" + load_file_prefix + std::to_string(++database_.loads_);
  writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(options), options,
                                                     database_.columns_[static_cast<size_t>(column)], false);
  const auto status = writer_->Open(writing_);
  if (!status.ok()) return to_store_error(status, writing_);
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

std::optional<StoreError> RocksLoad::finish() {
  if (!writer_) return std::nullopt;
  return end_table(tables_[static_cast<size_t>(Column::objects)]);
}

Result<std::optional<std::string>, StoreError> RocksLoad::find(std::string_view key) {
  if (!entries_.empty()) {
    const auto at =
        std::lower_bound(entries_.begin(), entries_.end(), key,
                         [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    if (at == entries_.end() || at->first != key) return std::optional<std::string>();
    return std::optional<std::string>(at->second);
  }
  if (auto error = finish()) return *error;
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
  if (auto error = finish()) return error;
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
