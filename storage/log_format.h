// The format of RocksDB's write-ahead logs and manifests, as far as we read them ourselves (its own headers
// db/log_format.h and db/write_batch.cc).
//
// A file is a row of blocks of 32 KiB. A record is cut into fragments, each within a block: a checksum of
// four bytes, a length of two, a type of one, then the bytes. A block's last bytes stay empty when no header
// fits. A log's record is a batch of writes: the number of the first one in eight bytes, how many in four.
// RocksDB numbers all writes of a database in one row without gaps, whatever log they are in; a write that
// was refused takes no number.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rocksdb {
class Env;
class RandomRWFile;
}  // namespace rocksdb

namespace covey {

inline constexpr uint64_t log_block_bytes = 32768;

// "000012.log", and the numbers of all such names, ascending.
std::string log_file_name(uint64_t number);
std::vector<uint64_t> log_numbers(const std::vector<std::string>& file_names);

// What is whole in a log or manifest, up to the first thing that is not. Zeros from the end of a record to
// the end of the file are not wrong: room that was made ahead (storage/log_files.h), or what was dropped.
struct LogScan {
  uint64_t file_bytes = 0;
  uint64_t fragment_bytes = 0;          // the end of the last whole fragment
  uint64_t record_bytes = 0;            // the end of the last whole record
  std::optional<uint64_t> first_write;  // of a log: the number of its first write
  uint64_t next_write = 0;              // of a log with a write: the number after its last one
  std::string wrong;                    // what is wrong after record_bytes; empty: nothing
  bool read_failed = false;             // `wrong` tells why
};

// on_record, if it is not empty, is given the bytes of each whole record, in order.
LogScan scan_log(rocksdb::Env& env, const std::string& path,
                 std::function<void(std::string_view)> on_record = {});

// The end of the last fragment of this log that ends at or before `limit`, walking from the fragment's end
// `from`. For a log that is being written, when bytes before `limit` may be those of a fragment not yet
// complete. nullopt: it cannot be read.
std::optional<uint64_t> last_fragment_end(const rocksdb::RandomRWFile& log, uint64_t from, uint64_t limit);

}  // namespace covey
