// How long a suspected node has to refute it before it is taken for dead. The more nodes have no answer from
// it, each for itself, the shorter: one who is alone with a suspicion may be the one at fault. (Lifeguard,
// "dynamic suspicion timeouts": Dadgar, Phillips, Currey, DSN-W 2018.)
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace covey {

struct SuspicionTimes {
  uint64_t probe_interval_us = 400'000;
  uint32_t least_intervals = 2;  // with all confirmations, for up to 10 nodes; more for more
  uint32_t most_over_least = 6;  // without any
};

inline constexpr size_t confirmations_max = 3;  // beside the first accuser

// `members`: of the group, those that are not dead, the suspected one and this node among them.
inline size_t confirmations_wanted(size_t members) {
  return std::min(confirmations_max, members > 2 ? members - 2 : 0);
}

// About the decimal logarithm, at least 1, in tenths.
inline uint64_t group_factor_tenths(size_t members) {
  return std::max<uint64_t>(10, 3 * static_cast<uint64_t>(std::bit_width(members)));
}

// Microseconds, from the first accusation that this node heard of. It falls from the most to the least with
// the logarithm of the confirmations, so that the first ones count most.
inline uint64_t suspicion_us(const SuspicionTimes& times, size_t members, size_t confirmations) {
  constexpr std::array<uint64_t, confirmations_max + 2> log2_thousandths = {0, 0, 1000, 1585, 2000};
  const uint64_t least = times.probe_interval_us * times.least_intervals * group_factor_tenths(members) / 10;
  const uint64_t most = least * times.most_over_least;
  const size_t wanted = confirmations_wanted(members);
  if (confirmations >= wanted) return least;
  return most - (most - least) * log2_thousandths[confirmations + 1] / log2_thousandths[wanted + 1];
}

}  // namespace covey
