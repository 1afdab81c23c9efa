#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "tests/bench/report.h"

namespace covey::bench {
namespace {

using Clock = std::chrono::steady_clock;

// What stands behind "name" and a colon.
std::string value_in(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

double measure_fsync_us(const std::string& directory) {
  const TemporaryDirectory temporary(directory);
  const int file = ::open((temporary.path() / "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string bytes(200, 'x');
  std::vector<double> samples;
  for (int i = 0; i < 101; ++i) {
    const auto begin = Clock::now();
    if (::write(file, bytes.data(), bytes.size()) < 0 || ::fdatasync(file) != 0) break;
    samples.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  ::close(file);
  if (samples.empty()) return 0;
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2),
                   samples.end());
  return samples[samples.size() / 2];
}

}  // namespace

Machine describe_machine(const std::string& directory) {
  Machine machine;
  machine.processor = value_in("/proc/cpuinfo", "model name");
  machine.cores = std::thread::hardware_concurrency();
  machine.memory_gib = std::strtod(value_in("/proc/meminfo", "MemTotal").c_str(), nullptr) / (1 << 20);
  utsname name{};
  if (::uname(&name) == 0) machine.system = std::string(name.sysname) + " " + name.release;
  std::ifstream("/proc/loadavg") >> machine.load_average;
  machine.fsync_us = measure_fsync_us(directory);
  return machine;
}

}  // namespace covey::bench
