// CRC-32C (Castagnoli), the checksum of RocksDB's logs and of our own small files beside them.
#pragma once

#include <cstdint>
#include <string_view>

namespace covey {

// Continues `crc` (0 to start) over `bytes`.
uint32_t crc32c(std::string_view bytes, uint32_t crc = 0);

}  // namespace covey
