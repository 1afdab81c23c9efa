#include "storage/disk_space.h"

#include <sys/statvfs.h>

#include "replication/result.h"

namespace covey {

std::optional<uint64_t> free_disk_bytes(const std::string& path) {
  struct statvfs status;
  if (::statvfs(path.c_str(), &status) != 0) return std::nullopt;
  return uint64_t{status.f_bavail} * status.f_frsize;
}

SpaceFloor::SpaceFloor(uint64_t floor_bytes, uint64_t resume_bytes)
    : floor_bytes_(floor_bytes), resume_bytes_(resume_bytes) {
  COVEY_ASSERT(resume_bytes >= floor_bytes);
}

bool SpaceFloor::update(uint64_t free_bytes) {
  if (free_bytes < floor_bytes_) refuses_ = true;
  if (free_bytes >= resume_bytes_) refuses_ = false;
  return refuses_;
}

}  // namespace covey
