#include "replication/wall_clocks.h"

namespace covey {
namespace {

constexpr uint64_t alarmed_after_us = 5'000'000;  // a node that stood still reads old messages first
constexpr uint64_t alarmed_again_us = 600'000'000;
constexpr uint64_t wall_ms_max = uint64_t{1} << 52;

std::string span_text(uint64_t ms) {
  const auto rounded = [&](uint64_t unit_ms) { return std::to_string((ms + unit_ms / 2) / unit_ms); };
  if (ms >= 2 * 86'400'000) return rounded(86'400'000) + " days";
  if (ms >= 2 * 3'600'000) return rounded(3'600'000) + " hours";
  return rounded(60'000) + " minutes";
}

}  // namespace

std::optional<std::string> WallClocks::told(Now now, const NodeId& node, uint64_t wall_ms) {
  if (wall_ms == 0 || wall_ms > wall_ms_max) return std::nullopt;
  Told& told = told_[node];
  told.wall_less_tick_ms = static_cast<int64_t>(wall_ms) - static_cast<int64_t>(now.tick_us / 1000);
  const int64_t ahead = *ahead_ms(now, node);
  const uint64_t difference = static_cast<uint64_t>(ahead < 0 ? -ahead : ahead);
  if (difference <= difference_ms_max) {
    told.differs_since_us = told.alarmed_us = 0;
    return std::nullopt;
  }
  if (told.differs_since_us == 0) told.differs_since_us = now.tick_us;
  if (now.tick_us < told.differs_since_us + alarmed_after_us) return std::nullopt;
  if (told.alarmed_us != 0 && now.tick_us < told.alarmed_us + alarmed_again_us) return std::nullopt;
  told.alarmed_us = now.tick_us;
  return "the clock of " + node.name + " is " + span_text(difference) +
         (ahead < 0 ? " behind" : " ahead of") +
         " this node's: set the wrong one right, last-write-wins and expiry go by them";
}

std::optional<int64_t> WallClocks::ahead_ms(Now now, const NodeId& node) const {
  const auto at = told_.find(node);
  if (at == told_.end()) return std::nullopt;
  return at->second.wall_less_tick_ms + static_cast<int64_t>(now.tick_us / 1000) -
         static_cast<int64_t>(now.wall_ms);
}

}  // namespace covey
