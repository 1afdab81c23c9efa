#include "server/column_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

namespace covey::server {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> read_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::string bytes;
  const off_t size = ::lseek(file, 0, SEEK_END);
  bool good = size >= 0;
  if (good) bytes.resize(static_cast<size_t>(size));
  for (size_t at = 0; good && at < bytes.size();) {
    const ssize_t count = ::pread(file, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    good = count > 0;
    if (good) at += static_cast<size_t>(count);
  }
  ::close(file);
  return good ? std::optional(std::move(bytes)) : std::nullopt;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool sync_folder(const std::string& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return false;
  const bool synced = ::fsync(folder) == 0;
  ::close(folder);
  return synced;
}

// "12-rest": 12, and `text` is "rest".
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  return names;
}

}  // namespace

ColumnFiles::ColumnFiles(std::string folder) : folder_(std::move(folder)) {
  std::error_code error;
  fs::create_directory(folder_, error);
  for (const std::string& name : names_in(folder_)) {
    if (name.starts_with("new-")) ::unlink((folder_ + "/" + name).c_str());
  }
  uint64_t bytes = 0;
  for (uint64_t number : changes()) {
    next_ = std::max<uint64_t>(next_, number + 1);
    const auto size = fs::file_size(changes_path(number), error);
    if (!error) bytes += size;
  }
  first_ = next_;
  bytes_ = bytes;
}

std::string ColumnFiles::part_path(const char* kind, const std::string& table, PartitionId partition) const {
  return folder_ + "/" + kind + "-" + std::to_string(partition.value) + "-" + table;
}

std::string ColumnFiles::changes_path(uint64_t number) const {
  return folder_ + "/changes-" + std::to_string(number);
}

std::vector<ColumnFiles::Part> ColumnFiles::parts() const {
  std::vector<Part> out;
  for (const std::string& name : names_in(folder_)) {
    std::string_view rest = name;
    if (!rest.starts_with("part-")) continue;
    rest.remove_prefix(5);
    auto number = take_number(rest);
    if (!number || !rest.starts_with('-')) continue;
    out.push_back({PartitionId{static_cast<uint32_t>(*number)}, std::string(rest.substr(1))});
  }
  return out;
}

std::vector<uint64_t> ColumnFiles::changes() const {
  std::vector<uint64_t> numbers;
  for (const std::string& name : names_in(folder_)) {
    std::string_view rest = name;
    if (!rest.starts_with("changes-")) continue;
    rest.remove_prefix(8);
    auto number = take_number(rest);
    if (number && rest.empty()) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::optional<std::string> ColumnFiles::read_part(const std::string& table, PartitionId partition) const {
  return read_file(part_path("part", table, partition));
}

bool ColumnFiles::write_part(const std::string& table, PartitionId partition, const std::string& bytes,
                             std::string& why) const {
  const std::string path = part_path("new", table, partition);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool good = file >= 0;
  if (good) {
    good = write_all(file, bytes) && ::fsync(file) == 0;
    if (!good) why = std::strerror(errno);
    if (::close(file) != 0) good = false;
    good = good && ::rename(path.c_str(), part_path("part", table, partition).c_str()) == 0 &&
           sync_folder(folder_);
  }
  if (good) return true;
  if (why.empty()) why = std::strerror(errno);
  why = path + ": " + why;
  ::unlink(path.c_str());
  return false;
}

void ColumnFiles::remove_part(const std::string& table, PartitionId partition) const {
  ::unlink(part_path("part", table, partition).c_str());
}

ColumnChanges ColumnFiles::read_old_changes() const {
  ColumnChanges out;
  for (uint64_t number : changes()) {
    if (number >= first_) continue;
    // Behind a batch that is cut short there is none.
    if (auto bytes = read_file(changes_path(number))) (void)out.read(std::move(*bytes));
  }
  return out;
}

void ColumnFiles::remove_changes(uint64_t before) {
  for (uint64_t number : changes()) {
    if (number >= before) continue;
    std::error_code error;
    const auto size = fs::file_size(changes_path(number), error);
    if (::unlink(changes_path(number).c_str()) == 0 && !error) bytes_ -= std::min<uint64_t>(bytes_, size);
  }
}

ColumnJournal::~ColumnJournal() {
  if (file_ >= 0) ::close(file_);
}

void ColumnJournal::begin_file() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  failed_ = false;
}

void ColumnJournal::write(std::string_view batch) {
  if (failed_) return;
  bool good = files_.bytes_ + batch.size() <= ColumnFiles::changes_bytes_max;
  if (good && file_ < 0) {
    const std::string path = files_.changes_path(files_.next_++);
    file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    good = file_ >= 0;
  }
  good = good && write_all(file_, batch);
  if (good) {
    files_.bytes_ += batch.size();
  } else {
    failed_ = true;
    ++files_.failed_;
  }
}

}  // namespace covey::server
