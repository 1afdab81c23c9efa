#include "tests/sim/measure.h"

#ifdef COVEY_BUGS

#include <cstdio>
#include <iterator>

#include "replication/bugs.h"
#include "tests/sim/generate.h"
#include "tests/sim/workers.h"

namespace covey::sim {
namespace {

// Within how many seeds, from 1 on, each is found. Stated, and checked by each measurement.
struct Limit {
  Bug which;
  size_t seeds;
};
constexpr size_t default_limit = 1000;
constexpr Limit limits[] = {{Bug::none, 0}};

size_t limit_of(Bug which) {
  for (const Limit& limit : limits) {
    if (limit.which == which) return limit.seeds;
  }
  return default_limit;
}

}  // namespace

bool activate_bug(const std::string& name) {
  for (size_t i = 0; i < bug_names.size(); ++i) {
    if (bug_names[i] != name) continue;
    active_bug = static_cast<Bug>(i);
    return true;
  }
  return false;
}

int measure_bugs(size_t processes, const std::string& only) {
  int status = 0;
  std::printf("| deliberate bug | seeds needed | within | found as |\n|---|---|---|---|\n");
  for (size_t i = 1; i < bug_names.size(); ++i) {
    if (!only.empty() && bug_names[i] != only) continue;
    active_bug = static_cast<Bug>(i);
    size_t limit = limit_of(active_bug);
    size_t needed = 0;
    std::string what;
    run_in_workers(limit, {.processes = processes}, [](size_t run) { return generate({.seed = run + 1}); },
                   [&](size_t run, const Outcome& outcome) {
                     if (!outcome.failed) return true;
                     needed = run + 1;
                     what = outcome.what;
                     return false;
                   });
    if (needed == 0) status = 1;
    std::string found = needed == 0 ? "NOT FOUND" : std::to_string(needed);
    std::printf("| %s | %s | %zu | %s |\n", std::string(bug_names[i]).c_str(), found.c_str(), limit, what.substr(0, 90).c_str());
    std::fflush(stdout);
  }
  active_bug = Bug::none;
  return status;
}

}  // namespace covey::sim

#endif
