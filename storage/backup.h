// A folder of backups of one node's database, kept by RocksDB's BackupEngine: each backup is a state that the
// node had, taken while it goes on writing; tables that several backups have in common are kept once.
//
//   LOCK             held by who writes here
//   meta/ID          which files a backup is made of, their checksums, and our label
//   private/ID/      manifest, options and the newest log of a backup
//   shared_checksum/ tables
//
// Blocking; for threads that may wait for disks. One thread at a time, but for stop() and bytes_done().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/rocks_database.h"

namespace rocksdb {
class BackupEngine;
class Env;
}  // namespace rocksdb

namespace covey {

// Whose backup it is.
struct BackupLabel {
  uint32_t format = 0;  // of the data directory
  std::string cluster;
  std::string node;
  uint32_t partitions = 0;
  auto operator<=>(const BackupLabel&) const = default;
};

struct BackupInfo {
  uint32_t id = 0;     // one more than that of the newest when it was made
  int64_t time_s = 0;  // of its making, since 1970
  uint64_t bytes = 0;  // of all its files, also those that it shares
  uint32_t files = 0;
  BackupLabel label;
};

struct BackupList {
  std::vector<BackupInfo> backups;  // by id, the oldest first
  std::vector<uint32_t> damaged;    // of which a file is missing, of another size, or unreadable
};

struct BackupError {
  enum class Kind : uint8_t {
    no_such,      // no backup of this id
    other_owner,  // the folder holds another node's backups
    in_use,       // by another process
    damaged,      // bytes of a backup, or of the database that is backed up, do not have their checksum
    full,
    stopped,
    io,
  };
  Kind kind = Kind::io;
  std::string message;  // a sentence: what is wrong, with the path
};

struct BackupOptions {
  uint32_t keep = 0;              // then so many are kept, and older ones removed; 0: all
  uint64_t bytes_per_second = 0;  // at most; 0: as fast as the disks are
};

class BackupFolder {
 public:
  explicit BackupFolder(std::string path);
  ~BackupFolder();

  // An empty list where the folder is missing or empty. Needs no lock: what another process makes or removes
  // meanwhile may be missing, or told as damaged.
  [[nodiscard]] Result<BackupList, BackupError> list() const;
  // Of one backup; 0: of the newest.
  [[nodiscard]] Result<BackupInfo, BackupError> find(uint32_t id) const;

  struct Made {
    BackupInfo info;
    uint64_t new_bytes = 0;  // what it added to the folder
    std::vector<uint32_t> removed;
  };
  // Makes the folder if need be. A backup that fails leaves those before it as they were. Its tables are
  // compared with the checksums that the database keeps of them.
  [[nodiscard]] Result<Made, BackupError> create(Database& database, const BackupLabel& label,
                                                 const BackupOptions& options);
  // Reads all bytes of a backup and compares their checksums.
  [[nodiscard]] Result<Done, BackupError> verify(uint32_t id);
  // Files that other backups need stay.
  [[nodiscard]] Result<Done, BackupError> remove(uint32_t id);
  // Copies the database of a backup to `path`, which is made, comparing checksums.
  [[nodiscard]] Result<Done, BackupError> extract(uint32_t id, const std::string& path);

  // Any thread: what is under way ends soon, with Kind::stopped, and so does all that is begun later.
  void stop();
  uint64_t bytes_done() const { return bytes_done_; }  // by what is under way; any thread

 private:
  class CountingFiles;
  Result<std::unique_ptr<rocksdb::BackupEngine>, BackupError> open_to_write(uint64_t bytes_per_second);
  BackupError failed(const rocksdb::Status& status, const std::string& doing) const;

  const std::string path_;
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> bytes_done_{0};
  std::unique_ptr<rocksdb::Env> reading_;  // counts what is read, and ends it when stopped
  std::mutex mutex_;
  rocksdb::BackupEngine* under_way_ = nullptr;  // guarded by mutex_: that creates
};

}  // namespace covey
