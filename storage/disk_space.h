// When a disk is too full to take writes. Below the floor RocksDB still has room to write tables and to
// compact, so that reads, deletes of obsolete files and recovery go on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace covey {

// Free bytes that an ordinary user may use on the file system of `path`. nullopt: the path cannot be asked.
std::optional<uint64_t> free_disk_bytes(const std::string& path);

// Refuses below the floor, and takes writes again only from `resume_bytes` on, so that it does not flap.
class SpaceFloor {
 public:
  // resume_bytes: at least floor_bytes.
  SpaceFloor(uint64_t floor_bytes, uint64_t resume_bytes);

  // Call it every second or so. True: writes are refused now.
  bool update(uint64_t free_bytes);

 private:
  uint64_t floor_bytes_;
  uint64_t resume_bytes_;
  bool refuses_ = false;
};

}  // namespace covey
