#include "storage/identity.h"

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "replication/codec.h"
#include "replication/member_set.h"
#include "storage/directory_marker.h"

namespace covey {

namespace {

constexpr uint64_t life_mask = (uint64_t{1} << 40) - 1;

// Keys in the column node; all values are text.
constexpr const char* format_key = "identity/format";
constexpr const char* cluster_key = "identity/cluster";
constexpr const char* node_key = "identity/node";
constexpr const char* life_key = "identity/life";                // 40 bits, decimal
constexpr const char* incarnation_key = "identity/incarnation";  // decimal
constexpr const char* clean_key = "identity/clean";              // "1" or "0"
constexpr const char* fingerprint_key = "identity/fingerprint";
constexpr const char* restored_key = "identity/restored";  // "1" or "0"; absent: "0"

using Kind = DirectoryError::Kind;

DirectoryError system_error(int error_number, const std::string& what) {
  Kind kind = Kind::io;
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS) kind = Kind::permission;
  if (error_number == ENOSPC || error_number == EDQUOT) kind = Kind::full;
  if (error_number == ENOTDIR) kind = Kind::not_a_directory;
  std::string advice;
  if (kind == Kind::permission) advice = "; give the directory to the user that runs coveyd";
  return {kind, what + ": " + std::strerror(error_number) + advice};
}

DirectoryError database_error(const StoreError& error, const std::string& path) {
  switch (error.kind) {
    case StoreError::Kind::full:
      return {Kind::full, error.message + "; free some space on the file system of " + path};
    case StoreError::Kind::corruption:
      return {Kind::corrupt,
              error.message +
                  "; nothing was changed. Set the database aside and start again: the node is then "
                  "filled by the other replicas, under a new life"};
    case StoreError::Kind::io:
      break;
  }
  for (const char* denied : {"Permission denied", "Read-only file system"})
    if (error.message.find(denied) != std::string::npos)
      return {Kind::permission, error.message + "; give all of " + path + " to the user that runs coveyd"};
  return {Kind::io, error.message};
}

DirectoryError newer_format(const std::string& path, const std::string& format) {
  return {Kind::newer_format, path + " has the data format " + format +
                                  " and this coveyd knows formats up to " +
                                  std::to_string(data_format_version) + "; start it with a newer coveyd"};
}

DirectoryError unreadable_record(const std::string& path, const char* key) {
  return {Kind::corrupt, path + ": the record " + key + " is missing or is no number"};
}

std::optional<uint64_t> parse_number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Makes the directory if need be, and refuses one that holds what is not ours.
std::optional<DirectoryError> prepare(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return system_error(errno, path);
    if (::mkdir(path.c_str(), 0755) != 0) return system_error(errno, path + " cannot be made");
    return std::nullopt;
  }
  if (!S_ISDIR(status.st_mode)) return DirectoryError{Kind::not_a_directory, path + " is not a directory"};

  bool is_ours = false;
  std::string stranger;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name == DirectoryMarker::file_name) is_ours = true;
    if (name != "LOCK" && name != "lost+found" && !name.starts_with(DirectoryMarker::file_name))
      stranger = name;
  }
  if (error) return system_error(error.value(), path);
  if (is_ours || stranger.empty()) return std::nullopt;
  return DirectoryError{Kind::not_ours, path + " holds other things (" + stranger + ") and no " +
                                            DirectoryMarker::file_name +
                                            " file; name an empty directory or one that does not exist"};
}

std::optional<DirectoryError> take_lock(DirectoryLock& lock, const std::string& path) {
  const auto failure = lock.take(path + "/LOCK");
  if (!failure) return std::nullopt;
  if (failure->error_number != EWOULDBLOCK) return system_error(failure->error_number, path + "/LOCK");
  const std::string owner = failure->owner_pid.empty() ? "another process" : "process " + failure->owner_pid;
  return DirectoryError{Kind::locked, path + " is in use by " + owner +
                                          "; stop that one first, or give this node a directory of its own"};
}

std::optional<DirectoryError> check_marker(const std::string& path) {
  DirectoryMarker marker;
  switch (DirectoryMarker::read(path, marker)) {
    case DirectoryMarker::State::missing:
      break;
    case DirectoryMarker::State::unreadable:
      return system_error(errno, path + "/" + DirectoryMarker::file_name);
    case DirectoryMarker::State::damaged:
      return DirectoryError{Kind::corrupt,
                            path + "/" + DirectoryMarker::file_name +
                                " is damaged; if the directory is this node's, delete db/ and that file "
                                "and start again: the node is then filled by the other replicas"};
    case DirectoryMarker::State::present:
      if (marker.format > data_format_version) return newer_format(path, std::to_string(marker.format));
      return std::nullopt;
  }
  if (!DirectoryMarker::replace(path, data_format_version))
    return system_error(errno, path + "/" + DirectoryMarker::file_name);
  return std::nullopt;
}

}  // namespace

DataDirectory::~DataDirectory() = default;

Result<std::unique_ptr<DataDirectory>, DirectoryError> DataDirectory::open(DataDirectoryOptions options) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory());
  directory->path_ = options.path;
  if (auto error = prepare(options.path)) return *error;
  if (auto error = take_lock(directory->lock_, options.path)) return *error;
  if (auto error = check_marker(options.path)) return *error;

  DatabaseOptions database_options = options.database;
  database_options.path = options.path + "/db";
  auto database = Database::open(std::move(database_options));
  if (!database) return database_error(database.error(), options.path);
  directory->database_ = std::move(*database);
  directory->store_ = directory->database_->shard();

  if (auto error = directory->read_identity(options)) return *error;
  if (auto error = directory->write_identity(options)) return *error;
  return directory;
}

