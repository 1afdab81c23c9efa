#include "server/aggregate_scan.h"

#include <algorithm>

namespace covey::server {
namespace {

// What a shard knows of its partitions that an answer has to say.
struct Standing {
  std::vector<uint32_t> ready;  // owned, and filled
  std::map<uint32_t, uint64_t> lag_ms;
  std::vector<uint32_t> stood_in;  // held and not owned
};

Standing standing_of(ShardLoop& shard) {
  Standing out;
  const Now time = now();
  for (const PartitionView& view : shard.core().partitions(time)) {
    if (!view.owned) {
      if (view.held) out.stood_in.push_back(view.partition.value);
      continue;
    }
    if (view.ready) out.ready.push_back(view.partition.value);
    if (view.diverged_since_us != 0 && view.diverged_since_us < time.tick_us)
      out.lag_ms[view.partition.value] = (time.tick_us - view.diverged_since_us) / 1000;
  }
  return out;
}

// Those that this node is no ready owner of are not answered.
void keep_ready(const std::vector<Standing>& standings, PartitionsAsk& ask, PartitionsAnswer& answer) {
  std::set<uint32_t> ready;
  std::map<uint32_t, uint64_t> lag_ms;
  for (const Standing& standing : standings) {
    ready.insert(standing.ready.begin(), standing.ready.end());
    lag_ms.insert(standing.lag_ms.begin(), standing.lag_ms.end());
    answer.stood_in.insert(answer.stood_in.end(), standing.stood_in.begin(), standing.stood_in.end());
  }
  std::erase_if(ask.partitions, [&](uint32_t id) {
    if (ready.contains(id)) {
      if (auto lag = lag_ms.find(id); lag != lag_ms.end())
        answer.lag_ms = std::max(answer.lag_ms, lag->second);
      return false;
    }
    answer.unanswered.emplace_back(id, "its owner is still being filled");
    return true;
  });
}

}  // namespace

void answer_partitions(ShardLoop& shard, PartitionsAsk ask, std::function<void(PartitionsAnswer&&)> done) {
  auto shared = std::make_shared<PartitionsAsk>(std::move(ask));
  auto then = [&shard, shared, done](std::vector<Standing>&& standings) {
    auto answer = std::make_shared<PartitionsAnswer>();
    keep_ready(standings, *shared, *answer);
    const uint32_t partitions = shard.node().config.partitions;
    auto ended = [&shard, answer, done] {
      shard.mailbox().post([answer, done] { done(std::move(*answer)); });
    };
    const bool taken = shard.node().aggregator->submit(Pass{shared, partitions, answer, std::move(ended)});
    if (taken) return;
    answer->busy = true;
    done(std::move(*answer));
  };
  gather<Standing>(shard, standing_of, then);
}

}  // namespace covey::server
