#include "storage/restore.h"

#include <rocksdb/env.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "storage/directory_lock.h"
#include "storage/directory_marker.h"
#include "storage/durable_mark.h"
#include "storage/identity.h"

namespace covey {

namespace {

constexpr const char* unfinished = "db-restoring";

// Why the backup is not for this node; empty: it is.
std::string objection(const RestoreOptions& options, const BackupInfo& backup) {
  const BackupLabel& label = backup.label;
  const std::string owner = "the backup is of the node " + label.node + " of the cluster " + label.cluster;
  if (label.format == 0) return options.backups + " holds backups that coveyd did not make";
  if (label.format > data_format_version)
    return "the backup has the data format " + std::to_string(label.format) +
           ", which is newer than this coveyd: use a newer one";
  if (label.partitions != options.partitions)
    return owner + " with " + std::to_string(label.partitions) + " partitions, and the configuration says " +
           std::to_string(options.partitions) + ": they have to be the same";
  if (options.to_another_cluster)
    return label.cluster == options.cluster
               ? owner +
                     ", and so is the configuration: give it another cluster.name, or leave out the option"
               : "";
  if (label.cluster != options.cluster)
    return owner + ", and the configuration says " + options.cluster +
           ": to take its data into another cluster's nodes add --to-another-cluster";
  if (label.node != options.node)
    return owner + ", and the configuration says " + options.node + ": use that node's configuration";
  return "";
}

std::optional<std::string> make_empty(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return path + " can't be made: " + error.message();
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name != "LOCK" && name != "lost+found" && name != unfinished)
      return path + " is not empty (" + name +
             "): a backup is restored into an empty directory. Move away what is there, or remove it";
  }
  if (error) return path + ": " + error.message();
  return std::nullopt;
}

std::optional<std::string> fill(const RestoreOptions& options, uint32_t id, const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return path + " can't be removed: " + error.message();
  BackupFolder folder(options.backups);
  if (auto copied = folder.extract(id, path); !copied) return copied.error().message;
  // Nothing of the log is promised: what a write under way left at its end may be dropped.
  auto mark = DurableMark::create(*rocksdb::Env::Default(), path);
  if (!mark) return mark.error().message;
  if (auto failed = (*mark)->advance_logs({.end = {}, .last_write = 0, .first_log = 1}))
    return failed->message;
  if (auto failed = (*mark)->sync()) return failed->message;
  mark->reset();
  auto marked = DataDirectory::mark_restored(path, options.cluster, options.node);
  if (!marked) return marked.error().message;
  return std::nullopt;
}

}  // namespace

Result<BackupInfo, std::string> restore_backup(const RestoreOptions& options) {
  auto backup = BackupFolder(options.backups).find(options.id);
  if (!backup) return backup.error().message;
  if (const std::string why = objection(options, *backup); !why.empty()) return why;
  if (auto failed = make_empty(options.directory)) return *failed;
  DirectoryLock lock;
  if (lock.take(options.directory + "/LOCK"))
    return options.directory +
           "/LOCK can't be taken: another process uses the directory, or it can't be written";
  const std::string path = options.directory + "/" + unfinished;
  std::error_code error;
  if (auto failed = fill(options, backup->id, path)) {
    std::filesystem::remove_all(path, error);
    return *failed;
  }
  std::filesystem::rename(path, options.directory + "/db", error);
  if (error) return path + " can't be renamed: " + error.message();
  if (!DirectoryMarker::replace(options.directory, data_format_version))
    return options.directory + "/" + DirectoryMarker::file_name +
           " can't be written: " + std::error_code(errno, std::generic_category()).message();
  return *backup;
}

}  // namespace covey
