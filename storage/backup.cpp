#include "storage/backup.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/utilities/backup_engine.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>

#include "storage/directory_lock.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

using BackupErrorKind = BackupError::Kind;

constexpr uint64_t progress_bytes = 1 << 20;

// The label as it is kept beside a backup: lines of a name and a value.
std::string encode_label(const BackupLabel& label) {
  return "format " + std::to_string(label.format) + "\ncluster " + label.cluster + "\nnode " + label.node +
         "\npartitions " + std::to_string(label.partitions) + "\n";
}

// Of lines that are missing or make no sense the default stays; later lines are passed over.
BackupLabel decode_label(std::string_view text) {
  BackupLabel label;
  const auto number = [](std::string_view digits) {
    uint32_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  };
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, blank);
    const std::string_view value = line.substr(blank + 1);
    if (name == "format") label.format = number(value);
    if (name == "cluster") label.cluster = value;
    if (name == "node") label.node = value;
    if (name == "partitions") label.partitions = number(value);
  }
  return label;
}

BackupInfo info_of(const rocksdb::BackupInfo& backup) {
  return {backup.backup_id, backup.timestamp, backup.size, backup.number_files,
          decode_label(backup.app_metadata)};
}

uint64_t bytes_below(const std::string& path) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    if (at->is_regular_file(error)) bytes += at->file_size(error);
  }
  return bytes;
}

BackupError no_such(uint32_t id, const std::string& path) {
  return {BackupErrorKind::no_such, id == 0
                                        ? path + " holds no backup"
                                        : path + " holds no good backup of the number " + std::to_string(id)};
}

}  // namespace

class BackupFolder::CountingFiles final : public rocksdb::FileSystemWrapper {
 public:
  explicit CountingFiles(BackupFolder& folder)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), folder_(folder) {}
  const char* Name() const override { return "covey.CountingFiles"; }

  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* context) override {
    auto status = target()->NewSequentialFile(path, options, file, context);
    if (status.ok()) *file = std::make_unique<Counted>(std::move(*file), folder_);
    return status;
  }

 private:
  class Counted final : public rocksdb::FSSequentialFileOwnerWrapper {
   public:
    Counted(std::unique_ptr<rocksdb::FSSequentialFile>&& file, BackupFolder& folder)
        : FSSequentialFileOwnerWrapper(std::move(file)), folder_(folder) {}
    rocksdb::IOStatus Read(size_t size, const rocksdb::IOOptions& options, rocksdb::Slice* result,
                           char* scratch, rocksdb::IODebugContext* context) override {
      if (folder_.stopped_) return rocksdb::IOStatus::Aborted("stopped");
      auto status = FSSequentialFileOwnerWrapper::Read(size, options, result, scratch, context);
      if (status.ok()) folder_.bytes_done_ += result->size();
      return status;
    }

   private:
    BackupFolder& folder_;
  };
  BackupFolder& folder_;
};

BackupFolder::BackupFolder(std::string path)
    : path_(std::move(path)), reading_(rocksdb::NewCompositeEnv(std::make_shared<CountingFiles>(*this))) {}

BackupFolder::~BackupFolder() = default;

BackupError BackupFolder::failed(const rocksdb::Status& status, const std::string& doing) const {
  if (stopped_ || status.IsIncomplete())
    return {BackupErrorKind::stopped, doing + ": stopped, the node is closing"};
  const StoreError error = to_store_error(status, doing);
  if (error.kind == StoreError::Kind::full)
    return {BackupErrorKind::full, error.message + "; free some space on the file system of " + path_};
  return {error.kind == StoreError::Kind::corruption ? BackupErrorKind::damaged : BackupErrorKind::io,
          error.message};
}

