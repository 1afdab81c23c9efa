// Objects on their way into the database as whole tables (StoreLoad): written once, in order, beside the
// database, and taken into it by name. A write through log and memtable is written there, again by a flush
// and once or twice more by compactions.
#pragma once

#include <rocksdb/iterator.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "replication/store.h"
#include "storage/rocks_database.h"

namespace covey {

class RocksLoad final : public StoreLoad {
 public:
  // The database outlives it.
  explicit RocksLoad(Database& database);
  ~RocksLoad() override;  // removes its files, but for those that the database has taken

  std::optional<StoreError> add(std::string_view key, std::string_view value) override;
  Result<std::optional<std::string>, StoreError> find(std::string_view key) override;
  bool is_table() const { return bytes_ > database_.options_.load_memory_bytes; }

 private:
  friend class RocksStore;
  // Tables of one column, in the order in which they were made.
  struct Tables {
    std::vector<std::string> paths, checksums, checksum_kinds;
  };

  std::optional<StoreError> begin_table(Column column);
  std::optional<StoreError> end_table(Tables& tables);
  std::optional<StoreError> finish();
  // A table for each column of the batch.
  std::optional<StoreError> add_tables(const StoreBatch& batch);
  // Everything as tables, the batch's on top. Nothing else may be written to the database meanwhile.
  std::optional<StoreError> ingest(const StoreBatch& batch);

  Database& database_;
  // Few entries are kept here and never become a table, unless there are more.
  std::vector<std::pair<std::string, std::string>> entries_;
  uint64_t bytes_ = 0;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::string writing_;  // its file
  std::array<Tables, column_count> tables_;
  struct Reader {
    std::unique_ptr<rocksdb::SstFileReader> table;
    std::unique_ptr<rocksdb::Iterator> cursor;
  };
  std::vector<Reader> readers_;  // of the objects' tables, once something was looked for
};

}  // namespace covey
