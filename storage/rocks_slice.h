// RocksDB's view of bytes and ours. For storage/*.cpp only.
#pragma once

#include <rocksdb/slice.h>

#include <string_view>

namespace covey {

inline rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace covey
