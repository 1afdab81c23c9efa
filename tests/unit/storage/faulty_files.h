// The real file system with faults, and with counts: a disk that is full, syncs that fail or are counted,
// logs that stay.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

namespace covey::test {

struct Faults {
  std::atomic<int64_t> bytes_left{INT64_MAX};  // what may still be appended, to all files together
  std::atomic<bool> free_space_untold{false};  // who asks how much is free is not answered
  std::atomic<bool> syncs_fail{false};
  std::atomic<int> log_syncs{0};
  std::atomic<bool> logs_stay{false};  // as if the process died before it deletes them
  std::atomic<uint64_t> table_bytes_read{0};
};

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, Faults& faults)
      : FSWritableFileOwnerWrapper(std::move(file)), faults_(faults) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    const int64_t left = faults_.bytes_left.fetch_sub(static_cast<int64_t>(data.size()));
    if (left >= static_cast<int64_t>(data.size())) return target()->Append(data, options, debug);
    faults_.bytes_left = 0;
    // As a real disk does: what still fits is written.
    if (left > 0)
      target()->Append({data.data(), static_cast<size_t>(left)}, options, debug).PermitUncheckedError();
    return rocksdb::IOStatus::NoSpace("simulated");
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo&, rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t at,
                                     const rocksdb::IOOptions& options,
                                     rocksdb::IODebugContext* debug) override {
    if (faults_.bytes_left.fetch_sub(static_cast<int64_t>(data.size())) >= static_cast<int64_t>(data.size()))
      return target()->PositionedAppend(data, at, options, debug);
    faults_.bytes_left = 0;
    return rocksdb::IOStatus::NoSpace("simulated");
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t at,
                                     const rocksdb::IOOptions& options, const rocksdb::DataVerificationInfo&,
                                     rocksdb::IODebugContext* debug) override {
    return PositionedAppend(data, at, options, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    if (faults_.syncs_fail) return rocksdb::IOStatus::IOError("simulated");
    return target()->Sync(options, debug);
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return Sync(options, debug);
  }

 private:
  Faults& faults_;
};

// A table, whose reads are counted.
class CountedTable final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  CountedTable(std::unique_ptr<rocksdb::FSRandomAccessFile> file, Faults& faults)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), faults_(faults) {}
  rocksdb::IOStatus Read(uint64_t at, size_t bytes, const rocksdb::IOOptions& options, rocksdb::Slice* result,
                         char* scratch, rocksdb::IODebugContext* debug) const override {
    faults_.table_bytes_read += bytes;
    return target()->Read(at, bytes, options, result, scratch, debug);
  }

 private:
  Faults& faults_;
};

// A descriptor of a log for syncing it.
class FaultyLog final : public rocksdb::FSRandomRWFileOwnerWrapper {
 public:
  FaultyLog(std::unique_ptr<rocksdb::FSRandomRWFile> file, Faults& faults)
      : FSRandomRWFileOwnerWrapper(std::move(file)), faults_(faults) {}
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    ++faults_.log_syncs;
    if (faults_.syncs_fail) return rocksdb::IOStatus::IOError("simulated");
    return target()->Sync(options, debug);
  }

 private:
  Faults& faults_;
};

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyFileSystem(Faults& faults)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), faults_(faults) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    const auto status = target()->NewWritableFile(name, options, file, debug);
    // RocksDB's own text log is not data.
    if (status.ok() && name.find("/LOG") == std::string::npos)
      *file = std::make_unique<FaultyFile>(std::move(*file), faults_);
    return status;
  }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override {
    const auto status = target()->NewRandomAccessFile(name, options, file, debug);
    if (status.ok() && name.ends_with(".sst"))
      *file = std::make_unique<CountedTable>(std::move(*file), faults_);
    return status;
  }
  rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    const auto status = target()->NewRandomRWFile(name, options, file, debug);
    if (status.ok() && name.ends_with(".log")) *file = std::make_unique<FaultyLog>(std::move(*file), faults_);
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (faults_.logs_stay && name.ends_with(".log")) return rocksdb::IOStatus::OK();
    return target()->DeleteFile(name, options, debug);
  }
  // What is free is what the budget says: the database asks before it goes on after a full disk.
  rocksdb::IOStatus GetFreeSpace(const std::string&, const rocksdb::IOOptions&, uint64_t* free_bytes,
                                 rocksdb::IODebugContext*) override {
    if (faults_.free_space_untold) return rocksdb::IOStatus::NotSupported();
    *free_bytes = static_cast<uint64_t>(std::max<int64_t>(faults_.bytes_left.load(), 0));
    return rocksdb::IOStatus::OK();
  }

 private:
  Faults& faults_;
};

struct FaultyEnv {
  Faults faults;
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(faults));
};

}  // namespace covey::test
