#include "storage/log_sync.h"

#include <rocksdb/env.h>

#include <utility>
#include <vector>

#include "replication/bugs.h"
#include "storage/log_format.h"
#include "storage/rocks_status.h"

namespace covey {

LogSync::LogSync(rocksdb::Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}

LogSync::~LogSync() = default;

std::optional<StoreError> LogSync::sync(uint64_t newest) {
  if (newest != number_)
    if (auto error = change_log(newest)) return error;
  if (!file_ || bug(Bug::log_sync_forgotten)) return std::nullopt;  // no file: it has become tables already
  const auto status = file_->Sync();
  if (!status.ok()) return to_store_error(status, directory_ + "/" + log_file_name(newest));
  return std::nullopt;
}

// RocksDB has begun a log, perhaps several: finishes those before it, and makes its name durable.
std::optional<StoreError> LogSync::change_log(uint64_t newest) {
  std::vector<std::string> names;
  auto status = env_.GetChildren(directory_, &names);
  if (!status.ok()) return to_store_error(status, directory_);
  file_.reset();
  for (const uint64_t number : log_numbers(names)) {
    if (number < number_ || number > newest) continue;
    const std::string path = directory_ + "/" + log_file_name(number);
    status = env_.NewRandomRWFile(path, &file_, rocksdb::EnvOptions());
    if (!status.ok()) file_.reset();
    if (status.IsNotFound() || status.IsPathNotFound()) continue;
    if (status.ok() && !bug(Bug::log_sync_forgotten)) status = file_->Sync();
    if (!status.ok()) return to_store_error(status, path);
    if (number != newest) file_.reset();
  }
  std::unique_ptr<rocksdb::Directory> parent;
  status = env_.NewDirectory(directory_, &parent);
  if (status.ok()) status = parent->Fsync();
  if (!status.ok()) return to_store_error(status, directory_);
  number_ = newest;
  return std::nullopt;
}

}  // namespace covey
