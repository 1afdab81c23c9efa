#include "tests/sim/measure.h"

#ifdef COVEY_BUGS

#include <cstdio>

#include "replication/bugs.h"
#include "tests/sim/generate.h"
#include "tests/sim/workers.h"

namespace covey::sim {
namespace {

// Within how many seeds, from 1 on, each is found. Stated, and checked by each measurement. 0: not within any
// number that a test can afford (docs/simulator.md says why); measured only when it is asked for by name.
struct Limit {
  Bug which;
  size_t seeds;
};
constexpr size_t default_limit = 1000;
constexpr Limit limits[] = {{Bug::reuse_dot_after_crash, 20},     {Bug::ack_before_sync, 20},
                            {Bug::delete_forgets_dot, 50},        {Bug::collect_log_too_early, 20},
                            {Bug::flipped_cover_in_merge, 5},     {Bug::merge_ignores_context, 5},
                            {Bug::lww_drops_in_merge, 5},         {Bug::strip_by_highest, 20},
                            {Bug::fill_by_highest, 20},           {Bug::gossip_skips_deletes, 20},
                            {Bug::settle_without_object, 50},     {Bug::stand_in_keeps_clock, 20},
                            {Bug::stand_in_drops_early, 120},     {Bug::quorum_off_by_one, 5},
                            {Bug::read_quorum_off_by_one, 5},     {Bug::read_from_unready, 20},
                            {Bug::state_hash_forgets_old, 5},     {Bug::residual_never_stripped, 20},
                            {Bug::context_without_key, 5},        {Bug::write_ignores_context, 5},
                            {Bug::expiry_without_dot, 50},        {Bug::stale_life_accepted, 50},
                            {Bug::repair_skips_absent_keys, 400}, {Bug::repair_clock_first, 400},
                            {Bug::void_running_life, 50},         {Bug::void_without_all, 800},
                            {Bug::restored_is_ready, 0},          {Bug::log_sync_forgotten, 200},
                            {Bug::damage_is_dropped, 600},        {Bug::feed_forgets_erased, 5},
                            {Bug::changes_not_announced, 20},     {Bug::refutation_keeps_incarnation, 20},
                            {Bug::suspicion_never_ends, 100},     {Bug::moving_counts_owners_alone, 100},
                            {Bug::ready_before_filled, 800},      {Bug::resumed_clock_of_the_last, 500},
                            {Bug::sum_replaces_others, 20},       {Bug::remove_covers_unseen, 100},
                            {Bug::token_counted_twice, 50},       {Bug::lost_forward_is_refused, 50},
                            {Bug::filled_over_newer, 300}};

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
    if (limit == 0 && only.empty()) {
      std::printf("| %s | not measured | - | |\n", std::string(bug_names[i]).c_str());
      continue;
    }
    if (limit == 0) limit = default_limit;
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
      active_bug = static_cast<Bug>(i);
    }
    if (needed == 0) status = 1;
    std::string found = needed == 0 ? "NOT FOUND" : std::to_string(needed);
    std::printf("| %s | %s | %zu | %s |\n", std::string(bug_names[i]).c_str(), found.c_str(), limit,
                what.substr(0, 90).c_str());
    std::fflush(stdout);
  }
  active_bug = Bug::none;
  return status;
}

}  // namespace covey::sim

#endif
