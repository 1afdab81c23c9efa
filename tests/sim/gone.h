// When a write need not be seen any more.
#pragma once

#include <algorithm>

#include "tests/sim/oracle.h"

namespace covey::sim {

// Some event that `counts` has overwritten it, or was newer where the last write wins; or it was closed as a hole.
// Expiry: a reader may leave an expired value out before any replica has removed it.
template <class Counts>
bool Oracle::gone(const Event& event, Counts counts, bool expiry_counts) const {
  if (event.kind != Event::Kind::put || event.voided) return true;
  if (expiry_counts && event.expires_ms != 0 && event.expires_ms <= latest_wall_ms_) return true;
  for (size_t id : event.overwriters) {
    if (counts(events_[id])) return true;
  }
  if (conflicts(event.key.table) != Conflicts::last_write_wins) return false;
  if (!event.has_version) return true;  // lost at once, at the replica that accepted it
  for (size_t id : events_of(event.key)) {
    const Event& other = events_[id];
    if (!other.has_version || !counts(other)) continue;
    if (other.time != event.time ? other.time > event.time : other.dot > event.dot) return true;
  }
  return false;
}

}  // namespace covey::sim
