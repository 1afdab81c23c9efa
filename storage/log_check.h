// Reads RocksDB's write-ahead logs before RocksDB does, and holds them against what was synced.
//
// Why: no recovery mode of RocksDB 7.8 does both things that are needed. kAbsoluteConsistency refuses the
// half-written last record that a killed process leaves lawfully. kPointInTimeRecovery (the default) opens
// after any damage with everything from there on gone and says nothing; and it refuses a log that a full
// disk tore when the tables hold what came before the tear. kTolerateCorruptedTailRecords passes over damage
// in the length of a record of the log's last 32 KiB, and over a log that has merely become shorter. None of
// them knows where the synced part ends. We note that (storage/durable_mark.h), demand that everything
// before it is whole, drop what comes after it ourselves, and have RocksDB then demand that all is whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "replication/store.h"

namespace rocksdb {
class Env;
}

namespace covey {

// A place in the write-ahead logs: everything before it, in this log and in those with lower numbers. Or, as
// the manifest has the same format, a place in the manifest of that number.
struct LogPosition {
  uint64_t log = 0;
  uint64_t bytes = 0;
  auto operator<=>(const LogPosition&) const = default;
};

struct SyncedLogs {
  LogPosition end;
  uint64_t last_write = 0;  // RocksDB's number of the last write that was synced; 0: none
  uint64_t first_log = 0;   // the one that the last start began; what those before it held is in tables
  auto operator<=>(const SyncedLogs&) const = default;
};

// What nobody was promised: the bytes of this log or manifest from there on.
struct UnsyncedEnd {
  std::string file;  // its name in the directory
  uint64_t from = 0;
  uint64_t file_bytes = 0;
};

struct LogCheck {
  std::optional<StoreError> damage;  // something synced is damaged or missing: do not open
  std::vector<UnsyncedEnd> drops;
  std::vector<std::string> notes;  // the same for people
};

// Checks all logs of a database that is not open, and changes nothing. Damage that is an error of reading has
// the kind io.
//
// A log may end in a torn record: a killed process leaves that in its newest log, a full disk in a log that
// RocksDB then gives up and may keep for long. Whether something promised is gone with it is seen from the
// writes' numbers: either all up to the last synced one come before it, or the next log goes on with the very
// next number.
//
// first_live: what logs with lower numbers hold is in tables, whatever is left of them
// (storage/manifest_check.h).
LogCheck check_logs(rocksdb::Env& env, const std::string& directory, SyncedLogs synced, uint64_t first_live);

// The same for people, with what is wrong there.
std::string note_of(const UnsyncedEnd& drop, const std::string& wrong);

// Overwrites what the checks found to be unsynced by zeros, to the end of a block, and syncs that. RocksDB
// passes over them. Cutting the file instead would not do: RocksDB may have noted its size in the manifest.
std::optional<StoreError> drop_unsynced(rocksdb::Env& env, const std::string& directory,
                                        const std::vector<UnsyncedEnd>& drops);

}  // namespace covey
