// What a change to a counter, a set or a hash does to an object: which versions it covers and which it adds.
// Decided by the replica that coordinates it, from what it holds.
//
// Everything that is added gets a dot of its own, so that it can be covered alone. Of a counter an actor
// covers only what it has added itself: what others add meanwhile is never part of its sum.
#pragma once

#include <string>
#include <vector>

#include "replication/change.h"
#include "replication/dot_set.h"
#include "replication/object.h"
#include "replication/request.h"

namespace covey {

struct PlanOptions {
  Actor actor;            // whose dots are added
  uint64_t own_from = 1;  // from this counter on the replica knows all dots that the actor has given out
  Hlc time;               // of the change
  uint64_t wall_ms = 0;
  uint32_t elements_max = 10'000;
  uint64_t bytes_max = 1024 * 1024;
  uint32_t tokens_max = 1'000;
  uint64_t token_window_ms = 3'600'000;
};

struct Plan {
  Status status = Status::ok;  // anything else: nothing is to be done
  DotSet covered;
  std::vector<Version> added;  // without dots
  Changed changed;
};

// REQUIRES: changes of one type (of_type()), or one to expire.
Plan plan(const Object& filled, const std::vector<Change>& changes, uint64_t expires_ms, Conflicts conflicts,
          const PlanOptions& options);

// Whether the changes may stand in one request: some, all for a counter, for a set or for a hash, or one to
// expire; names within their limits, numbers that are numbers.
bool sound(const std::vector<Change>& changes);

}  // namespace covey
