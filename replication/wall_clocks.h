// How the members' wall clocks differ, as each tells its own in every digest. Causality does not use them;
// last-write-wins and expiry do.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "replication/types.h"

namespace covey {

class WallClocks {
 public:
  // Beyond this two clocks are not taken for the same.
  static constexpr uint64_t difference_ms_max = 60'000;

  // What a node's clock said when it sent a message that has just come. Answers what an operator must know: a
  // clock that has differed from this node's by more than difference_ms_max for a while; every ten minutes.
  std::optional<std::string> told(Now now, const NodeId& node, uint64_t wall_ms);

  // It is no member any more.
  void forget(const NodeId& node) { told_.erase(node); }

  // By how much a node's clock is ahead of this one's (negative: behind), but for its message's way. nullopt:
  // it has not told.
  std::optional<int64_t> ahead_ms(Now now, const NodeId& node) const;

  // Whose clocks differ from most others' by more than difference_ms_max; of two that differ the later one
  // does. `members`: those to compare, a map by NodeId; `self` is this node.
  template <class Members>
  std::set<NodeId> wrong(Now now, const NodeId& self, const Members& members) const {
    std::multimap<int64_t, NodeId> clocks;
    for (const auto& [member, unused] : members) {
      const auto ahead = member == self ? std::optional<int64_t>(0) : ahead_ms(now, member);
      if (ahead) clocks.emplace(*ahead, member);
    }
    std::set<NodeId> out;
    if (clocks.empty()) return out;
    const int64_t middle = std::next(clocks.begin(), static_cast<int64_t>((clocks.size() - 1) / 2))->first;
    for (const auto& [ahead, member] : clocks) {
      if (std::max(ahead, middle) - std::min(ahead, middle) > static_cast<int64_t>(difference_ms_max))
        out.insert(member);
    }
    return out;
  }

 private:
  struct Told {
    int64_t wall_less_tick_ms = 0;  // so that a jump of this node's own clock shows at once
    uint64_t differs_since_us = 0;
    uint64_t alarmed_us = 0;
  };
  std::map<NodeId, Told> told_;  // of members
};

}  // namespace covey
