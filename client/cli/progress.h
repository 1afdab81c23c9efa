// A progress bar on standard error, drawn only when that is a terminal and at most ten times a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace covey::cli {

class Progress {
 public:
  explicit Progress(std::string label, std::string unit = "keys");
  ~Progress();  // erases the bar
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // fraction from 0 to 1; negative: not known, only the count is shown.
  void show(double fraction, uint64_t count);
  // Erases the bar so that a message can be printed; the next show() draws it again.
  void clear();

 private:
  std::string label_;
  std::string unit_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace covey::cli
