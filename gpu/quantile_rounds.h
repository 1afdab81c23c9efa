// Ranks of quantiles, and the rounds by which exact ones are found.
#pragma once

#include <cstdint>
#include <optional>

#include "gpu/answer.h"

namespace covey::agg {

struct WantedRank {
  std::optional<Number> special;  // the answer is null, NaN or an infinity
  uint64_t rank = 0;              // from 0, among the finite values
};

// Nearest rank: of n values in order, the one with the number max(1, ceil(q * n)), from 1.
WantedRank wanted_rank(double q, uint64_t finite, uint64_t nan, uint64_t negative_infinities,
                       uint64_t positive_infinities);

}  // namespace covey::agg
