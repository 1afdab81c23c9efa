#include "storage/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

namespace covey {

namespace {

constexpr int lanes = 8;
using Tables = std::array<std::array<uint32_t, 256>, lanes>;

// Eight tables, so that eight bytes are done at a time: a whole log is read before it is believed.
constexpr Tables make_tables() {
  constexpr uint32_t reversed_polynomial = 0x82f63b78;
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? reversed_polynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t lane = 1; lane < lanes; ++lane)
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t previous = tables[lane - 1][byte];
      tables[lane][byte] = (previous >> 8) ^ tables[0][previous & 0xff];
    }
  return tables;
}

constexpr Tables tables = make_tables();

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t crc) {
  static_assert(std::endian::native == std::endian::little);
  crc = ~crc;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= lanes; left -= lanes, at += lanes) {
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    word ^= crc;
    crc = 0;
    for (size_t lane = 0; lane < lanes; ++lane) crc ^= tables[lanes - 1 - lane][(word >> (8 * lane)) & 0xff];
  }
  for (; left > 0; --left, ++at) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<uint8_t>(*at)) & 0xff];
  return ~crc;
}

}  // namespace covey
