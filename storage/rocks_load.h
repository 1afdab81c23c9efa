// Objects on their way into the database as whole tables (StoreLoad): written once, in order, beside the
// database, and taken into it by name. A write through log and memtable is written there, again by a flush
// and once or twice more by compactions.
//
// The tables are written on a thread of the load's own: neither compressing and checksums nor the disk stop
// the shard.
#pragma once

#include <rocksdb/iterator.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "replication/store.h"
#include "storage/rocks_database.h"

namespace covey {

class RocksLoad final : public StoreLoad {
 public:
  // The database outlives it. on_ready: called on the load's thread once it is ready, unless it was from the
  // beginning; it may be gone then.
  RocksLoad(Database& database, std::function<void()> on_ready);
  ~RocksLoad() override;  // removes its files, but for those that the database has taken

  std::optional<StoreError> add(std::string_view key, std::string_view value) override;
  void end() override;
  bool ready() override;
  Result<std::optional<std::string>, StoreError> find(std::string_view key) override;
  bool is_table() const { return bytes_ > database_.options_.load_memory_bytes; }

 private:
  friend class RocksStore;
  // Tables of one column, in the order in which they were made.
  struct Tables {
    std::vector<std::string> paths, checksums, checksum_kinds;
  };

  void append(std::string_view key, std::string_view value);
  std::optional<StoreError> hand_over();  // the run, to be written
  void write_runs();                      // the thread
  std::optional<StoreError> write_run(std::string_view run);
  std::optional<StoreError> begin_table(Column column);
  std::optional<StoreError> end_table(Tables& tables);
  // Waits for the thread. What it has used is the caller's then.
  std::optional<StoreError> await();
  // A table for each column of the batch.
  std::optional<StoreError> add_tables(const StoreBatch& batch);
  // Everything as tables, the batch's on top. Nothing else may be written to the database meanwhile.
  std::optional<StoreError> ingest(const StoreBatch& batch);

  Database& database_;
  const std::function<void()> on_ready_;
  // Few entries are kept here and never become a table, unless there are more.
  std::vector<std::pair<std::string, std::string>> entries_;
  uint64_t bytes_ = 0;
  std::string run_;  // of entries, that is to be handed over

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> runs_;  // under mutex_, as all to failure_; to be written
  bool ended_ = false;            // no more runs come
  bool dropped_ = false;          // nobody wants them
  bool written_ = false;          // all of them, or it has failed
  std::optional<StoreError> failure_;
  std::thread thread_;  // uses what is above and the next three

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
