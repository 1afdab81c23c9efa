// Work done by a process that then dies by kill -9. The work is a hidden test case of this same program:
// RocksDB's threads do not survive a fork, so that the process has to start anew.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

namespace covey::test {

// In the child: where to work, and what to say to the parent.
inline std::string child_path() {
  const char* path = std::getenv("COVEY_TEST_PATH");
  return path ? path : "";
}

inline void tell_parent(const std::string& text) {
  const char* descriptor = std::getenv("COVEY_TEST_PIPE");
  if (descriptor && ::write(std::atoi(descriptor), text.data(), text.size()) < 0) std::abort();
}

[[noreturn]] inline void die() {
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

// In the parent: runs the hidden test case `name` and gives back what it told before it died.
inline std::string run_killed(const std::string& name, const std::string& path) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const std::string path_variable = "COVEY_TEST_PATH=" + path;
  const std::string pipe_variable = "COVEY_TEST_PIPE=" + std::to_string(ends[1]);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    const char* environment[] = {path_variable.c_str(), pipe_variable.c_str(), nullptr};
    ::execle("/proc/self/exe", "covey_tests", name.c_str(), nullptr, environment);
    ::_exit(1);
  }
  ::close(ends[1]);
  std::string told;
  char buffer[4096];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    told.append(buffer, static_cast<size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(WTERMSIG(status) == SIGKILL);
  return told;
}

}  // namespace covey::test
