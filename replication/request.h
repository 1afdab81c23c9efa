// What a client asks of the core and what it is answered, whatever protocol brought it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replication/level.h"
#include "replication/object.h"
#include "replication/types.h"

namespace covey {

enum class Operation : uint8_t { get = 0, put = 1, erase = 2, scan = 3 };

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
  std::string content_type;
  uint64_t expires_ms = 0;      // wall clock; 0: never
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
