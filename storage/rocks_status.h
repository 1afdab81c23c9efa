// RocksDB's answers as ours. For storage/*.cpp only.
#pragma once

#include <rocksdb/perf_level.h>
#include <rocksdb/status.h>

#include <string>

#include "replication/store.h"

namespace covey {

// `where`: the file or the operation, told first in the message.
inline StoreError to_store_error(const rocksdb::Status& status, const std::string& where) {
  StoreError::Kind kind = StoreError::Kind::io;
  if (status.IsCorruption()) kind = StoreError::Kind::corruption;
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit) kind = StoreError::Kind::full;
  return {kind, where + ": " + status.ToString()};
}

// For the calling thread. RocksDB counts every comparison of keys for its perf context, which nobody reads
// here: 3 % of a put.
inline void count_nothing() { rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable); }

}  // namespace covey
