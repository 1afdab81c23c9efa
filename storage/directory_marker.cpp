#include "storage/directory_marker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <random>
#include <string_view>

namespace covey {

namespace {

constexpr std::string_view first_line = "covey data directory\nformat ";
constexpr std::string_view nonce_line = "\nnonce ";
constexpr size_t nonce_digits = 32;

std::string random_nonce() {
  std::random_device device;  // the one place of storage that asks for randomness: nothing is decided by it
  std::string nonce;
  for (int i = 0; i < 4; ++i) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", device());
    nonce += digits;
  }
  return nonce;
}

bool write_synced(const std::string& path, const std::string& content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return false;
  bool good = ::write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  good = good && ::fsync(file) == 0;
  const int error_number = errno;
  ::close(file);
  errno = error_number;
  return good;
}

bool sync_directory(const std::string& path) {
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const bool good = ::fsync(directory) == 0;
  const int error_number = errno;
  ::close(directory);
  errno = error_number;
  return good;
}

}  // namespace

DirectoryMarker::State DirectoryMarker::read(const std::string& directory, DirectoryMarker& marker) {
  const int file = ::open((directory + "/" + file_name).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? State::missing : State::unreadable;
  char buffer[256];
  const auto length = ::read(file, buffer, sizeof buffer);
  const int error_number = errno;
  ::close(file);
  errno = error_number;
  if (length < 0) return State::unreadable;

  std::string_view text(buffer, static_cast<size_t>(length));
  if (!text.starts_with(first_line)) return State::damaged;
  text.remove_prefix(first_line.size());
  const auto number = std::from_chars(text.data(), text.data() + text.size(), marker.format);
  if (number.ec != std::errc()) return State::damaged;
  text.remove_prefix(static_cast<size_t>(number.ptr - text.data()));
  if (!text.starts_with(nonce_line)) return marker.format > 1 ? State::present : State::damaged;
  text.remove_prefix(nonce_line.size());
  if (text.size() < nonce_digits) return State::damaged;
  marker.nonce = text.substr(0, nonce_digits);
  return State::present;
}

bool DirectoryMarker::replace(const std::string& directory, uint32_t format) {
  const std::string path = directory + "/" + file_name;
  const std::string fresh = path + ".new";
  std::string content(first_line);
  content += std::to_string(format);
  content += nonce_line;
  content += random_nonce() + "\n";
  return write_synced(fresh, content) && std::rename(fresh.c_str(), path.c_str()) == 0 &&
         sync_directory(directory);
}

std::optional<std::string> DirectoryMarker::fingerprint(const std::string& directory) {
  DirectoryMarker marker;
  struct stat status;
  if (read(directory, marker) != State::present) return std::nullopt;
  if (::stat((directory + "/" + file_name).c_str(), &status) != 0) return std::nullopt;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + ":" +
         std::to_string(status.st_ctim.tv_sec) + "." + std::to_string(status.st_ctim.tv_nsec) + ":" +
         marker.nonce;
}

}  // namespace covey
