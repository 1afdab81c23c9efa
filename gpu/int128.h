// 128-bit integers, which g++ and clang have beyond the standard.
#pragma once

namespace covey::agg {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

}  // namespace covey::agg
