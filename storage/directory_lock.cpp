#include "storage/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace covey {

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

std::optional<DirectoryLock::Failure> DirectoryLock::take(const std::string& path) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) return Failure{errno, {}};
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    Failure failure{errno, {}};
    char text[32];
    const auto length = ::pread(descriptor_, text, sizeof text, 0);
    for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; ++i)
      failure.owner_pid.push_back(text[i]);
    ::close(std::exchange(descriptor_, -1));
    return failure;
  }
  // The number is only told to people; a lock whose number could not be written locks as well.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, pid.data(), pid.size(), 0) < 0)
    return std::nullopt;
  return std::nullopt;
}

}  // namespace covey