std::optional<DirectoryError> DataDirectory::read_identity(const DataDirectoryOptions& options) {
  std::optional<StoreError> failure;
  const auto read = [&](const char* key) {
    auto found = store_->get(Column::node, key);
    if (!found) failure = found.error();
    return found ? *found : std::nullopt;
  };
  const auto format = read(format_key);
  const auto cluster = read(cluster_key);
  const auto node = read(node_key);
  const auto life = parse_number(read(life_key).value_or(""));
  const auto incarnation = parse_number(read(incarnation_key).value_or(""));
  const auto clean = read(clean_key);
  const auto fingerprint = read(fingerprint_key);
  const auto restored = read(restored_key);
  if (failure) return database_error(*failure, path_);

  fresh_ = !format;
  if (fresh_) {
    life_ = options.new_life & life_mask;
    return std::nullopt;
  }
  const auto format_number = parse_number(*format);
  if (!format_number) return unreadable_record(path_, format_key);
  if (*format_number > data_format_version) return newer_format(path_, *format);
  if (cluster != options.cluster)
    return DirectoryError{Kind::other_cluster, path_ + " belongs to the cluster \"" + cluster.value_or("") +
                                                   "\" and the configuration says \"" + options.cluster +
                                                   "\"; correct one of them, or name an empty directory"};
  if (node != options.node)
    return DirectoryError{Kind::other_node, path_ + " belongs to the node \"" + node.value_or("") +
                                                "\" and the configuration says \"" + options.node +
                                                "\"; correct one of them, or name an empty directory"};
  if (!life) return unreadable_record(path_, life_key);
  if (!incarnation) return unreadable_record(path_, incarnation_key);

  const bool untouched = fingerprint && fingerprint == DirectoryMarker::fingerprint(path_);
  clean_ = clean == "1" && untouched;
  restored_ = !untouched || restored == "1";
  life_ = (clean_ ? *life : options.new_life) & life_mask;
  incarnation_ = *incarnation;
  return std::nullopt;
}

// Durable before the node may use the life: should it die from here on, the next opening begins a new one.
std::optional<DirectoryError> DataDirectory::write_identity(const DataDirectoryOptions& options) {
  if (!DirectoryMarker::replace(path_, data_format_version))
    return system_error(errno, path_ + "/" + DirectoryMarker::file_name);
  ++incarnation_;
  StoreBatch batch;
  batch.put(Column::node, format_key, std::to_string(data_format_version));
  batch.put(Column::node, cluster_key, options.cluster);
  batch.put(Column::node, node_key, options.node);
  batch.put(Column::node, life_key, std::to_string(life_));
  batch.put(Column::node, incarnation_key, std::to_string(incarnation_));
  batch.put(Column::node, clean_key, "0");
  batch.put(Column::node, restored_key, restored_ ? "1" : "0");
  batch.put(Column::node, fingerprint_key, DirectoryMarker::fingerprint(path_).value_or("none"));
  const auto written = store_->write(batch);
  if (!written) return database_error(written.error(), path_);
  const auto synced = database_->sync();
  if (!synced) return database_error(synced.error(), path_);
  return std::nullopt;
}

Result<Done, DirectoryError> DataDirectory::noted() {
  if (!restored_) return Done{};
  if (const auto synced = database_->sync(); !synced) return database_error(synced.error(), path_);
  StoreBatch batch;
  batch.put(Column::node, restored_key, "0");
  if (const auto written = store_->write(batch); !written) return database_error(written.error(), path_);
  restored_ = false;
  return Done{};
}

Result<Done, DirectoryError> DataDirectory::mark_restored(const std::string& path, const std::string& cluster,
                                                          const std::string& node) {
  auto opened = Database::open({.path = path});
  if (!opened) return database_error(opened.error(), path);
  auto store = (*opened)->shard();
  const auto former = store->get(Column::node, cluster_key);
  if (!former) return database_error(former.error(), path);
  StoreBatch batch;
  batch.put(Column::node, cluster_key, cluster);
  batch.put(Column::node, node_key, node);
  batch.put(Column::node, clean_key, "0");
  batch.put(Column::node, restored_key, "1");
  batch.put(Column::node, fingerprint_key, "restored from a backup");
  const std::string members(MemberSet::key_prefix);
  if (*former != cluster) batch.erase_range(Column::node, members, after_prefix(members));
  const auto written = store->write(batch);
  if (!written) return database_error(written.error(), path);
  store.reset();
  if (const auto closed = (*opened)->close(); !closed) return database_error(closed.error(), path);
  return Done{};
}

Result<Done, DirectoryError> DataDirectory::close() {
  // Everything first, and the word that everything is there after it.
  if (const auto synced = database_->sync(); !synced) return database_error(synced.error(), path_);
  StoreBatch batch;
  batch.put(Column::node, clean_key, "1");
  if (const auto written = store_->write(batch); !written) return database_error(written.error(), path_);
  store_.reset();
  if (const auto closed = database_->close(); !closed) return database_error(closed.error(), path_);
  return Done{};
}

Result<std::string, DirectoryError> set_aside_damaged(const std::string& path) {
  DirectoryLock lock;
  if (auto error = take_lock(lock, path)) return *error;
  std::error_code error;
  for (int number = 1;; ++number) {
    const std::string aside = path + "/db-damaged-" + std::to_string(number);
    if (std::filesystem::exists(aside, error)) continue;
    if (!error) std::filesystem::rename(path + "/db", aside, error);
    if (error) return system_error(error.value(), aside);
    return aside;
  }
}

}  // namespace covey
