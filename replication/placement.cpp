#include "replication/placement.h"

#include <algorithm>
#include <bit>
#include <set>
#include <string_view>

#include "replication/hash.h"

namespace covey {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int fraction_bits = 52;
constexpr double weight_unit = 1.0 / (1 << 20);
constexpr double weight_max = 1 << 20;

struct Candidate {
  const Member* member;
  Price price;
  bool taken = false;
};

}  // namespace

uint64_t minus_log2(uint64_t hash) {
  hash |= 1;  // u is never 0, which has no logarithm
  int zeros = std::countl_zero(hash);
  // u = mantissa * 2^-(zeros + 1) with a mantissa in [1, 2), kept as 1.63 bits. Squaring it doubles its
  // logarithm, and whether the square reaches 2 is the logarithm's next bit.
  uint64_t mantissa = hash << zeros;
  uint64_t logarithm = 0;
  for (int bit = 0; bit < fraction_bits; ++bit) {
    Wide square = static_cast<Wide>(mantissa) * mantissa;  // 2.126 bits
    bool reaches_two = (square >> 127) != 0;
    logarithm = logarithm << 1 | (reaches_two ? 1 : 0);
    mantissa = static_cast<uint64_t>(square >> (reaches_two ? 64 : 63));
  }
  return (static_cast<uint64_t>(zeros + 1) << fraction_bits) - logarithm;
}

bool Price::operator<(const Price& other) const {
  // draw / weight < other.draw / other.weight. Draws have up to 59 bits and weights 41: nothing overflows.
  return static_cast<Wide>(draw) * other.weight < static_cast<Wide>(other.draw) * weight;
}

Price price_of(PartitionId partition, const Member& member) {
  uint64_t hash = hash_bytes(member.place.empty() ? member.node.name : member.place,
                             hash_pair(0x706c616365, partition.value));
  double weight = member.weight >= weight_unit ? std::min(member.weight, weight_max) : weight_unit;
  // Dividing by a power of two and cutting the fraction off are exact everywhere.
  return {minus_log2(hash), static_cast<uint64_t>(weight / weight_unit)};
}

std::vector<NodeId> owners_of(PartitionId partition, const std::vector<Member>& members, uint32_t replicas) {
  std::vector<Candidate> candidates;
  candidates.reserve(members.size());
  for (const Member& member : members) candidates.push_back({&member, price_of(partition, member)});
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.price < b.price) return true;
    if (b.price < a.price) return false;
    return a.member->node < b.member->node;
  });

  // The best member of a zone that has no replica yet; once each zone has one, simply the best that is left.
  std::vector<NodeId> owners;
  std::set<std::string_view> zones;
  auto take = [&](auto wanted) {
    auto at = std::find_if(candidates.begin(), candidates.end(),
                           [&](const Candidate& candidate) { return !candidate.taken && wanted(candidate); });
    if (at == candidates.end()) return false;
    at->taken = true;
    zones.insert(at->member->zone);
    owners.push_back(at->member->node);
    return true;
  };
  while (owners.size() < replicas) {
    bool took = take([&](const Candidate& candidate) { return !zones.contains(candidate.member->zone); }) ||
                take([](const Candidate&) { return true; });
    if (!took) break;  // fewer members than replicas
  }
  return owners;
}

}  // namespace covey
