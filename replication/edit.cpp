// Replica::Edit and Replica::Group: changes to partitions, and the storage batch that holds them.
#include <algorithm>
#include <tuple>
#include <utility>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/feed.h"
#include "replication/replica.h"

namespace covey {

using Edit = Replica::Edit;

Edit::Edit(Replica& replica, Partition& partition, Placing placing)
    : replica_(replica), partition_(partition), placing_(placing), clock_(partition.clock) {}

Result<Edit::StagedKeys::value_type*, StoreError> Edit::stage(const TableKey& key) {
  auto at = staged_.lower_bound(key);
  if (at == staged_.end() || at->first != key) {
    std::string stored_at = object_key(partition_.id, key.table, key.key);
    auto bytes = replica_.store_.get(Column::objects, stored_at);
    if (!bytes) return bytes.error();
    at = staged_.emplace_hint(at, key, Staged{std::move(stored_at), {}, {}, {}});
    Staged& staged = at->second;
    if (*bytes) staged.bytes = std::move(**bytes);
    if (*bytes && !read_object(staged.bytes, staged.before)) {
      staged_.erase(at);
      return Replica::unreadable(key);
    }
  }
  return &*at;
}

Result<Object, StoreError> Edit::read_stored(const TableKey& key) {
  auto place = stage(key);
  if (!place) return place.error();
  return to_object((*place)->second.before);
}

Result<Object, StoreError> Edit::read(const TableKey& key) {
  auto place = stage(key);
  if (!place) return place.error();
  const Staged& staged = (*place)->second;
  // By the clock before this edit: its own additions may be of keys that are merged later in it.
  return fill(staged.after ? *staged.after : to_object(staged.before), partition_.clock);
}

Result<Object, StoreError> Edit::read_dots(const TableKey& key) {
  auto place = stage(key);
  if (!place) return place.error();
  const Staged& staged = (*place)->second;
  const auto without_values = [](const auto& from) {
    Object dots{{}, from.context};
    dots.versions.reserve(from.versions.size() + 1);
    for (const auto& version : from.versions)
      dots.versions.push_back({.dot = version.dot, .time = version.time, .kind = version.kind});
    return dots;
  };
  return fill(staged.after ? without_values(*staged.after) : without_values(staged.before), partition_.clock);
}

void Edit::put(const TableKey& key, Object filled, const DotSet& settled) {
  auto at = staged_.find(key);
  COVEY_ASSERT(at != staged_.end());
  put(*at, std::move(filled), settled);
}

void Edit::put(StagedKeys::value_type& place, Object filled, const DotSet& settled) {
  DotSet dots = settled;
  for (const Version& version : filled.versions) dots.add(version.dot);
  dots.subtract(clock_);
  for (const auto& entry : dots.entries()) {
    if (!placing_.keeps_log) break;
    for (const auto& run : DotSet::runs_of(entry)) {
      for (uint64_t counter = run.first; counter <= run.last; ++counter) {
        logged_.push_back({{entry.actor, {counter}}, &place.first});
      }
    }
  }
  clock_.join(dots);
  place.second.after = std::move(filled);
}

Result<bool, StoreError> Edit::replace(const TableKey& key, Object& theirs, const DotSet& settled) {
  if (theirs.versions.empty()) return false;
  auto place = stage(key);
  if (!place) return place.error();
  const Staged& staged = (*place)->second;
  if (staged.after || !replaces(theirs, staged.before, partition_.clock)) return false;
  theirs.context.join(staged.before.context);
  put(**place, std::move(theirs), settled);
  return true;
}

void Edit::join_voids(const DotSet& dots) {
  DotSet fresh = dots;
  fresh.subtract(clock_);
  if (fresh.empty()) return;
  replica_.stats_.voided_dots += fresh.count();
  voids_.join(fresh);
  clock_.join(fresh);
}

uint64_t Edit::last_minted(Actor actor) const {
  uint64_t last = clock_.highest(actor);
  if (partition_.minted_actor == actor) last = std::max(last, partition_.minted);
  if (minted_ && minted_->first == actor) last = std::max(last, minted_->second);
  return last;
}

uint64_t Edit::known_from(Actor actor) const {
  const uint64_t last = last_minted(actor);
  const DotSet::Entry* known = clock_.find(actor);
  if (last == 0 || (known != nullptr && known->base >= last)) return 1;
  const bool knows_last = known != nullptr && known->highest() >= last;
  return knows_last ? known->runs.back().first : last + 1;
}

Dot Edit::mint(Actor actor) {
  const uint64_t next = last_minted(actor) + 1;
  minted_.emplace(actor, next);
  return {actor, {next}};
}

void Edit::set_ready(bool ready) { ready_ = ready; }

void Edit::set_left() {
  ready_ = false;
  left_ = true;
}

void Edit::drop_everything() { drop_ = true; }

namespace {

constexpr uint64_t erased_as_range =
    32;  // fewer are cheaper one by one than as a range that reads must look at

// How many they are.
uint64_t write_log_erased(PartitionId id, const DotSet& dots, StoreBatch& batch) {
  for (const auto& entry : dots.entries()) {
    for (const auto& run : DotSet::runs_of(entry)) {
      if (run.last - run.first + 1 >= erased_as_range) {
        batch.erase_range(Column::dots, dot_key(id, {entry.actor, {run.first}}),
                          dot_key(id, {entry.actor, {run.last}}) + '\0');
        continue;
      }
      for (uint64_t counter = run.first; counter <= run.last; ++counter) {
        batch.erase(Column::dots, dot_key(id, {entry.actor, {counter}}));
      }
    }
  }
  return dots.count();
}

void index_expiry(PartitionId id, const TableKey& key, const ObjectView& before, const Object& after,
                  StoreBatch& batch) {
  auto expires_in = [](const auto& object, uint64_t at_ms) {
    return std::any_of(object.versions.begin(), object.versions.end(),
                       [&](const auto& version) { return version.expires_ms == at_ms; });
  };
  for (const VersionView& version : before.versions) {
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

void Edit::write_object(const TableKey& key, Staged& staged, StoreBatch& batch, PartitionRecord& next) {
  const Object& after = staged.after.emplace(strip(std::move(*staged.after), clock_));
  const ObjectView& before = staged.before;
  if (before == after && !staged.over_load) return;
  const std::string& at = staged.at;
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
  if (!bug(Bug::state_hash_forgets_old)) next.state_hash -= object_hash(key.table, key.key, before);
  next.state_hash += object_hash(key, after);
  next.bytes += content_bytes(key, after);
  next.bytes -= content_bytes(key.table, key.key, before);
  next.objects += after.versions.empty() ? 0 : 1;
  next.objects -= before.versions.empty() ? 0 : 1;
}

void Edit::write_load(StoreBatch& batch) {
  next_.state_hash += load_->counts.state_hash;
  next_.objects += load_->counts.objects;
  next_.bytes += load_->counts.bytes;
  next_.residual += load_->residual.size();
  for (const std::string& key : load_->residual) batch.put(Column::residual, key, "");
  for (const std::string& key : load_->expiries) batch.put(Column::expiry, key, "");
}

bool Edit::prepare(StoreBatch& batch) {
  next_ = partition_;
  next_.clock = clock_;
  next_.voids.join(voids_);
  if (minted_) std::tie(next_.minted_actor, next_.minted) = *minted_;
  next_.ready = ready_.value_or(partition_.ready);
  if (ready_) next_.left = left_;
  next_.state_hash += correction_.state_hash;
  next_.objects += correction_.objects;
  next_.bytes += correction_.bytes;
  const size_t others = batch.operations().size();
  if (load_) write_load(batch);
  if (drop_) {
    std::string lower = partition_key(next_.id);
    std::string upper = after_prefix(lower);
    if (upper.empty()) upper = std::string(16, '\xff');
    for (Column column : {Column::objects, Column::dots, Column::residual, Column::expiry}) {
      batch.erase_range(column, lower, upper);
    }
    if (!bug(Bug::stand_in_keeps_clock)) next_.clock.clear();
    next_.voids.clear();
    next_.state_hash = next_.objects = next_.bytes = next_.log = next_.residual = 0;
    next_.ready = next_.left = false;
  } else {
    for (auto& [key, staged] : staged_) {
      if (staged.after) write_object(key, staged, batch, next_);
    }
    if (placing_.keeps_log) {
      for (const auto& [dot, key] : logged_) {
        batch.put(Column::dots, dot_key(next_.id, dot), dot_value(key->table, key->key));
      }
      next_.log += logged_.size();
    }
    next_.log -= std::min(next_.log, write_log_erased(next_.id, log_erased_, batch));
  }
  if (batch.operations().size() == others && next_.clock == partition_.clock &&
      next_.voids == partition_.voids && !minted_ && next_.ready == partition_.ready &&
      next_.left == partition_.left && correction_ == Counts{}) {
    return false;
  }
  batch.put(Column::partitions, partition_key(next_.id), encode_partition(next_));
  return true;
}

void Edit::apply(Lsn written) {
  static_cast<PartitionRecord&>(partition_) = std::move(next_);
  partition_.last_write = written;
  if (partition_.written && !told_by_repair_) note_written(*partition_.written);
  if (replica_.options_.feed != nullptr) tell(*replica_.options_.feed);
  if (!drop_) {
    if (placing_.keeps_log) {
      for (const auto& [dot, key] : logged_) partition_.logged.add(dot);
    }
    if (!log_erased_.empty()) partition_.logged.subtract(log_erased_);
    return;
  }
  partition_.settled.clear();
  partition_.settling.clear();
  partition_.logged.clear();
  partition_.unsearched.clear();
  partition_.durable_clock.clear();
  partition_.becoming_durable.reset();
  partition_.copies.clear();
}

void Edit::note_written(std::set<TableKey>& keys) const {
  for (const auto& [key, staged] : staged_) {
    if (staged.after && keys.size() <= replica_.options_.filled_beside_max) keys.insert(key);
  }
}

void Edit::announce(Feed& feed) const {
  if (drop_ || load_) return;
  std::vector<const TableKey*> keys;
  for (const auto& [key, staged] : staged_) {
    if (staged.after && !same_versions(staged.before, *staged.after)) keys.push_back(&key);
  }
  if (keys.empty()) return;
  if (bug(Bug::changes_not_announced)) keys.pop_back();
  feed.changing(partition_.id, partition_.state_hash, next_.state_hash, keys);
}

void Edit::tell(Feed& feed) const {
  if (drop_) return feed.dropped(partition_.id);
  if (load_) return feed.refilled(partition_.id, partition_.state_hash);
  bool any = false;
  for (const auto& [key, staged] : staged_) {
    if (!staged.after || same_versions(staged.before, *staged.after)) continue;
    any = true;
    if (bug(Bug::feed_forgets_erased) && staged.after->versions.empty()) continue;
    feed.changed(partition_.id, key, *staged.after);
  }
  if (any) feed.reached(partition_.id, partition_.state_hash);
}

Result<bool, StoreError> Edit::commit() {
  COVEY_ASSERT(!replica_.grouping_);
  StoreBatch batch;
  if (!prepare(batch)) return false;
  Feed* feed = replica_.options_.feed;
  if (feed != nullptr) {
    announce(*feed);
    feed->writing();
  }
  auto written =
      load_ ? replica_.store_.write(batch, std::move(load_->objects)) : replica_.store_.write(batch);
  if (!written) return written.error();
  apply(*written);
  if (feed != nullptr) feed->applied();
  return true;
}

Edit& Replica::Group::edit(Partition& partition, Placing placing) {
  replica_.grouping_ = true;
  return edits_.try_emplace(partition.id, replica_, partition, placing).first->second;
}

Result<Done, StoreError> Replica::Group::commit() {
  replica_.grouping_ = false;
  auto edits = std::exchange(edits_, {});
  StoreBatch batch = std::exchange(batch_, {});
  std::vector<Edit*> changed;
  for (auto& [id, edit] : edits) {
    if (edit.prepare(batch)) changed.push_back(&edit);
  }
  if (changed.empty()) return Done{};
  Feed* feed = replica_.options_.feed;
  if (feed != nullptr) {
    for (const Edit* edit : changed) edit->announce(*feed);
    feed->writing();
  }
  auto written = replica_.store_.write(batch);
  if (!written) return written.error();
  for (Edit* edit : changed) edit->apply(*written);
  if (feed != nullptr) feed->applied();
  batch.clear();
  batch_ = std::move(batch);
  return Done{};
}

}  // namespace covey
