#include "tests/sim/shrink.h"

#include <algorithm>
#include <chrono>

#include "tests/sim/setup.h"
#include "tests/sim/workers.h"

namespace covey::sim {
namespace {

using Clock = std::chrono::steady_clock;

bool is_setup(const std::string& line) {
  Setup ignored;
  auto words = split_words(line);
  if (!words.empty() && words[0] == "shards") return true;
  return apply_setup_line(ignored, words);
}

std::vector<std::string> without(const std::vector<std::string>& lines, size_t begin, size_t end) {
  std::vector<std::string> out(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(begin));
  out.insert(out.end(), lines.begin() + static_cast<ptrdiff_t>(end), lines.end());
  return out;
}

// The same promise broken: the message up to its first detail.
std::string kind_of(const Outcome& outcome) {
  return outcome.what.substr(0, outcome.what.find_first_of(":(0123456789", 3));
}

}  // namespace

Shrunk shrink(std::vector<std::string> lines, const Outcome& outcome, size_t processes,
              unsigned seconds_max) {
  auto stop_at = Clock::now() + std::chrono::seconds(seconds_max);
  Shrunk best{std::move(lines), outcome, 0};
  // What comes after the step that failed does not matter.
  if (outcome.line > 0 && outcome.line < best.lines.size()) best.lines.resize(outcome.line);
  size_t setup = 0;
  while (setup < best.lines.size() && is_setup(best.lines[setup])) ++setup;

  size_t chunk = std::max<size_t>(1, (best.lines.size() - setup) / 2);
  size_t from = setup;
  while (Clock::now() < stop_at) {
    if (from >= best.lines.size()) {
      if (chunk == 1) break;
      chunk = std::max<size_t>(1, chunk / 2);
      from = setup;
    }
    // As many neighbouring chunks as there are processes are tried at once; the first that still fails is
    // taken.
    std::vector<std::vector<std::string>> candidates;
    for (size_t begin = from; begin < best.lines.size() && candidates.size() < processes; begin += chunk) {
      candidates.push_back(without(best.lines, begin, std::min(begin + chunk, best.lines.size())));
    }
    size_t passed = 0;
    bool found = false;
    run_in_workers(
        candidates.size(), {.processes = processes, .seconds_max = 30},
        [&](size_t i) { return candidates[i]; },
        [&](size_t i, const Outcome& tried) {
          ++best.tries;
          if (!tried.failed || kind_of(tried) != kind_of(outcome)) {
            ++passed;
            return true;
          }
          best.lines = candidates[i];
          best.outcome = tried;
          if (tried.line > 0 && tried.line < best.lines.size()) best.lines.resize(tried.line);
          found = true;
          return false;
        });
    from += passed * chunk;
    if (!found && candidates.empty()) break;
  }
  return best;
}

}  // namespace covey::sim
