// A simulated machine: a node's process, its disks and its clock.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "replication/core.h"
#include "tests/sim/columns.h"
#include "tests/sim/disk.h"
#include "tests/sim/watched_store.h"

namespace covey::sim {

struct ClientOperation;

// One core with its store, and what was last seen of it.
struct ShardState {
  struct Pending {
    Lsn lsn;
    size_t event;
  };
  std::unique_ptr<Disk> disk;
  std::unique_ptr<WatchedStore> watched;
  std::unique_ptr<Columns> columns;  // its files outlive the process
  std::unique_ptr<Core> core;
  bool sync_scheduled = false;
  std::vector<DotSet> clocks;   // by partition
  std::vector<DotSet> voids;    // by partition
  std::vector<Dot> minted;      // by partition: the last dot that it gave out
  std::deque<Pending> pending;  // events that are written and not yet synced
  // Keys written by inputs of this pass, and for whom.
  struct Staged {
    const ClientOperation* operation;  // nullptr: a peer's write
    uint64_t wall_ms;                  // by which it was decided
  };
  std::map<TableKey, Staged> staged;
  bool fed = false;             // inputs were given and what they lead to was not performed yet
  bool pass_scheduled = false;  // its end
  uint64_t log_cuts = 0;        // that the core has counted
  // The newest start of each peer's shard that a hello told this core of.
  std::map<std::pair<NodeId, uint32_t>, uint64_t> incarnations;
};

// What the data directory says beside the stores.
struct DirectoryRecord {
  uint64_t incarnation = 0;
  std::vector<uint64_t> lives;  // by shard; of the last start
  bool clean = false;
  bool fresh = true;
  bool restored = false;  // noticed: until a start has taken note
};

enum class DiskHistory : uint8_t { kept, wiped, rolled_back };  // since the last start

struct Machine {
  struct Backup {
    std::vector<std::unique_ptr<Disk>> disks;
    DirectoryRecord record;
  };

  size_t index = 0;
  NodeId id;
  bool up = false;
  bool outside = false;  // has not joined yet
  bool gone = false;     // has left, or was removed
  Standing standing = Standing::member;
  bool said_farewell = false;       // it was removed once it had handed everything over
  std::optional<uint64_t> ends_us;  // it has handed everything over and ends then
  bool paused = false;
  uint64_t run = 0;      // counts starts and ends: work that was meant for an earlier one is dropped
  uint64_t slow_us = 0;  // each message waits so long before it is looked at
  bool stalled = false;  // its disks sync nothing
  bool full = false;
  std::vector<ShardState> shards;
  DirectoryRecord record;
  DiskHistory history = DiskHistory::kept;
  bool seems_untouched = false;  // an older directory in its place looks as if it were not
  std::optional<Backup> backup;

  // What the server does about damage that it meets while it runs (server/node.h).
  struct Damage {
    std::vector<std::map<PartitionId, Clock>> at_meeting;  // by shard: what others must have
    std::optional<uint64_t> drains_until_us;  // set: they have it, and no client is served any more
  };
  bool rotten = false;                         // a table of it is damaged
  bool loses_disk = false;                     // and the next start will find that
  std::optional<Damage> damage;                // ... and the process has met that
  std::vector<std::function<void()>> waiting;  // while paused
  std::set<size_t> operations;                 // in flight

  // The wall clock: true time times a rate, plus steps; or frozen.
  int64_t wall_offset_ms = 0;
  int64_t wall_rate_ppm = 0;
  std::optional<uint64_t> wall_frozen_ms;
};

}  // namespace covey::sim
