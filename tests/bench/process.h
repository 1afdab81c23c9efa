// A program that the benchmark runs beside itself: started in its own directory, measured, and stopped for
// certain.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace covey::bench {

// Ends the process when it goes out of scope: SIGTERM, and SIGKILL ten seconds later. Failures throw
// std::runtime_error with the end of the program's output.
class Process {
 public:
  // arguments[0] is the program, looked up in PATH. Its output goes to `log`, appended.
  Process(const std::vector<std::string>& arguments, const std::filesystem::path& log);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  // Asks `ready` every few milliseconds; throws if the program ends before it says yes, or after the timeout.
  void wait_until(const std::function<bool()>& ready, std::chrono::seconds timeout);
  void stop(std::chrono::seconds patience = std::chrono::seconds(10));
  void kill();  // SIGKILL, and waits for its end
  bool running();
  uint64_t resident_bytes() const;
  double cpu_seconds() const;  // user and system time that it has used
  std::string output() const;
  pid_t id() const { return pid_; }

 private:
  pid_t pid_ = 0;
  std::filesystem::path log_;
};

// A fresh directory below `parent`, removed with all it holds.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::filesystem::path& parent);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// TCP ports of 127.0.0.1 that nobody listened to a moment ago, all different.
std::vector<uint16_t> free_ports(size_t count);
inline double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Two ends of a TCP connection over the loopback.
std::pair<int, int> connected_pair();
bool accepts_connections(uint16_t port);
std::optional<std::string> find_program(const std::string& name);  // in PATH
std::string output_of(const std::vector<std::string>& arguments, const std::filesystem::path& directory);

}  // namespace covey::bench
