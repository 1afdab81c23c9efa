#include "server/aggregate_pass.h"

#include <algorithm>
#include <map>

#include "gpu/joined_plan.h"

namespace covey::server {
namespace {

agg::Error given_up() {
  return {agg::ErrorCode::kCancelled, "the aggregation was cancelled or ran out of time", ""};
}

bool may_join(const PartitionsAsk& a, const PartitionsAsk& b) {
  return !a.refinement && !b.refinement && a.device == b.device && a.table->name() == b.table->name() &&
         a.table->definition() == b.table->definition() &&
         a.plan->options().siblings == b.plan->options().siblings;
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

// The passes of one group, which may all join.
class JoinedPass {
 public:
  JoinedPass(std::vector<Pass*> members, Aggregator::Turn& turn)
      : members_(std::move(members)), turn_(turn), scanned_us_(members_.size()), begun_(members_.size()) {}

  void run() {
    const double begun_us = steady_us();
    // Partitions by who wants them: each is read once.
    std::map<std::vector<size_t>, std::vector<uint32_t>> classes;
    for (auto& [id, who] : find_wanted()) classes[who].push_back(id);
    double all_us = 0;
    for (const auto& [who, ids] : classes) {
      const double before_us = steady_us();
      scan_class(who, ids);
      const double took_us = steady_us() - before_us;
      all_us += took_us;
      for (size_t member : who) scanned_us_[member] += took_us;
    }
    for (size_t i = 0; i < members_.size(); ++i) end(i, begun_us, all_us - scanned_us_[i]);
  }

 private:
  struct Inputs {
    std::vector<agg::PartitionInput> inputs;
    std::vector<std::unique_ptr<agg::Bitmap>> rows;
  };

  PartitionsAnswer& answer(size_t member) { return *members_[member]->answer; }
  const PartitionsAsk& ask(size_t member) const { return *members_[member]->ask; }

  std::map<uint32_t, std::vector<size_t>> find_wanted() {
    std::map<uint32_t, std::vector<size_t>> wanted;
    for (size_t i = 0; i < members_.size(); ++i) {
      const ColumnTable& table = *ask(i).table;
      const auto columns = ask(i).plan->columns();
      const std::string refused = turn_.columns.ask(table.name(), table.definition(), columns, turn_.wall_ms);
      for (uint32_t id : ask(i).partitions) {
        const ColumnPart* part = part_of(id);
        if (part == nullptr) {
          answer(i).unanswered.emplace_back(id, "its table is defined otherwise there");
        } else if (part->state() == ColumnPart::State::failed) {
          answer(i).unanswered.emplace_back(id, part->why());
        } else if (!refused.empty() && ColumnSet::left(*part, columns)) {
          answer(i).unanswered.emplace_back(id, refused);
        } else if (part->state() != ColumnPart::State::whole || !part->has(columns)) {
          answer(i).unanswered.emplace_back(id, reason_loading);
        } else {
          answer(i).conflicted_keys += part->columns().conflicted_rows();
          wanted[id].push_back(i);
        }
      }
    }
    // A share of no partition is one of no rows.
    for (size_t i = 0; i < members_.size(); ++i) {
      for (uint32_t id : answer(i).stood_in) {
        if (const ColumnPart* part = part_of(id)) answer(i).stand_in_rows += part->columns().rows();
      }
      if (ask(i).refinement) {
        answer(i).refined = agg::Refined(*ask(i).refinement);
      } else {
        answer(i).partials = agg::Partials(*ask(i).plan);
      }
    }
    return wanted;
  }

  const ColumnPart* part_of(uint32_t id) const {
    const ColumnTable& table = *ask(0).table;
    return turn_.columns.find(table.name(), table.definition(), PartitionId{id});
  }

  Inputs inputs_of(const std::vector<uint32_t>& ids, const std::vector<KeySet>& key_sets) const {
    Inputs out;
    for (uint32_t id : ids) {
      const ColumnPart& part = *part_of(id);
      agg::PartitionInput& input = out.inputs.emplace_back();
      input.store = &part.columns();
      for (const KeySet& keys : key_sets) {
        out.rows.push_back(std::make_unique<agg::Bitmap>(
            rows_of(keys, part, ask(0).table->name(), id, members_[0]->partitions)));
        input.row_sets.push_back(out.rows.back().get());
      }
    }
    return out;
  }

  std::shared_ptr<Cancellation::Scan> scan_for(const std::vector<size_t>& who) {
    auto scan = std::make_shared<Cancellation::Scan>();
    scan->wanted = who.size();
    for (size_t member : who) {
      if (ask(member).cancellation) ask(member).cancellation->join(scan);
    }
    return scan;
  }

  // Witnesses are of one partition each.
  void scan_class(const std::vector<size_t>& who, const std::vector<uint32_t>& ids) {
    if (std::none_of(who.begin(), who.end(), [&](size_t member) { return ask(member).witnessed; }))
      return scan(who, ids);
    for (uint32_t id : ids) scan(who, {id});
  }

  void scan(std::vector<size_t> who, const std::vector<uint32_t>& ids) {
    std::erase_if(who, [&](size_t member) { return answer(member).error.has_value(); });
    if (who.empty()) return;
    if (who.size() == 1) return scan_alone(who.front(), ids);
    std::vector<KeySet> key_sets;
    std::vector<agg::JoinedPlan::Member> plans;
    for (size_t member : who) {
      agg::JoinedPlan::Member& plan = plans.emplace_back();
      plan.plan = ask(member).plan.get();
      for (const KeySet& keys : ask(member).key_sets) {
        auto known = std::find(key_sets.begin(), key_sets.end(), keys);
        plan.row_sets.push_back(static_cast<uint32_t>(known - key_sets.begin()));
        if (known == key_sets.end()) key_sets.push_back(keys);
      }
    }
    auto joined = agg::JoinedPlan::make(std::move(plans));
    if (!joined) return scan_apart(who, ids);
    const Inputs inputs = inputs_of(ids, key_sets);
    const auto wanted = scan_for(who);
    agg::EngineProfile profile;
    auto partials = turn_.engine.scan(joined->plan(), inputs.inputs, ask(who[0]).device,
                                      {.cancelled = &wanted->stopped}, profile);
    for (size_t member : who) take_profile(member, profile, joined->plan().queries().size() - 1);
    if (!partials) return scan_apart(who, ids);
    for (size_t i = 0; i < who.size(); ++i) {
      auto part = joined->part(i, *partials);
      if (!part) {
        scan_alone(who[i], ids);
      } else {
        add(who[i], ids, std::move(*part));
      }
    }
  }

  void scan_apart(const std::vector<size_t>& who, const std::vector<uint32_t>& ids) {
    for (size_t member : who) scan_alone(member, ids);
  }

  void scan_alone(size_t member, const std::vector<uint32_t>& ids) {
    const PartitionsAsk& asked = ask(member);
    if (asked.cancellation && asked.cancellation->cancelled()) {
      answer(member).error = given_up();
      return;
    }
    const Inputs inputs = inputs_of(ids, asked.key_sets);
    const auto wanted = scan_for({member});
    const agg::ScanOptions options{.cancelled = &wanted->stopped};
    agg::EngineProfile profile;
    std::optional<agg::Error> error;
    if (asked.refinement) {
      auto found =
          turn_.engine.refine(*asked.plan, *asked.refinement, inputs.inputs, asked.device, options, profile);
      if (found) add_refined(member, ids, std::move(*found));
      if (!found) error = found.error();
    } else {
      auto found = turn_.engine.scan(*asked.plan, inputs.inputs, asked.device, options, profile);
      if (found) add(member, ids, std::move(*found));
      if (!found) error = found.error();
    }
    take_profile(member, profile, asked.plan->queries().size() - 1);
    if (error) answer(member).error = std::move(error);
  }

  void add(size_t member, const std::vector<uint32_t>& ids, agg::Partials&& part) {
    if (ask(member).witnessed) testify(member, ids.front(), part.encode());
    if (ask(member).witness_only) return;
    if (!std::exchange(begun_[member], 1)) {
      answer(member).partials = std::move(part);
    } else if (auto merged = answer(member).partials.merge(*ask(member).plan, std::move(part)); !merged) {
      answer(member).error = merged.error();
    }
  }

  void add_refined(size_t member, const std::vector<uint32_t>& ids, agg::Refined&& part) {
    if (ask(member).witnessed) testify(member, ids.front(), part.encode());
    if (ask(member).witness_only) return;
    if (!std::exchange(begun_[member], 1)) {
      answer(member).refined = std::move(part);
    } else if (auto merged = answer(member).refined.merge(*ask(member).refinement, std::move(part));
               !merged) {
      answer(member).error = merged.error();
    }
  }

  void testify(size_t member, uint32_t id, std::string_view encoded) {
    PartitionWitness& witness = answer(member).witnesses.emplace_back();
    witness.partition = id;
    set_bits(witness, encoded);
    witness.at_ms = turn_.wall_ms;
    witness.next_expiry_ms = part_of(id)->next_expiry_ms();
  }

  void take_profile(size_t member, const agg::EngineProfile& profile, uint64_t shared_with) {
    agg::EngineProfile& into = answer(member).profile;
    into.scan.add(profile.scan);
    into.device = profile.device;
    into.reason = profile.reason;
    answer(member).shared_with = std::max(answer(member).shared_with, shared_with);
  }

  void end(size_t member, double begun_us, double others_us) {
    const Pass& pass = *members_[member];
    PartitionsAnswer& out = answer(member);
    if (!out.error && pass.ask->encoded && !pass.ask->witness_only)
      out.bytes = pass.ask->refinement ? out.refined.encode() : out.partials.encode();
    out.queue_us = std::max(0.0, begun_us - pass.since_us - turn_.apply_us) + others_us;
    // Finding the rows of keys and encoding are of the pass as well.
    const agg::ScanProfile& scan = out.profile.scan;
    const double known_us = scan.upload_us + scan.scan_us + scan.download_us + scan.merge_us + others_us;
    out.apply_us = turn_.apply_us + std::max(0.0, steady_us() - begun_us - known_us);
    pass.done();
  }

  std::vector<Pass*> members_;
  Aggregator::Turn& turn_;
  std::vector<double> scanned_us_;  // by member, of the classes that it is in
  std::vector<uint8_t> begun_;      // by member: its partials hold a part
};

}  // namespace

void Cancellation::cancel() {
  std::lock_guard lock(mutex_);
  if (std::exchange(cancelled_, true)) return;
  if (scan_) scan_->leave();
}

bool Cancellation::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

void Cancellation::join(std::shared_ptr<Scan> scan) {
  std::lock_guard lock(mutex_);
  scan_ = std::move(scan);
  if (cancelled_) scan_->leave();
}

void run_passes(std::vector<Pass>&& passes, Aggregator::Turn& turn) {
  std::vector<std::vector<Pass*>> groups;
  for (Pass& pass : passes) {
    const bool late = pass.ask->until_us != 0 && steady_us() > pass.ask->until_us;
    if (late || (pass.ask->cancellation && pass.ask->cancellation->cancelled())) {
      pass.answer->error = given_up();
      pass.done();
      continue;
    }
    // The limits of a batch hold for a joined pass.
    auto fits = [&](const std::vector<Pass*>& group) {
      if (!may_join(*group.front()->ask, *pass.ask)) return false;
      size_t queries = pass.ask->plan->queries().size();
      size_t key_sets = pass.ask->key_sets.size();
      for (const Pass* member : group) {
        queries += member->ask->plan->queries().size();
        key_sets += member->ask->key_sets.size();
      }
      return queries <= agg::kQueriesMax && key_sets <= agg::kRowSetsMax;
    };
    auto group = std::find_if(groups.begin(), groups.end(), fits);
    if (group == groups.end()) {
      groups.push_back({&pass});
    } else {
      group->push_back(&pass);
    }
  }
  for (auto& group : groups) JoinedPass(std::move(group), turn).run();
}

}  // namespace covey::server
