#include "server/aggregate_scan.h"

#include <algorithm>

namespace covey::server {
namespace {

// What a shard knows of its partitions that an answer has to say.
struct Standing {
  std::vector<uint32_t> ready;  // owned, and filled
  std::map<uint32_t, uint64_t> lag_ms;
  uint64_t stand_in_rows = 0;
};

Standing standing_of(ShardLoop& shard) {
  Standing out;
  const Now time = now();
  for (const PartitionView& view : shard.core().partitions(time)) {
    if (!view.owned) {
      out.stand_in_rows += view.objects;
      continue;
    }
    if (view.ready) out.ready.push_back(view.partition.value);
    if (view.diverged_since_us != 0 && view.diverged_since_us < time.tick_us)
      out.lag_ms[view.partition.value] = (time.tick_us - view.diverged_since_us) / 1000;
  }
  return out;
}

agg::Bitmap rows_of(const KeySet& keys, const ColumnPart& part, const std::string& table, uint32_t partition,
                    uint32_t partitions) {
  agg::Bitmap rows;
  if (keys.keys) {
    for (const std::string& key : *keys.keys) {
      if (key.size() > key_bytes_max || partition_of(table, key, partitions).value != partition) continue;
      if (keys.prefix && !key.starts_with(*keys.prefix)) continue;
      if (auto slot = part.keys().find(key)) rows.set(*slot);
    }
  } else {
    part.keys().with_prefix(*keys.prefix, [&](agg::Slot slot) { rows.set(slot); });
  }
  return rows;
}

// The pass itself, on the aggregator's thread.
class Pass {
 public:
  Pass(const PartitionsAsk& ask, uint32_t partitions, PartitionsAnswer& answer)
      : ask_(ask), partitions_(partitions), answer_(answer) {}

  void run(Aggregator::Turn& turn) {
    answer_.queue_us = turn.queue_us;
    answer_.apply_us = turn.apply_us;
    const double begun_us = steady_us();
    collect(turn.columns);
    agg::ScanOptions options;
    options.cancelled = ask_.cancelled.get();
    if (ask_.refinement) {
      auto refined =
          turn.engine.refine(*ask_.plan, *ask_.refinement, inputs_, ask_.device, options, answer_.profile);
      if (!refined) return fail(refined.error());
      if (ask_.encoded)
        answer_.bytes = refined->encode();
      else
        answer_.refined = std::move(*refined);
    } else {
      auto partials = turn.engine.scan(*ask_.plan, inputs_, ask_.device, options, answer_.profile);
      if (!partials) return fail(partials.error());
      if (ask_.encoded)
        answer_.bytes = partials->encode();
      else
        answer_.partials = std::move(*partials);
    }
    // Finding the rows of keys and encoding are of the pass as well.
    const agg::ScanProfile& scan = answer_.profile.scan;
    const double known_us = scan.upload_us + scan.scan_us + scan.download_us + scan.merge_us;
    answer_.apply_us += std::max(0.0, steady_us() - begun_us - known_us);
  }

 private:
  void fail(const agg::Error& error) { answer_.error = error; }

  void collect(const ColumnSet& columns) {
    std::vector<uint32_t> sets;
    for (uint32_t id : ask_.partitions) {
      const ColumnPart* part = columns.find(ask_.table->name(), ask_.table->definition(), PartitionId{id});
      if (part == nullptr) {
        answer_.unanswered.emplace_back(id, "its table is defined otherwise there");
      } else if (part->state() == ColumnPart::State::loading) {
        answer_.unanswered.emplace_back(id, reason_loading);
      } else if (part->state() == ColumnPart::State::failed) {
        answer_.unanswered.emplace_back(id, part->why());
      } else {
        add(*part, id);
      }
    }
    // The bitmaps stay where they are from here on.
    size_t next = 0;
    for (agg::PartitionInput& input : inputs_) {
      for (size_t i = 0; i < ask_.plan->row_sets(); ++i) input.row_sets.push_back(&row_sets_[next++]);
    }
  }

  void add(const ColumnPart& part, uint32_t id) {
    inputs_.push_back({.store = &part.columns()});
    answer_.conflicted_keys += part.columns().conflicted_rows();
    for (size_t i = 0; i < ask_.plan->row_sets(); ++i)
      row_sets_.push_back(rows_of(ask_.key_sets[i], part, ask_.table->name(), id, partitions_));
  }

  const PartitionsAsk& ask_;
  const uint32_t partitions_;
  PartitionsAnswer& answer_;
  std::vector<agg::PartitionInput> inputs_;
  std::vector<agg::Bitmap> row_sets_;
};

// Those that this node is no ready owner of are not answered.
void keep_ready(const std::vector<Standing>& standings, PartitionsAsk& ask, PartitionsAnswer& answer) {
  std::set<uint32_t> ready;
  std::map<uint32_t, uint64_t> lag_ms;
  for (const Standing& standing : standings) {
    ready.insert(standing.ready.begin(), standing.ready.end());
    lag_ms.insert(standing.lag_ms.begin(), standing.lag_ms.end());
    answer.stand_in_rows += standing.stand_in_rows;
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
    bool taken =
        shard.node().aggregator->submit([&shard, shared, answer, done, partitions](Aggregator::Turn& turn) {
          Pass(*shared, partitions, *answer).run(turn);
          shard.mailbox().post([answer, done] { done(std::move(*answer)); });
        });
    if (taken) return;
    answer->busy = true;
    done(std::move(*answer));
  };
  gather<Standing>(shard, standing_of, then);
}

}  // namespace covey::server
