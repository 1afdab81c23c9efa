// The hashes that are persisted or compared between nodes. Fixed for ever: XXH3 64 bit with our seeds.
#pragma once

#include <cstdint>
#include <string_view>

namespace covey {

uint64_t hash_bytes(std::string_view bytes, uint64_t seed);
uint64_t hash_bytes(std::string_view first, std::string_view second, uint64_t seed);  // as of both in one
uint64_t hash_pair(uint64_t a, uint64_t b);                                           // order matters

// A keyed tag over bytes (SipHash-2-4; Aumasson and Bernstein, 2012): who does not know the key can't make
// one.
uint64_t keyed_tag(uint64_t key0, uint64_t key1, std::string_view bytes);

}  // namespace covey
