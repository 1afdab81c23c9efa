#include "client/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "client/cli/session.h"

namespace covey::cli {

Progress::Progress(std::string label, std::string unit)
    : label_(std::move(label)), unit_(std::move(unit)), terminal_(colour_wanted(STDERR_FILENO)) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (drawn_) std::cerr << "\r\033[K" << std::flush;
  drawn_ = false;
}

void Progress::show(double fraction, uint64_t count) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const auto rate = static_cast<uint64_t>(seconds > 0 ? static_cast<double>(count) / seconds : 0);
  std::string bar;
  if (fraction >= 0) {
    constexpr size_t width = 30;
    const auto filled = static_cast<size_t>(std::min(fraction, 1.0) * width);
    bar = " [" + std::string(filled, '#') + std::string(width - filled, '.') + "] " +
          std::to_string(static_cast<int>(std::min(fraction, 1.0) * 100)) + " %";
  }
  std::cerr << "\r\033[K" << label_ << bar << "  " << count << " " << unit_ << "  " << rate << "/s"
            << std::flush;
}

}  // namespace covey::cli
