// Makes a data directory of a backup, for a node that is not running. The node then begins a new life in it,
// and its replicas do not count in strict reads until the other owners have filled them.
#pragma once

#include <cstdint>
#include <string>

#include "storage/backup.h"

namespace covey {

struct RestoreOptions {
  std::string backups;    // the folder
  uint32_t id = 0;        // 0: the newest
  std::string directory;  // the data directory: missing, or empty
  // What the configuration says.
  std::string cluster;
  std::string node;
  uint32_t partitions = 0;
  // The backup is of another cluster than `cluster`: its data under new names, without its members. Otherwise
  // both names have to be those of the backup.
  bool to_another_cluster = false;
};

// The error: a sentence or two, with what to do. What a failed or broken off restore has written does not
// count as a data directory and is removed by the next one.
[[nodiscard]] Result<BackupInfo, std::string> restore_backup(const RestoreOptions& options);

}  // namespace covey
