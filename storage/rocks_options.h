// How RocksDB is set up, each setting with its reason. For storage/*.cpp only.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <string>
#include <vector>

#include "storage/rocks_database.h"

namespace covey {

struct RocksSetup {
  rocksdb::DBOptions database;
  // In the order of Column, then RocksDB's "default", which must exist and stays empty.
  std::vector<rocksdb::ColumnFamilyDescriptor> columns;
};

// Called on any thread.
struct FileEvents {
  std::function<void(const std::string& reason)> failed;  // a sync of any file, or for good
  std::function<void(const std::string& path)>
      manifest_synced;                                   // and not written to again before this returns
  std::function<void(uint64_t log)> log_torn;            // by a full disk
  std::function<void(const std::string& what)> damaged;  // bytes of a table, met by a compaction
};

RocksSetup rocks_setup(const DatabaseOptions& options, rocksdb::Env& env, FileEvents events);

}  // namespace covey
