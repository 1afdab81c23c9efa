// Runs a fuzz target over kept inputs: the files named, and those in the folders named. Beside each input
// also its first half and the input with each of its first bytes changed: cheap neighbours of what was once
// interesting.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace {

constexpr size_t changed_bytes_max = 64;

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

void run_with_neighbours(std::string bytes) {
  run(bytes);
  run(bytes.substr(0, bytes.size() / 2));
  for (size_t at = 0; at < std::min(bytes.size(), changed_bytes_max); ++at) {
    for (int flip : {0x01, 0x80}) {
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      run(bytes);
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < count; ++i) {
    if (std::filesystem::is_directory(arguments[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(arguments[i]))
        files.push_back(entry.path());
    } else {
      files.emplace_back(arguments[i]);
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "no inputs\n");
    return 1;
  }
  std::sort(files.begin(), files.end());
  run("");
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    run_with_neighbours({std::istreambuf_iterator<char>(file), {}});
  }
  std::printf("%zu inputs\n", files.size());
}
