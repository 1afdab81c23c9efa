// Reads RocksDB's list of tables and logs, the manifest, before RocksDB does: that what was synced of it is
// whole, and which write-ahead logs count.
//
// Why the logs: RocksDB deletes a log some time after it has noted in the manifest that its contents are in
// tables, the newest first. A process killed between two deletions leaves an old log that nobody needs, and a
// gap in the writes' numbers behind it, which must not be taken for damage.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/store.h"
#include "storage/log_check.h"

namespace rocksdb {
class Env;
}

namespace covey {

class Reader;

struct ManifestCheck {
  std::optional<StoreError> damage;  // do not open
  uint64_t first_live_log = 0;       // what logs with lower numbers hold is in tables; 0: cannot be told
  std::optional<UnsyncedEnd> drop;   // RocksDB would refuse a torn record there
  std::string note;                  // the same for people
};

// The number of the manifest that CURRENT names; 0: there is no CURRENT, or it names none.
uint64_t manifest_in_use(rocksdb::Env& env, const std::string& directory);

// Checks the manifest that CURRENT names. `synced`: places in the manifests of those numbers.
ManifestCheck check_manifest(rocksdb::Env& env, const std::string& directory,
                             const std::vector<LogPosition>& synced);

// Takes the records of a manifest in order; each is an edit of the list, a row of numbered fields (RocksDB's
// own header db/version_edit.h). A field that RocksDB 7.8 does not write makes the answer 0: all logs count.
class LiveLogs {
 public:
  void take(std::string_view edit);
  uint64_t first() const;

 private:
  void take_field(uint32_t tag, Reader& edit);

  bool understood_ = true;
  uint64_t kept_from_ = 0;  // none with a lower number is kept
  // By column family: the first log that holds writes of it which are not in tables.
  std::map<uint64_t, uint64_t> first_by_family_{{0, 0}};
  uint64_t family_ = 0;  // which one the edit in hand is about...
  bool is_added_ = false, is_dropped_ = false;
  std::optional<uint64_t> first_of_family_;  // ... and what it says of that
};

}  // namespace covey
