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

// sync_failed: called on any thread when an fsync of any of the database's files has failed.
RocksSetup rocks_setup(const DatabaseOptions& options, std::function<void(const std::string&)> sync_failed);

}  // namespace covey
