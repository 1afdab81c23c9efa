// Damage done to a database's files.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace covey::test {

// Those whose names contain `part`, in the order of their names.
inline std::vector<std::filesystem::path> files_with(const std::filesystem::path& directory,
                                                     const std::string& part) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().filename().string().find(part) != std::string::npos) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

// The bytes of a log without the room that its process had made ahead (storage/log_files.h).
inline uintmax_t written_bytes(const std::filesystem::path& log) {
  std::ifstream stream(log, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  return bytes.find_last_not_of('\0') + 1;
}

// Changes one bit of a byte.
inline void flip(const std::filesystem::path& file, uintmax_t position) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekg(static_cast<std::streamoff>(position));
  const int byte = stream.get();
  stream.seekp(static_cast<std::streamoff>(position));
  stream.put(static_cast<char>(byte ^ 0x10));
}

}  // namespace covey::test
