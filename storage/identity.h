// A data directory: whose it is, whether this node may go on with its life, and the database in it.
//
//   LOCK    held by the process that uses the directory; its process id
//   COVEY   the marker: format version and a nonce, new at each opening
//   db/     RocksDB, with our file SYNCED (storage/durable_mark.h); the records "identity/..." in its column
//   node
//
// A life (the lowest 40 bits of an actor) goes on only if the directory was closed in order and is still the
// same one. The database remembers the marker's device, inode, change time and nonce: a copy, or a restored
// backup of all or part of it, differs in one of them. What cannot be seen here is a whole file system or
// machine rolled back to a moment at which the directory was closed; the peers' handshake sees that.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "replication/result.h"
#include "storage/directory_lock.h"
#include "storage/rocks_database.h"

namespace covey {

inline constexpr uint32_t data_format_version = 1;  // docs/formats.md lists them

struct DataDirectoryOptions {
  std::string path;     // made if missing (its parent must exist); taken if empty
  std::string cluster;  // the names that the configuration gives; 1 to 64 characters
  std::string node;
  uint64_t new_life = 0;  // random; becomes the life unless the old one may go on. The lowest 40 bits count
  DatabaseOptions database;  // `path` is ignored
};

struct DirectoryError {
  enum class Kind : uint8_t {
    not_a_directory,
    not_ours,  // something else's files are in it
    permission,
    locked,
    other_cluster,
    other_node,
    newer_format,
    corrupt,  // set_aside_damaged() makes room for a fresh start
    full,
    io,
  };
  Kind kind = Kind::io;
  std::string message;  // one sentence or two: what is wrong, with the path, and what to do
};

class DataDirectory {
 public:
  static Result<std::unique_ptr<DataDirectory>, DirectoryError> open(DataDirectoryOptions options);
  // Without close() the directory counts as not closed in order, and its next opening begins a new life.
  ~DataDirectory();

  bool fresh() const { return fresh_; }    // there was no data
  bool clean() const { return clean_; }    // closed in order and still the same: the same life goes on
  uint64_t life() const { return life_; }  // 40 bits
  // Restored from a backup or copied, since what was last known to be lost: replicas in it have forgotten
  // what they acknowledged. Stays, over further openings, until noted().
  bool restored() const { return restored_; }
  // To be called when all that restored() demands is written: syncs that, then forgets it.
  [[nodiscard]] Result<Done, DirectoryError> noted();
  // How often this directory has been opened, from 1; durable. Grows with each start, as failure detection
  // needs it.
  uint64_t incarnation() const { return incarnation_; }
  Database& database() { return *database_; }

  // For a database that a backup left at `path`, before its first opening here: it begins a new life, and its
  // replicas have forgotten what they acknowledged since then. `cluster` and `node` become its own; under
  // another cluster's name it also forgets the members, which are that cluster's.
  [[nodiscard]] static Result<Done, DirectoryError> mark_restored(const std::string& path,
                                                                  const std::string& cluster,
                                                                  const std::string& node);

  // An orderly end: all is synced, then the directory marked as clean, and that synced. All other stores are
  // gone by then.
  [[nodiscard]] Result<Done, DirectoryError> close();

 private:
  DataDirectory() = default;
  std::optional<DirectoryError> read_identity(const DataDirectoryOptions& options);
  std::optional<DirectoryError> write_identity(const DataDirectoryOptions& options);

  DirectoryLock lock_;  // first: freed last
  std::string path_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Store> store_;
  bool fresh_ = false;
  bool clean_ = false;
  bool restored_ = false;
  uint64_t life_ = 0;
  uint64_t incarnation_ = 0;
};

// After `corrupt`: renames the database within the directory, for people to look at, so that the next opening
// is fresh and the node is filled again by the other replicas. The answer is the new path.
[[nodiscard]] Result<std::string, DirectoryError> set_aside_damaged(const std::string& path);

}  // namespace covey
