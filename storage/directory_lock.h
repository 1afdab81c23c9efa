// One process a data directory.
#pragma once

#include <optional>
#include <string>

namespace covey {

// Holds the lock from a successful take() to the end of its life; the system frees it when the process dies.
class DirectoryLock {
 public:
  DirectoryLock() = default;
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;

  struct Failure {
    int error_number = 0;   // errno; EWOULDBLOCK: another holds it
    std::string owner_pid;  // of the other; empty: not known
  };
  // path: the lock's file, made if need be.
  std::optional<Failure> take(const std::string& path);

 private:
  int descriptor_ = -1;
};

}  // namespace covey
