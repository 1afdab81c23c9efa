#include "storage/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

namespace covey {

namespace {

constexpr int lanes = 8;
using Tables = std::array<std::array<uint32_t, 256>, lanes>;

// Eight tables, so that eight bytes are done at a time where the processor has no instruction for it: a whole
// log is read before it is believed.
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

#if defined(__x86_64__)

// The instruction answers after three cycles and can begin one each cycle: three stretches of a piece go side
// by side, and are put together as if the first had been followed by zeros where the others stand.
constexpr size_t stretch_bytes = 1024;

// What a crc becomes when `stretch_bytes` of zeros follow, for each of its bytes.
using Shift = std::array<std::array<uint32_t, 256>, 4>;
constexpr Shift make_shift() {
  Shift shift{};
  std::array<uint32_t, 32> of_bit{};
  for (size_t bit = 0; bit < of_bit.size(); ++bit) {
    uint32_t crc = uint32_t{1} << bit;
    for (size_t i = 0; i < stretch_bytes; ++i) crc = (crc >> 8) ^ tables[0][crc & 0xff];
    of_bit[bit] = crc;
  }
  for (size_t byte = 0; byte < shift.size(); ++byte)
    for (size_t value = 0; value < 256; ++value)
      for (size_t bit = 0; bit < 8; ++bit)
        if ((value >> bit & 1) != 0) shift[byte][value] ^= of_bit[8 * byte + bit];
  return shift;
}

uint32_t followed_by_zeros(uint32_t crc) {
  static constexpr Shift shift = make_shift();
  return shift[0][crc & 0xff] ^ shift[1][crc >> 8 & 0xff] ^ shift[2][crc >> 16 & 0xff] ^ shift[3][crc >> 24];
}

uint64_t word_at(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Takes whole words from the front of `bytes`; `crc` is inverted already.
__attribute__((target("sse4.2"))) uint32_t take_words(std::string_view& bytes, uint32_t crc) {
  uint64_t first = crc;
  for (; bytes.size() >= 3 * stretch_bytes; bytes.remove_prefix(3 * stretch_bytes)) {
    uint64_t second = 0, third = 0;
    for (const char* at = bytes.data(); at < bytes.data() + stretch_bytes; at += 8) {
      first = __builtin_ia32_crc32di(first, word_at(at));
      second = __builtin_ia32_crc32di(second, word_at(at + stretch_bytes));
      third = __builtin_ia32_crc32di(third, word_at(at + 2 * stretch_bytes));
    }
    const uint32_t two = followed_by_zeros(static_cast<uint32_t>(first)) ^ static_cast<uint32_t>(second);
    first = followed_by_zeros(two) ^ static_cast<uint32_t>(third);
  }
  for (; bytes.size() >= 8; bytes.remove_prefix(8))
    first = __builtin_ia32_crc32di(first, word_at(bytes.data()));
  return static_cast<uint32_t>(first);
}

#endif

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t crc) {
  static_assert(std::endian::native == std::endian::little);
  crc = ~crc;
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) crc = take_words(bytes, crc);
#endif
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
