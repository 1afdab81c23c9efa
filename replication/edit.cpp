// Replica::Edit: one step's changes to a partition, and the storage batch that holds them.
#include <algorithm>
#include <tuple>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/replica.h"

namespace covey {

using Edit = Replica::Edit;

Edit::Edit(Replica& replica, Partition& partition, Placing placing)
    : replica_(replica), partition_(partition), placing_(placing), clock_(partition.clock) {}

Result<Object, StoreError> Edit::read_stored(const TableKey& key) {
  auto at = staged_.find(key);
  if (at == staged_.end()) {
    auto stored = replica_.read_stored(partition_, key);
    if (!stored) return stored.error();
    at = staged_.emplace(key, Staged{std::move(*stored), std::nullopt}).first;
  }
  return at->second.before;
}

Result<Object, StoreError> Edit::read(const TableKey& key) {
  auto stored = read_stored(key);
  if (!stored) return stored.error();
  const Staged& staged = staged_.at(key);
  if (staged.after) return *staged.after;
  // By the clock before this edit: its own additions may be of keys that are merged later in it.
  return fill(std::move(*stored), partition_.clock);
}

void Edit::put(const TableKey& key, Object filled, const DotSet& settled) {
  auto at = staged_.find(key);
  COVEY_ASSERT(at != staged_.end());
  DotSet dots = settled;
  for (const Version& version : filled.versions) dots.add(version.dot);
  dots.subtract(clock_);
  for (const auto& entry : dots.entries()) {
    for (const auto& run : DotSet::runs_of(entry)) {
      for (uint64_t counter = run.first; counter <= run.last; ++counter) {
        logged_.push_back({{entry.actor, {counter}}, key});
      }
    }
  }
  clock_.join(dots);
  at->second.after = std::move(filled);
}

void Edit::join_voids(const DotSet& dots) {
  DotSet fresh = dots;
  fresh.subtract(clock_);
  if (fresh.empty()) return;
  replica_.stats_.voided_dots += fresh.count();
  voids_.join(fresh);
  clock_.join(fresh);
}

Dot Edit::mint(Actor actor) {
  uint64_t last = clock_.highest(actor);
  if (partition_.minted_actor == actor) last = std::max(last, partition_.minted);
  if (minted_ && minted_->first == actor) last = std::max(last, minted_->second);
  minted_.emplace(actor, last + 1);
  return {actor, {last + 1}};
}
void Edit::set_ready(bool ready) { ready_ = ready; }
void Edit::erase_log(const std::vector<std::string>& dot_keys) { log_erased_ = dot_keys; }
void Edit::drop_everything() { drop_ = true; }

namespace {

void index_expiry(PartitionId id, const TableKey& key, const Object& before, const Object& after,
                  StoreBatch& batch) {
  auto expires_in = [](const Object& object, uint64_t at_ms) {
    return std::any_of(object.versions.begin(), object.versions.end(),
                       [&](const Version& version) { return version.expires_ms == at_ms; });
  };
  for (const Version& version : before.versions) {
    if (version.expires_ms != 0 && !expires_in(after, version.expires_ms)) {
      batch.erase(Column::expiry, expiry_key(id, version.expires_ms, key.table, key.key));
    }
  }
  for (const Version& version : after.versions) {
    if (version.expires_ms != 0 && !expires_in(before, version.expires_ms)) {
      batch.put(Column::expiry, expiry_key(id, version.expires_ms, key.table, key.key), "");
    }
  }
}

}  // namespace

void Edit::write_object(const TableKey& key, const Staged& staged, StoreBatch& batch, PartitionRecord& next) {
  Object after = strip(*staged.after, clock_);
  const Object& before = staged.before;
  if (after == before) return;
  std::string at = object_key(next.id, key.table, key.key);
  bool keeps = !after.versions.empty() || !after.context.empty();
  bool had_context = !before.context.empty();
  if (keeps) {
    batch.put(Column::objects, at, encode(after));
  } else {
    batch.erase(Column::objects, at);
  }
  if (!after.context.empty() && !had_context) {
    batch.put(Column::residual, at, "");
    ++next.residual;
  } else if (after.context.empty() && had_context) {
    batch.erase(Column::residual, at);
    --next.residual;
  }
  index_expiry(next.id, key, before, after, batch);
  if (!bug(Bug::state_hash_forgets_old)) next.state_hash -= object_hash(key, before);
  next.state_hash += object_hash(key, after);
  next.objects += after.versions.empty() ? 0 : 1;
  next.objects -= before.versions.empty() ? 0 : 1;
}

Result<bool, StoreError> Edit::commit() {
  StoreBatch batch;
  PartitionRecord next = partition_;
  next.clock = clock_;
  next.voids.join(voids_);
  if (minted_) std::tie(next.minted_actor, next.minted) = *minted_;
  next.ready = ready_.value_or(partition_.ready);
  if (drop_) {
    std::string lower = partition_key(next.id);
    std::string upper = after_prefix(lower);
    if (upper.empty()) upper = std::string(16, '\xff');
    for (Column column : {Column::objects, Column::dots, Column::residual, Column::expiry}) {
      batch.erase_range(column, lower, upper);
    }
    if (!bug(Bug::stand_in_keeps_clock)) next.clock.clear();
    next.voids.clear();
    next.state_hash = next.objects = next.log = next.residual = 0;
    next.ready = false;
  } else {
    for (const auto& [key, staged] : staged_) {
      if (staged.after) write_object(key, staged, batch, next);
    }
    if (placing_.keeps_log) {
      for (const auto& [dot, key] : logged_) {
        batch.put(Column::dots, dot_key(next.id, dot), dot_value(key.table, key.key));
      }
      next.log += logged_.size();
    }
    for (const std::string& key : log_erased_) batch.erase(Column::dots, key);
    next.log -= std::min<uint64_t>(next.log, log_erased_.size());
  }
  if (batch.empty() && next.clock == partition_.clock && next.voids == partition_.voids && !minted_ &&
      next.ready == partition_.ready) {
    return false;
  }
  batch.put(Column::partitions, partition_key(next.id), encode_partition(next));
  auto written = replica_.store_.write(batch);
  if (!written) return written.error();
  static_cast<PartitionRecord&>(partition_) = std::move(next);
  partition_.last_write = *written;
  if (drop_) {
    partition_.settled.clear();
    partition_.settling.clear();
    partition_.collected.clear();
    partition_.durable_clock.clear();
    partition_.becoming_durable.reset();
    partition_.copies.clear();
  }
  return true;
}

}  // namespace covey
