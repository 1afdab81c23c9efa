// Reads RocksDB's write-ahead logs and manifest before RocksDB does, and holds them against what was synced.
//
// Why: no recovery mode of RocksDB 7.8 does both things that are needed. kAbsoluteConsistency refuses the
// half-written last record that a killed process leaves lawfully. kPointInTimeRecovery (the default) opens
// after any damage with everything from there on gone and says nothing. kTolerateCorruptedTailRecords does so
// too when the damage is in the length of a record of the log's last 32 KiB, and when the log has merely
// become shorter. None of them knows where the synced part ends. We note that (storage/durable_mark.h),
// demand that everything before it is whole, and let RocksDB cut what comes after it.
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

// "000012.log", and the numbers of all such names, ascending.
std::string log_file_name(uint64_t number);
std::vector<uint64_t> log_numbers(const std::vector<std::string>& file_names);

struct LogCheck {
  std::optional<StoreError> damage;  // inside the synced part: do not open
  std::vector<std::string> notes;    // what RocksDB will cut from the part that nobody was promised
};

// Checks all logs of a database that is not open. `synced`: everything before it was synced once.
// Damage that is an error of reading has the kind io.
LogCheck check_logs(rocksdb::Env& env, const std::string& directory, LogPosition synced);

// Checks the list of tables: the manifest that CURRENT names. `synced`: as for logs, in the manifest of that
// number.
std::optional<StoreError> check_manifest(rocksdb::Env& env, const std::string& directory, LogPosition synced);

// The end of the last fragment of this log that ends at or before `limit`, walking from the fragment's end
// `from`. For a log that is being written, when bytes before `limit` may be those of a fragment not yet
// complete. nullopt: the file is gone (its contents are in tables by now) or cannot be read.
std::optional<uint64_t> last_fragment_end(rocksdb::Env& env, const std::string& path, uint64_t from,
                                          uint64_t limit);

}  // namespace covey
