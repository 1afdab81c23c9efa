#include "tests/sim/measure.h"

#ifdef COVEY_BUGS

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

#include "replication/bugs.h"
#include "tests/sim/generate.h"
#include "tests/sim/workers.h"

namespace covey::sim {
namespace {

// What is stated of each bug, and checked by each measurement.
struct Stated {
  Bug which;
  size_t seeds;  // within so many, from 1 on, it is found. 0: not within any number that a test can afford
                 // (docs/simulator.md says why); measured only when it is asked for by name
  size_t known;  // the first of them, by the last measurement; 0: none
};
constexpr size_t default_limit = 1000;
constexpr Stated stated[] = {{Bug::reuse_dot_after_crash, 20, 2},
                             {Bug::ack_before_sync, 20, 1},
                             {Bug::delete_forgets_dot, 50, 9},
                             {Bug::collect_log_too_early, 20, 1},
                             {Bug::flipped_cover_in_merge, 5, 1},
                             {Bug::merge_ignores_context, 5, 1},
                             {Bug::lww_drops_in_merge, 5, 1},
                             {Bug::strip_by_highest, 20, 2},
                             {Bug::fill_by_highest, 20, 2},
                             {Bug::gossip_skips_deletes, 20, 2},
                             {Bug::settle_without_object, 50, 1},
                             {Bug::stand_in_keeps_clock, 20, 1},
                             {Bug::stand_in_drops_early, 120, 1},
                             {Bug::quorum_off_by_one, 5, 1},
                             {Bug::read_quorum_off_by_one, 5, 1},
                             {Bug::read_from_unready, 20, 3},
                             {Bug::state_hash_forgets_old, 5, 1},
                             {Bug::residual_never_stripped, 20, 2},
                             {Bug::context_without_key, 5, 1},
                             {Bug::write_ignores_context, 5, 1},
                             {Bug::expiry_without_dot, 50, 2},
                             {Bug::stale_life_accepted, 50, 1},
                             {Bug::repair_skips_absent_keys, 400, 44},
                             {Bug::repair_clock_first, 400, 1},
                             {Bug::void_running_life, 50, 8},
                             {Bug::void_without_all, 800, 132},
                             {Bug::restored_is_ready, 0, 0},
                             {Bug::log_sync_forgotten, 200, 1},
                             {Bug::damage_is_dropped, 600, 402},
                             {Bug::feed_forgets_erased, 5, 1},
                             {Bug::changes_not_announced, 20, 2},
                             {Bug::refutation_keeps_incarnation, 20, 1},
                             {Bug::suspicion_never_ends, 100, 10},
                             {Bug::moving_counts_owners_alone, 100, 1},
                             {Bug::ready_before_filled, 800, 299},
                             {Bug::resumed_clock_of_the_last, 500, 221},
                             {Bug::sum_replaces_others, 20, 2},
                             {Bug::remove_covers_unseen, 100, 2},
                             {Bug::token_counted_twice, 50, 2},
                             {Bug::lost_forward_is_refused, 50, 2},
                             {Bug::filled_over_newer, 300, 44}};

static_assert(std::all_of(std::begin(stated), std::end(stated),
                          [](const Stated& bug) { return bug.known <= bug.seeds; }));

Stated stated_of(Bug which) {
  for (const Stated& bug : stated) {
    if (bug.which == which) return bug;
  }
  return {which, default_limit, 0};
}

void print_head() {
  std::printf("| deliberate bug | seeds needed | within | found as |\n|---|---|---|---|\n");
}

void print_row(Bug which, const std::string& found, size_t within, const std::string& what) {
  std::printf("| %s | %s | %s | %s |\n", std::string(bug_names[static_cast<size_t>(which)]).c_str(),
              found.c_str(), within == 0 ? "-" : std::to_string(within).c_str(), what.substr(0, 90).c_str());
  std::fflush(stdout);
}

// False if it was not found, or not within what is stated.
bool measure(Bug which, size_t processes) {
  size_t limit = stated_of(which).seeds;
  if (limit == 0) limit = default_limit;
  active_bug = which;
  size_t needed = 0;
  std::string what;
  for (size_t passed = 0; passed < limit && needed == 0;) {
    size_t before = passed;
    run_in_workers(
        limit - before, {.processes = processes},
        [&](size_t run) { return generate({.seed = before + run + 1}); },
        [&](size_t run, const Outcome& outcome) {
          passed = before + run + 1;
          if (!outcome.failed) return true;
          needed = passed;
          what = outcome.what;
          return false;
        });
    if (needed == 0) break;
    // A seed that fails without the bug shows nothing about it.
    active_bug = Bug::none;
    if (run_in_worker(generate({.seed = needed}), false).failed) needed = 0;
    active_bug = which;
  }
  active_bug = Bug::none;
  print_row(which, needed == 0 ? "NOT FOUND" : std::to_string(needed), limit, what);
  return needed != 0;
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
  print_head();
  for (size_t i = 1; i < bug_names.size(); ++i) {
    const Bug which = static_cast<Bug>(i);
    if (!only.empty() && bug_names[i] != only) continue;
    if (stated_of(which).seeds == 0 && only.empty())
      print_row(which, "not measured", 0, "");
    else if (!measure(which, processes))
      status = 1;
  }
  return status;
}

int find_bugs(size_t processes) {
  std::vector<Stated> bugs;
  for (size_t i = 1; i < bug_names.size(); ++i) bugs.push_back(stated_of(static_cast<Bug>(i)));
  // Each by the seed that is known, with the bug and without.
  std::vector<Outcome> outcomes(2 * bugs.size());
  run_in_workers(
      outcomes.size(), {.processes = processes},
      [&](size_t run) {
        const Stated& bug = bugs[run / 2];
        if (bug.known == 0) return std::vector<std::string>{"nodes 1"};
        active_bug = run % 2 == 0 ? bug.which : Bug::none;  // of the worker alone
        return generate({.seed = bug.known});
      },
      [&](size_t run, const Outcome& outcome) {
        outcomes[run] = outcome;
        return true;
      });
  int status = 0;
  print_head();
  for (size_t i = 0; i < bugs.size(); ++i) {
    if (outcomes[2 * i].failed && !outcomes[2 * i + 1].failed) {
      print_row(bugs[i].which, std::to_string(bugs[i].known), bugs[i].seeds, outcomes[2 * i].what);
    } else if (bugs[i].seeds == 0) {
      print_row(bugs[i].which, "not measured", 0, "");
    } else {
      if (bugs[i].known != 0)
        std::printf(
            "seed %zu no longer shows the next one: note the one that does in tests/sim/measure.cpp\n",
            bugs[i].known);
      if (!measure(bugs[i].which, processes)) status = 1;
    }
  }
  return status;
}

}  // namespace covey::sim

#endif
