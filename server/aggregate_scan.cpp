#include "server/aggregate_scan.h"

#include <algorithm>

#include "replication/codec.h"

namespace covey::server {
namespace {

// What a shard knows of its partitions that an answer has to say.
struct ScanStanding {
  std::vector<uint32_t> ready;  // owned, and filled
  std::map<uint32_t, uint64_t> lag_ms;
  std::vector<uint32_t> stood_in;  // held and not owned
};

ScanStanding standing_of(ShardLoop& shard) {
  ScanStanding out;
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
void keep_ready(const std::vector<ScanStanding>& standings, PartitionsAsk& ask, PartitionsAnswer& answer) {
  std::set<uint32_t> ready;
  std::map<uint32_t, uint64_t> lag_ms;
  for (const ScanStanding& standing : standings) {
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

// The clocks of the partitions that this node owns, as hashes.
std::map<uint32_t, uint64_t> clocks_of(ShardLoop& shard) {
  std::map<uint32_t, uint64_t> out;
  for (const PartitionView& view : shard.core().partitions(now())) {
    if (view.owned) out[view.partition.value] = clock_hash(encode(view.clock));
  }
  return out;
}

using Clocks = std::vector<std::map<uint32_t, uint64_t>>;  // by shard

uint64_t clock_of(const Clocks& clocks, uint32_t partition) {
  for (const auto& shard : clocks) {
    if (auto at = shard.find(partition); at != shard.end()) return at->second;
  }
  return 0;
}

// What a shard has written it has told the columns, and all of it is taken in before a pass: with the same
// clock before and after the pass, the rows are those of that clock.
void set_clocks(std::vector<PartitionWitness>& witnesses, const Clocks& before, const Clocks& after) {
  for (PartitionWitness& witness : witnesses) {
    const uint64_t clock = clock_of(before, witness.partition);
    if (clock == clock_of(after, witness.partition)) witness.clock = clock;
  }
}

void submit(ShardLoop& shard, std::shared_ptr<const PartitionsAsk> ask,
            std::shared_ptr<PartitionsAnswer> answer, std::function<void()> done) {
  auto ended = [&shard, done] { shard.mailbox().post(done); };
  if (shard.node().aggregator->submit(Pass{ask, shard.node().config.partitions, answer, std::move(ended)}))
    return;
  answer->busy = true;
  done();
}

}  // namespace

void answer_partitions(ShardLoop& shard, PartitionsAsk ask, std::function<void(PartitionsAnswer&&)> done) {
  auto shared = std::make_shared<PartitionsAsk>(std::move(ask));
  auto then = [&shard, shared, done](std::vector<ScanStanding>&& standings) {
    auto answer = std::make_shared<PartitionsAnswer>();
    keep_ready(standings, *shared, *answer);
    auto finish = [answer, done] { done(std::move(*answer)); };
    if (!shared->witnessed) return submit(shard, shared, answer, finish);
    gather<std::map<uint32_t, uint64_t>>(shard, clocks_of, [&shard, shared, answer, finish](Clocks&& before) {
      submit(shard, shared, answer, [&shard, answer, finish, before = std::move(before)] {
        gather<std::map<uint32_t, uint64_t>>(shard, clocks_of, [answer, finish, before](Clocks&& after) {
          set_clocks(answer->witnesses, before, after);
          finish();
        });
      });
    });
  };
  gather<ScanStanding>(shard, standing_of, then);
}

}  // namespace covey::server