Result<BackupList, BackupError> BackupFolder::list() const {
  BackupList list;
  std::error_code error;
  if (!std::filesystem::exists(path_ + "/meta", error)) return list;
  rocksdb::BackupEngineReadOnly* raw = nullptr;
  const auto opened =
      rocksdb::BackupEngineReadOnly::Open(rocksdb::BackupEngineOptions(path_), rocksdb::Env::Default(), &raw);
  const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine(raw);
  if (!opened.ok()) return failed(opened, path_);
  std::vector<rocksdb::BackupInfo> found;
  engine->GetBackupInfo(&found);
  for (const auto& backup : found) list.backups.push_back(info_of(backup));
  engine->GetCorruptedBackups(&list.damaged);
  std::sort(list.backups.begin(), list.backups.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::sort(list.damaged.begin(), list.damaged.end());
  return list;
}

Result<BackupInfo, BackupError> BackupFolder::find(uint32_t id) const {
  auto all = list();
  if (!all) return all.error();
  if (id == 0 && !all->backups.empty()) return all->backups.back();
  for (const BackupInfo& backup : all->backups) {
    if (backup.id == id) return backup;
  }
  if (std::find(all->damaged.begin(), all->damaged.end(), id) != all->damaged.end())
    return BackupError{BackupErrorKind::damaged, path_ + ": a file of the backup " + std::to_string(id) +
                                                     " is missing, or has not its size any more"};
  return no_such(id, path_);
}

Result<std::unique_ptr<rocksdb::BackupEngine>, BackupError> BackupFolder::open_to_write(
    uint64_t bytes_per_second) {
  rocksdb::BackupEngineOptions options(path_);
  options.callback_trigger_interval_size = progress_bytes;
  if (bytes_per_second > 0) {
    options.backup_rate_limiter.reset(rocksdb::NewGenericRateLimiter(static_cast<int64_t>(bytes_per_second)));
  }
  rocksdb::BackupEngine* raw = nullptr;
  const auto opened = rocksdb::BackupEngine::Open(options, rocksdb::Env::Default(), &raw);
  std::unique_ptr<rocksdb::BackupEngine> engine(raw);
  if (!opened.ok()) return failed(opened, path_);
  return engine;
}

namespace {

std::optional<BackupError> lock_folder(DirectoryLock& lock, const std::string& path) {
  const auto failure = lock.take(path + "/LOCK");
  if (!failure) return std::nullopt;
  if (failure->error_number == EWOULDBLOCK)
    return BackupError{
        BackupErrorKind::in_use,
        path + " is in use by " +
            (failure->owner_pid.empty() ? "another process" : "process " + failure->owner_pid) +
            ": wait until it is done"};
  const std::error_code reason(failure->error_number, std::generic_category());
  const bool full = failure->error_number == ENOSPC;
  return BackupError{full ? BackupErrorKind::full : BackupErrorKind::io, path + "/LOCK: " + reason.message()};
}

std::optional<BackupError> make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return BackupError{error.value() == ENOSPC ? BackupErrorKind::full : BackupErrorKind::io,
                       path + " can't be made: " + error.message()};
  return std::nullopt;
}

}  // namespace

