#include "storage/log_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "storage/log_format.h"

namespace covey {

namespace {

constexpr size_t kept_max = 16;  // sizes of logs; asked for is the newest, or one that was it a moment ago

// Used by one thread at a time, as RocksDB's files are.
class LogFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LogFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::unique_ptr<rocksdb::FSRandomRWFile> beside,
          uint64_t ahead, std::shared_ptr<std::atomic<uint64_t>> size)
      : FSWritableFileOwnerWrapper(std::move(file)),
        beside_(std::move(beside)),
        ahead_(ahead),
        size_(std::move(size)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    write_ahead(data.size(), options, debug);
    return appended(data, target()->Append(data, options, debug));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& info,
                           rocksdb::IODebugContext* debug) override {
    write_ahead(data.size(), options, debug);
    return appended(data, target()->Append(data, options, info, debug));
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    if (beside_) beside_->Close(options, debug).PermitUncheckedError();
    beside_.reset();
    if (zeroed_ > *size_) {
      const auto status = target()->Truncate(*size_, options, debug);
      if (!status.ok()) return status;
    }
    return target()->Close(options, debug);
  }

 private:
  rocksdb::IOStatus appended(const rocksdb::Slice& data, rocksdb::IOStatus status) {
    if (status.ok()) *size_ += data.size();
    return status;
  }

  // Room is a convenience: a disk that is full will say so itself, to the append that finds no place.
  void write_ahead(uint64_t bytes, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) {
    const uint64_t end = *size_ + bytes;
    if (!beside_ || end <= zeroed_ || bytes >= ahead_) return;
    const uint64_t from = std::max<uint64_t>(zeroed_, *size_);
    const uint64_t to = (end + ahead_) / log_block_bytes * log_block_bytes;
    const std::vector<char> zeros(to - from);
    if (beside_->Write(from, {zeros.data(), zeros.size()}, options, debug).ok()) {
      zeroed_ = to;
    } else {
      beside_.reset();
    }
  }

  std::unique_ptr<rocksdb::FSRandomRWFile> beside_;  // the same file; nullptr: nothing is written ahead
  const uint64_t ahead_;
  const std::shared_ptr<std::atomic<uint64_t>> size_;  // of what was appended
  uint64_t zeroed_ = 0;                                // the file has bytes up to here
};

}  // namespace

LogFiles::LogFiles(std::shared_ptr<rocksdb::FileSystem> files, uint64_t ahead)
    : FileSystemWrapper(files), ahead_(ahead) {}

rocksdb::IOStatus LogFiles::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                            std::unique_ptr<rocksdb::FSWritableFile>* file,
                                            rocksdb::IODebugContext* debug) {
  auto status = target()->NewWritableFile(path, options, file, debug);
  const auto numbers = log_numbers({path.substr(path.rfind('/') + 1)});
  if (!status.ok() || numbers.empty()) return status;
  std::unique_ptr<rocksdb::FSRandomRWFile> beside;
  if (ahead_ > 0 && !target()->NewRandomRWFile(path, options, &beside, debug).ok()) beside.reset();
  auto size = std::make_shared<Size>(0);
  {
    std::lock_guard lock(mutex_);
    logs_[numbers[0]] = size;
    if (logs_.size() > kept_max) logs_.erase(logs_.begin());
  }
  *file = std::make_unique<LogFile>(std::move(*file), std::move(beside), ahead_, std::move(size));
  return status;
}

std::optional<uint64_t> LogFiles::appended(uint64_t log) const {
  std::lock_guard lock(mutex_);
  const auto at = logs_.find(log);
  return at == logs_.end() ? std::nullopt : std::optional<uint64_t>(*at->second);
}

}  // namespace covey
