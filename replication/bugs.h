// Deliberate bugs, for measuring the simulator: each must be found within a stated number of seeds. The
// product is compiled without COVEY_BUGS and holds none of this code; covey-sim-bugs is compiled with it and
// activates one bug at a time.
#pragma once

#include <array>
#include <string_view>

#ifdef COVEY_KNOWS_NO_BUGS
#error \
    "compiled for both, without and with bugs: only .cpp files include bugs.h; if this is one, run cmake again"
#endif

namespace covey {

enum class Bug {
  none,
  reuse_dot_after_crash,   // an unclean start goes on with the old actor
  ack_before_sync,         // acknowledgements and told clocks do not wait for durability
  delete_forgets_dot,      // a delete leaves its dot out of the context it stores
  collect_log_too_early,   // one owner's clock is enough to drop a dot from the log
  flipped_cover_in_merge,  // merge keeps what the other side has overwritten
  merge_ignores_context,   // merge never drops a version of the other side
  lww_drops_in_merge,  // concurrent versions are dropped by time when replicas merge, not when they are read
  strip_by_highest,    // strip treats the highest known counter as the base
  fill_by_highest,     // fill claims every dot up to the highest known counter
  gossip_skips_deletes,          // anti-entropy sends only objects that have versions
  settle_without_object,         // dots of a push are added even for items that failed to apply
  repair_skips_absent_keys,      // whole transfer does not cover the keys that the sender no longer holds
  repair_clock_first,            // whole transfer adopts the clock before the objects
  stand_in_keeps_clock,          // a stand-in that drops its data keeps its clock
  stand_in_drops_early,          // a stand-in drops after one owner has everything
  void_without_all,              // holes are closed on one owner's word
  void_running_life,             // holes of a life that still runs are closed without its node's word
  quorum_off_by_one,             // W - 1 acknowledgements are taken for W
  read_quorum_off_by_one,        // R - 1 answers are taken for R
  read_from_unready,             // strict reads count replicas that have not been filled
  state_hash_forgets_old,        // the state hash is not reduced by the object that was replaced
  residual_never_stripped,       // objects with contexts are not stripped again
  context_without_key,           // a client's context is accepted for another key
  write_ignores_context,         // a write keeps what its context covers
  expiry_without_dot,            // expired versions are removed by each replica on its own
  stale_life_accepted,           // messages of a peer's earlier life are processed
  restored_is_ready,             // strict reads count a restored replica before it has been filled
  log_sync_forgotten,            // the store's log counts as synced and is not
  damage_is_dropped,             // damage in the synced part of a log is taken for an unsynced end
  feed_forgets_erased,           // columns are not told of keys that are gone
  changes_not_announced,         // of a batch's keys the last is not written down for columns
  refutation_keeps_incarnation,  // a node refutes a suspicion without raising its incarnation
  suspicion_never_ends,          // a node that does not refute a suspicion is never taken for dead
  moving_counts_owners_alone,    // a strict write while its partition moves does not wait for the targets
  ready_before_filled,           // a member that is to own a partition owns it at once
  resumed_clock_of_the_last,     // a transfer that was interrupted takes over the clock of its last snapshot
  sum_replaces_others,           // an increment replaces what others have added, too
  remove_covers_unseen,          // a removal from a set covers additions that it has not seen
  token_counted_twice,           // an increment whose token is known is counted again
  filled_over_newer,             // a copy that is filled at once loses what was written to it meanwhile
  lost_forward_is_refused,       // a write that was sent on is refused, not unknown, when its connection ends
  count
};

inline constexpr std::array<std::string_view, static_cast<size_t>(Bug::count)> bug_names = {
    "none",
    "reuse_dot_after_crash",
    "ack_before_sync",
    "delete_forgets_dot",
    "collect_log_too_early",
    "flipped_cover_in_merge",
    "merge_ignores_context",
    "lww_drops_in_merge",
    "strip_by_highest",
    "fill_by_highest",
    "gossip_skips_deletes",
    "settle_without_object",
    "repair_skips_absent_keys",
    "repair_clock_first",
    "stand_in_keeps_clock",
    "stand_in_drops_early",
    "void_without_all",
    "void_running_life",
    "quorum_off_by_one",
    "read_quorum_off_by_one",
    "read_from_unready",
    "state_hash_forgets_old",
    "residual_never_stripped",
    "context_without_key",
    "write_ignores_context",
    "expiry_without_dot",
    "stale_life_accepted",
    "restored_is_ready",
    "log_sync_forgotten",
    "damage_is_dropped",
    "feed_forgets_erased",
    "changes_not_announced",
    "refutation_keeps_incarnation",
    "suspicion_never_ends",
    "moving_counts_owners_alone",
    "ready_before_filled",
    "resumed_clock_of_the_last",
    "sum_replaces_others",
    "remove_covers_unseen",
    "token_counted_twice",
    "filled_over_newer",
    "lost_forward_is_refused"};

#ifdef COVEY_BUGS
inline Bug active_bug = Bug::none;  // set once before a run; the simulator is one thread
inline bool bug(Bug which) { return active_bug == which; }
#else
constexpr bool bug(Bug) { return false; }
#endif

}  // namespace covey
