// A small file beside the database that tells how far the write-ahead log and the manifest have been synced.
//
// Written after each sync, without a sync of its own: it survives whatever the process dies of, and never
// tells more than is on the disk. After a crash of the machine it may be some seconds old; then damage
// between the mark and the end of what was synced is cut like an unsynced tail, which is noted when the
// database opens.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "replication/store.h"
#include "storage/log_check.h"

namespace rocksdb {
class Env;
class RandomRWFile;
}  // namespace rocksdb

namespace covey {

struct SyncedPositions {
  SyncedLogs logs;
  LogPosition manifest;
  // The one that CURRENT named when `manifest` was begun: what counts if the machine ends before CURRENT is
  // turned.
  LogPosition manifest_before;
  auto operator<=>(const SyncedPositions&) const = default;
};

// Thread-safe.
class DurableMark {
 public:
  static constexpr const char* file_name = "SYNCED";

  // Opens the mark of the database in `directory`, or makes a new one there.
  static Result<std::unique_ptr<DurableMark>, StoreError> create(rocksdb::Env& env,
                                                                 const std::string& directory);
  static Result<std::unique_ptr<DurableMark>, StoreError> open(rocksdb::Env& env,
                                                               const std::string& directory);
  ~DurableMark();

  SyncedPositions positions() const;
  std::optional<StoreError> advance_logs(SyncedLogs logs);
  // in_use: the number of the manifest that CURRENT names meanwhile; 0: none.
  std::optional<StoreError> advance_manifest(LogPosition position, uint64_t in_use);
  std::optional<StoreError> sync();

 private:
  DurableMark(std::unique_ptr<rocksdb::RandomRWFile> file, uint64_t turn, SyncedPositions positions);
  std::optional<StoreError> write(SyncedPositions positions);

  mutable std::mutex mutex_;  // protects all below
  std::unique_ptr<rocksdb::RandomRWFile> file_;
  uint64_t turn_;  // which write this was; the file keeps the last two, so that a torn one leaves the other
  SyncedPositions positions_;
};

}  // namespace covey