Result<BackupFolder::Made, BackupError> BackupFolder::create(Database& database, const BackupLabel& label,
                                                             const BackupOptions& options) {
  bytes_done_ = 0;
  if (auto error = make_folder(path_)) return *error;
  DirectoryLock lock;
  if (auto error = lock_folder(lock, path_)) return *error;
  auto before = list();
  if (!before) return before.error();
  for (const BackupInfo& backup : before->backups) {
    if (backup.label.cluster == label.cluster && backup.label.node == label.node) continue;
    return BackupError{BackupErrorKind::other_owner, path_ + " holds backups of the node " +
                                                         backup.label.node + " of the cluster " +
                                                         backup.label.cluster + ": name another directory"};
  }
  const uint64_t bytes_before = bytes_below(path_);
  auto engine = open_to_write(options.bytes_per_second);
  if (!engine) return engine.error();
  {
    std::lock_guard guard(mutex_);
    if (stopped_) return BackupError{BackupErrorKind::stopped, "stopped: the node is closing"};
    under_way_ = engine->get();
  }
  uint32_t id = 0;
  auto made = database.back_up(
      **engine, encode_label(label), [this] { bytes_done_ += progress_bytes; }, id);
  {
    std::lock_guard guard(mutex_);
    under_way_ = nullptr;
  }
  if (!made.ok()) {
    // What it had written goes at once, and not only with the next one: the disk may be full.
    (*engine)->GarbageCollect().PermitUncheckedError();
    return failed(made, "backing up to " + path_);
  }
  Made out;
  engine->reset();
  auto info = find(id);
  if (!info) return info.error();
  out.info = *info;
  const uint64_t bytes_after = bytes_below(path_);
  out.new_bytes = bytes_after - std::min(bytes_after, bytes_before);
  if (options.keep == 0 || before->backups.size() < options.keep) return out;
  engine = open_to_write(0);
  if (!engine) return engine.error();
  for (size_t i = 0; i + options.keep <= before->backups.size(); ++i) {
    const auto removed = (*engine)->DeleteBackup(before->backups[i].id);
    if (!removed.ok()) return failed(removed, "removing the backup " + std::to_string(before->backups[i].id));
    out.removed.push_back(before->backups[i].id);
  }
  return out;
}

Result<Done, BackupError> BackupFolder::verify(uint32_t id) {
  bytes_done_ = 0;
  auto found = find(id);
  if (!found) return found.error();
  rocksdb::BackupEngineOptions options(path_, reading_.get());
  rocksdb::BackupEngineReadOnly* raw = nullptr;
  const auto opened = rocksdb::BackupEngineReadOnly::Open(options, rocksdb::Env::Default(), &raw);
  const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine(raw);
  if (!opened.ok()) return failed(opened, path_);
  const auto verified = engine->VerifyBackup(found->id, true);
  if (!verified.ok()) return failed(verified, path_ + ", backup " + std::to_string(found->id));
  return Done{};
}

Result<Done, BackupError> BackupFolder::remove(uint32_t id) {
  auto all = list();
  if (!all) return all.error();
  const bool good = std::any_of(all->backups.begin(), all->backups.end(),
                                [id](const BackupInfo& backup) { return backup.id == id; });
  const bool damaged = std::find(all->damaged.begin(), all->damaged.end(), id) != all->damaged.end();
  if (!good && !damaged) return no_such(id, path_);
  DirectoryLock lock;
  if (auto error = lock_folder(lock, path_)) return *error;
  auto engine = open_to_write(0);
  if (!engine) return engine.error();
  const auto removed = (*engine)->DeleteBackup(id);
  if (!removed.ok()) return failed(removed, path_ + ", removing the backup " + std::to_string(id));
  return Done{};
}

Result<Done, BackupError> BackupFolder::extract(uint32_t id, const std::string& path) {
  bytes_done_ = 0;
  // Of a medium that can only be read nobody takes a backup away meanwhile.
  DirectoryLock lock;
  if (auto error = lock_folder(lock, path_); error && error->kind == BackupErrorKind::in_use) return *error;
  auto found = find(id);
  if (!found) return found.error();
  rocksdb::BackupEngineReadOnly* raw = nullptr;
  const auto opened = rocksdb::BackupEngineReadOnly::Open(rocksdb::BackupEngineOptions(path_, reading_.get()),
                                                          rocksdb::Env::Default(), &raw);
  const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine(raw);
  if (!opened.ok()) return failed(opened, path_);
  const auto restored = engine->RestoreDBFromBackup(rocksdb::RestoreOptions(), found->id, path, path);
  if (!restored.ok())
    return failed(restored, path_ + ", restoring the backup " + std::to_string(found->id) + " to " + path);
  return Done{};
}

void BackupFolder::stop() {
  std::lock_guard guard(mutex_);
  stopped_ = true;
  if (under_way_ != nullptr) under_way_->StopBackup();
}

}  // namespace covey
