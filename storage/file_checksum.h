// The checksum of a whole table for RocksDB's manifest, as its own factory for CRC-32C makes it (the names
// and the bytes are the same), by the processor's instruction. Debian's RocksDB is built without that, and
// then this checksum is a third of the work of writing a table of large values.
#pragma once

#include <rocksdb/file_checksum.h>

#include <memory>

namespace covey {

std::shared_ptr<rocksdb::FileChecksumGenFactory> file_checksum_factory();

}  // namespace covey
