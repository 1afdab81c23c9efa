// Which members hold a partition: weighted rendezvous hashing (Thaler and Ravishankar, 1998; with the weights
// of Schindelhauer and Schomaker, 2005), spread over zones. Every node computes it from the member list
// alone, so nobody keeps or gossips a token table, and a member that comes or goes moves only the partitions
// it takes or gives.
//
// owners_of() itself is declared in replication/core.h, with Member.
#pragma once

#include <cstdint>

#include "replication/core.h"

namespace covey {

// What a member bids for a partition: the lowest price wins. A member's price is exponentially distributed
// with a rate of its weight, so it wins with a probability of weight / sum of weights. Kept as an exact
// fraction: a price in floating point depends on how a machine's math library rounds logarithms, and two
// nodes that disagree about one order would disagree about who owns the data.
struct Price {
  uint64_t draw = 0;    // -log2(u) for a u in (0, 1) that node and partition decide, in units of 2^-52
  uint64_t weight = 1;  // the member's weight in units of 2^-20; clamped to 2^-20 .. 2^20
  bool operator<(const Price& other) const;
};

Price price_of(PartitionId partition, const Member& member);

// -log2((hash | 1) / 2^64) in units of 2^-52, exact but for the last few units, and the same on every machine
// (integers only). Above 0, at most 64 * 2^52.
uint64_t minus_log2(uint64_t hash);

}  // namespace covey
