#include "tests/sim/simulated_env.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace covey::sim {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using Answer = SimulatedFiles::Answer;

IOStatus status_of(Answer answer) {
  switch (answer) {
    case Answer::done:
      return IOStatus::OK();
    case Answer::missing:
      return IOStatus::PathNotFound("no such simulated file");
    case Answer::no_space:
      return IOStatus::NoSpace("the simulated disk is full");
    case Answer::failed:
      return IOStatus::IOError("the simulated disk failed");
  }
  return IOStatus::IOError("no answer");
}

// What the open files share.
struct Handle {
  std::shared_ptr<SimulatedFiles> files;
  SimulatedFiles::FilePointer file;

  IOStatus read(uint64_t at, size_t size, Slice* result, char* scratch) const {
    const std::string bytes = files->read(*file, at, size);
    std::memcpy(scratch, bytes.data(), bytes.size());
    *result = Slice(scratch, bytes.size());
    return IOStatus::OK();
  }
};

class Sequential final : public rocksdb::FSSequentialFile {
 public:
  explicit Sequential(Handle handle) : handle_(std::move(handle)) {}
  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    auto status = handle_.read(at_, size, result, scratch);
    at_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t size) override {
    at_ += size;
    return IOStatus::OK();
  }

 private:
  Handle handle_;
  uint64_t at_ = 0;
};

class RandomAccess final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccess(Handle handle) : handle_(std::move(handle)) {}
  IOStatus Read(uint64_t at, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return handle_.read(at, size, result, scratch);
  }

 private:
  Handle handle_;
};

class Writable final : public rocksdb::FSWritableFile {
 public:
  Writable(Handle handle, bool is_log) : handle_(std::move(handle)), is_log_(is_log) {}
  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    auto answer = handle_.files->append(*handle_.file, size_, {data.data(), data.size()}, is_log_);
    if (answer == Answer::done) size_ += data.size();
    return status_of(answer);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    handle_.files->truncate(*handle_.file, size);
    return IOStatus::OK();
  }
  // As RocksDB's own files do: what it does not know of is cut off.
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    if (handle_.files->size(*handle_.file) > size_) handle_.files->truncate(*handle_.file, size_);
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return status_of(handle_.files->sync(*handle_.file));
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  Handle handle_;
  const bool is_log_;
  uint64_t size_ = 0;
};

class ReadWrite final : public rocksdb::FSRandomRWFile {
 public:
  explicit ReadWrite(Handle handle) : handle_(std::move(handle)) {}
  IOStatus Write(uint64_t at, const Slice& data, const IOOptions&, IODebugContext*) override {
    return status_of(handle_.files->overwrite(*handle_.file, at, {data.data(), data.size()}));
  }
  IOStatus Read(uint64_t at, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return handle_.read(at, size, result, scratch);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return status_of(handle_.files->sync(*handle_.file));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override { return Sync(options, debug); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  Handle handle_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  explicit Directory(std::shared_ptr<SimulatedFiles> files) : files_(std::move(files)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return status_of(files_->sync_names()); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  std::shared_ptr<SimulatedFiles> files_;
};

class Lock final : public rocksdb::FileLock {};

class Silent final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
  size_t GetLogFileSize() const override { return 0; }
};

class SimulatedFileSystem final : public rocksdb::FileSystem {
 public:
  explicit SimulatedFileSystem(std::shared_ptr<SimulatedFiles> files) : files_(std::move(files)) {}
  const char* Name() const override { return "SimulatedFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    return open<Sequential>(path, result);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    return open<RandomAccess>(path, result);
  }
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSRandomRWFile>* result, IODebugContext*) override {
    return open<ReadWrite>(path, result);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    auto file = files_->create(path);
    if (!file) return status_of(Answer::failed);
    *result = std::make_unique<Writable>(Handle{files_, file}, path.ends_with(".log"));
    return IOStatus::OK();
  }
  IOStatus NewDirectory(const std::string&, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext*) override {
    *result = std::make_unique<Directory>(files_);
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return files_->find(path) ? IOStatus::OK() : IOStatus::NotFound();
  }
  IOStatus GetChildren(const std::string& directory, const IOOptions&, std::vector<std::string>* names,
                       IODebugContext*) override {
    *names = files_->names_in(directory);
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return status_of(files_->remove(path));
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return status_of(files_->rename(from, to));
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) override {
    auto file = files_->find(path);
    if (!file) return status_of(Answer::missing);
    *size = files_->size(*file);
    return IOStatus::OK();
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string&, const IOOptions&, uint64_t* bytes, IODebugContext*) override {
    *bytes = files_->is_full() ? 0 : uint64_t{1} << 40;
    return IOStatus::OK();
  }
  // There is one directory, and it is always there.
  IOStatus CreateDir(const std::string&, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus CreateDirIfMissing(const std::string&, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus DeleteDir(const std::string&, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                       IODebugContext*) override {
    *is_directory = !files_->find(path);
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute,
                           IODebugContext*) override {
    *absolute = path;
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported();
  }
  IOStatus LockFile(const std::string&, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    *lock = new Lock();
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext*) override {
    *result = std::make_shared<Silent>();
    return IOStatus::OK();
  }

 private:
  template <class File, class Result>
  IOStatus open(const std::string& path, Result* result) {
    auto file = files_->find(path);
    if (!file) return status_of(Answer::missing);
    *result = std::make_unique<File>(Handle{files_, file});
    return IOStatus::OK();
  }

  std::shared_ptr<SimulatedFiles> files_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_simulated_env(std::shared_ptr<SimulatedFiles> files) {
  return rocksdb::NewCompositeEnv(std::make_shared<SimulatedFileSystem>(std::move(files)));
}

}  // namespace covey::sim
