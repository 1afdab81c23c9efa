// Syncs RocksDB's write-ahead logs through descriptors of our own.
//
// Why not DB::SyncWAL: after an append has failed on a full disk it refuses to sync the whole records that
// came before, turns the lack of space into an error that ends the database, and in builds of RocksDB with
// assertions (Debian's is one) aborts. A sync of the same file by another descriptor makes the same bytes
// durable and knows nothing of that. When RocksDB lets go of a log unsynced, it has made tables of it or
// syncs it itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "replication/store.h"

namespace rocksdb {
class Env;
class RandomRWFile;
}  // namespace rocksdb

namespace covey {

// Used by one thread at a time.
class LogSync {
 public:
  LogSync(rocksdb::Env& env, std::string directory);
  ~LogSync();

  // Makes durable all that has been written to logs up to and with the number `newest`, the one now written
  // to.
  std::optional<StoreError> sync(uint64_t newest);
  // The log that was synced last. nullptr: it has become tables already.
  const rocksdb::RandomRWFile* file() const { return file_.get(); }

 private:
  std::optional<StoreError> change_log(uint64_t newest);

  rocksdb::Env& env_;
  const std::string directory_;
  uint64_t number_ = 0;  // of the log that is open in file_; all before it are synced
  std::unique_ptr<rocksdb::RandomRWFile> file_;
};

}  // namespace covey
