// What a client asks of the core and what it is answered, whatever protocol brought it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replication/change.h"
#include "replication/level.h"
#include "replication/object.h"
#include "replication/types.h"

namespace covey {

enum class Operation : uint8_t { get = 0, put = 1, erase = 2, scan = 3, change = 4 };

inline bool writes(Operation operation) {
  return operation == Operation::put || operation == Operation::erase || operation == Operation::change;
}

// REQUIRES (the front end checks): table known, key of 1 to 2,048 bytes, value within the limit.
struct Request {
  Operation operation = Operation::get;
  std::string table;
  std::string key;
  Level level;         // R for get and scan, W for put and erase
  bool sloppy = true;  // stand-ins, and replicas that are not filled yet, count when owners do not answer
  uint32_t timeout_ms = 1000;
  Conflicts conflicts = Conflicts::siblings;  // the table's

  // put and erase
  std::optional<Context> context;  // what the client has seen; nullopt: nothing (a concurrent write)
  bool overwrite = false;          // covers all that the coordinating replica holds, too
  std::string value;
  std::string content_type;  // of a change: of all that it adds
  // Wall clock; 0: never. Of a change 0 leaves the key's expiry as it is, unless it is one to expire.
  uint64_t expires_ms = 0;
  std::vector<Change> changes;  // of Operation::change, sound() (replication/plan.h); context and overwrite
                                // have no meaning for it
  bool if_absent = false;       // refused unless the coordinating replica holds no live version
  std::optional<Dot> if_match;  // refused unless that replica's live versions are exactly this one

  // scan of one partition: keys of the table in order, from start_key on, that begin with prefix
  PartitionId partition;
  std::string start_key;
  std::string prefix;
  uint32_t limit = 100;  // keys, 1 to 10,000
};

// One value for each answer that API.md names; server/errors turns it into a status and a code.
enum class Status : uint8_t {
  ok = 0,
  not_found = 1,            // get only: no live version. The context is there all the same
  unavailable = 2,          // known before trying; nothing was written
  timeout = 3,              // tried; a write may still take effect
  overloaded = 4,           // a limit was reached before trying; nothing was written
  too_many_siblings = 5,    // nothing was written
  precondition_failed = 6,  // nothing was written
  disk_full = 7,            // below the free-space floor; nothing was written
  storage_failed = 8,       // the coordinating replica's storage failed; nothing was written
  // Of changes; nothing was written.
  wrong_type = 9,          // the key holds another type than the change is for
  not_a_number = 10,       // what is to be added to is no integer (or, for a float, no number)
  number_overflow = 11,    // the sum would be beyond 64 bits, or not finite
  too_many_elements = 12,  // of a set or a hash; lives that have added to a counter count likewise
  too_many_tokens = 13,    // increments of the counter that a token still stands for
  object_too_large = 14,   // all elements together
  count
};

// What a change did, as the coordinating replica saw the key.
struct Changed {
  std::string value;      // of the last increment: the counter's or the field's new value
  uint32_t added = 0;     // elements or fields that were not there; 1 for an expiry of a key that is there
  uint32_t removed = 0;   // elements or fields that were there
  bool repeated = false;  // the token was known: nothing was added
};

// What one owner (or stand-in) did for a request.
struct OwnerOutcome {
  NodeId node;
  std::string state;  // "answered", "no answer", "suspected", "unreachable", "filling", "disk full", ...
};

struct Response {
  Status status = Status::ok;
  // get: the live versions, merged. Ascending by dot; newest() gives the one for readers of one value.
  Object object;
  Context context;        // what the client hands back with its next write
  Dot dot;                // put and erase: the name of this write
  uint32_t siblings = 0;  // put and erase: versions that the key holds after it at the coordinator
  Changed changed;        // change
  uint32_t needed = 0;    // R or W
  uint32_t owners = 0;    // N
  uint32_t asked = 0;
  uint32_t received = 0;  // answers or durable acknowledgements
  uint32_t reachable = 0;
  uint32_t behind = 0;  // get: answers that lacked something
  std::vector<OwnerOutcome> outcomes;
  // scan: keys in order with their live versions and contexts. next_key: where to go on; nullopt: the end.
  std::vector<std::pair<std::string, Object>> rows;
  std::optional<std::string> next_key;
};

}  // namespace covey
