#include "replication/hash.h"

#define XXH_STATIC_LINKING_ONLY  // for a state of ours
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // the same hashes by what the processor has of AVX
#endif

#include <bit>
#include <cstring>

#include "replication/types.h"

namespace covey {

uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t hash_bytes(std::string_view first, std::string_view second, uint64_t seed) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_64bits_reset_withSeed(&state, seed);
  XXH3_64bits_update(&state, first.data(), first.size());
  XXH3_64bits_update(&state, second.data(), second.size());
  return XXH3_64bits_digest(&state);
}

uint64_t hash_pair(uint64_t a, uint64_t b) {
  uint64_t both[2] = {a, b};
  return XXH3_64bits(both, sizeof both);
}

namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;
  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13);
    v1 ^= v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = std::rotl(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = std::rotl(v1, 17);
    v1 ^= v2;
    v2 = std::rotl(v2, 32);
  }
  void absorb(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace

uint64_t keyed_tag(uint64_t key0, uint64_t key1, std::string_view bytes) {
  SipState state{key0 ^ 0x736f6d6570736575, key1 ^ 0x646f72616e646f6d, key0 ^ 0x6c7967656e657261,
                 key1 ^ 0x7465646279746573};
  size_t whole = bytes.size() / 8 * 8;
  for (size_t at = 0; at < whole; at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    state.absorb(word);
  }
  uint64_t last = static_cast<uint64_t>(bytes.size() & 0xff) << 56;
  for (size_t at = whole; at < bytes.size(); ++at) {
    last |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[at])) << (8 * (at - whole));
  }
  state.absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

bool is_table_name(std::string_view name) {
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !name.empty() && name.size() <= 64 && name.find_first_not_of(allowed) == std::string_view::npos;
}

uint32_t node_tag(std::string_view node_name) {
  return static_cast<uint32_t>(hash_bytes(node_name, 0x6e6f6465) >> 40);
}

Actor make_actor(std::string_view node_name, uint64_t life) {
  constexpr uint64_t life_mask = (uint64_t{1} << 40) - 1;
  return Actor{static_cast<uint64_t>(node_tag(node_name)) << 40 | (life & life_mask)};
}

PartitionId partition_of(std::string_view table, std::string_view key, uint32_t partitions) {
  uint64_t hash = hash_bytes(key, hash_bytes(table, 0x7461626c65));
  // partitions is a power of two: the highest bits choose.
  int bits = std::countr_zero(partitions);
  return PartitionId{bits == 0 ? 0 : static_cast<uint32_t>(hash >> (64 - bits))};
}

}  // namespace covey
