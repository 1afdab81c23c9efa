// Runs many scenarios in processes of their own: a broken assertion ends one of them, not the whole
// measurement, and several processors are used.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/runner.h"

namespace covey::sim {

struct WorkerOptions {
  size_t processes = 1;
  unsigned seconds_max = 120;  // of real time for one scenario; beyond it: failed
  bool traced = false;
};

// Runs scenario(0) to scenario(count - 1). `done` is called in their order; it answers false to end early.
void run_in_workers(size_t count, const WorkerOptions& options,
                    const std::function<std::vector<std::string>(size_t)>& scenario,
                    const std::function<bool(size_t, const Outcome&)>& done);

Outcome run_in_worker(const std::vector<std::string>& lines, bool traced);

}  // namespace covey::sim
