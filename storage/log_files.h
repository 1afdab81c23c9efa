// The files of a database as RocksDB gets them: its write-ahead logs have room ahead.
//
// A sync of a file that has grown writes the file's length, too, and on a journaling file system that is a
// transaction for each sync: more than twice the time and the processor time of a sync that only writes what
// lies within a file. So zeros are written ahead of a log's end, some hundred KiB at a time, and appends go
// over them. Zeros at the end of a log are no records: who reads logs at a start passes over them
// (storage/log_format.h), as RocksDB does. A log that is closed in order is cut to what was appended.
//
// RocksDB's own recycled logs (recycle_log_file_num) would do the same, but what a recycled log holds after
// its newest record are whole records of an earlier one, and recovery has to tell them apart.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace covey {

// Thread-safe.
class LogFiles final : public rocksdb::FileSystemWrapper {
 public:
  // ahead: bytes of zeros that are written at a time; 0: none.
  LogFiles(std::shared_ptr<rocksdb::FileSystem> files, uint64_t ahead);

  const char* Name() const override { return "covey.LogFiles"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;

  // The bytes that were appended to the log of this number, without the zeros; nullopt: it is none of the
  // newest that this process has begun.
  std::optional<uint64_t> appended(uint64_t log) const;

 private:
  using Size = std::atomic<uint64_t>;

  const uint64_t ahead_;
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<const Size>> logs_;  // under mutex_; the newest
};

}  // namespace covey
