// Why a replica did not do what it was asked.
#pragma once

#include <cstdint>
#include <string>

#include "replication/store.h"

namespace covey {

// Sent to peers: append only. busy: it would have, but had no room for the answer. no_longer_known: a
// transfer can't go on where an earlier one broke off.
enum class Refusal : uint32_t {
  none = 0,
  disk_full = 1,
  storage_failed = 2,
  busy = 3,
  departed = 4,
  stand_in_full = 5,
  no_longer_known = 6
};

inline Refusal refusal_of(const StoreError& error) {
  return error.kind == StoreError::Kind::full ? Refusal::disk_full : Refusal::storage_failed;
}

// As clients are told what an owner did.
inline std::string text_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::none:
      return "answered";
    case Refusal::disk_full:
      return "disk full";
    case Refusal::storage_failed:
      return "storage failed";
    case Refusal::busy:
      return "busy";
    case Refusal::departed:
      return "has left the cluster";
    case Refusal::stand_in_full:
      return "has no room to stand in";
    case Refusal::no_longer_known:
      return "no longer knows what has changed since";
  }
  return "refused";
}

}  // namespace covey
