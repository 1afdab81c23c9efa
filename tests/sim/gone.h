// When a write need not be seen any more.
#pragma once

#include <algorithm>

#include "tests/sim/oracle.h"

namespace covey::sim {

// Some event that `counts` has overwritten it, or it was closed as a hole. Expiry: a reader may leave an
// expired value out before any replica has removed it.
template <class Counts>
bool Oracle::gone(const Event& event, Counts counts, bool expiry_counts) const {
  if (event.kind != Event::Kind::put || event.voided) return true;
  // The expiry of a key is not shown, and takes what was written before it.
  if (expiry_counts && event.version_kind == VersionKind::expiry) return true;
  if (expiry_counts && key_expires(event)) return true;
  if (expiry_counts && event.expires_ms != 0 && event.expires_ms <= latest_wall_ms_) return true;
  return std::any_of(event.overwriters.begin(), event.overwriters.end(),
                     [&](size_t id) { return counts(events_[id]); });
}

}  // namespace covey::sim
