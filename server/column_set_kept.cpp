// ColumnSet: parts that are kept over a restart.
#include <utility>

#include "replication/codec.h"
#include "server/column_set.h"

namespace covey::server {

void ColumnSet::read_from_objects(ColumnPart& part) {
  part.from_ = ColumnPart::From::objects;
  part.stale_.clear();
  if (part.state_ != ColumnPart::State::evicted) ++rebuilt_;
}

// What was kept, if records lead from there to the state in which the part began. What has changed since it
// began is in stale_ already.
void ColumnSet::restore(const ColumnTable& table, PartitionId partition, ColumnPart& part) {
  auto bytes = history_->part(table.name(), partition);
  if (!bytes) return read_from_objects(part);
  agg::ColumnStore::Dictionaries dictionaries;
  for (uint32_t i = 0; i < table.schema().columns.size(); ++i)
    dictionaries.push_back(part.columns_.shared_dictionary(i));
  auto kept = restore_part(*bytes, {table, partition, options_.partitions}, std::move(dictionaries));
  if (!kept) return read_from_objects(part);
  // Some of it may have left before it was kept.
  if (demand_ && demand_->table == Name{table.name(), table.definition()}) {
    for (uint32_t column : demand_->columns) {
      if (kept->columns.state(column) != agg::ColumnState::kWhole) return read_from_objects(part);
    }
  }
  if (kept->state != part.begun_at_) {
    auto changed = history_->changes().between(partition, table.name(), kept->state, part.begun_at_);
    if (!changed) return read_from_objects(part);
    part.stale_.merge(*changed);
  }
  part.columns_ = std::move(kept->columns);
  part.keys_ = std::move(kept->keys);
  part.expiring_ = std::move(kept->expiring);
  for (const auto& [slot, versions] : part.expiring_) {
    for (const RowState& version : versions) {
      if (version.expires_ms != 0) part.due_.insert({version.expires_ms, slot});
    }
  }
  part.kept_ = kept->state;
  part.from_ = ColumnPart::From::kept;
  ++restored_;
  count_bytes(part);
  make_room();
}

// true: none is left.
bool ColumnSet::read_stale(Store& store, const ColumnTable& table, PartitionId partition, ColumnPart& part,
                           size_t& rows, uint64_t wall_ms) {
  for (; rows > 0 && !part.stale_.empty(); --rows) {
    const std::string key = std::move(part.stale_.extract(part.stale_.begin()).value());
    auto bytes = store.get(Column::objects, object_key(partition, table.name(), key));
    if (!bytes) {
      fail(part, bytes.error().message);
      return true;
    }
    auto object = *bytes ? decode_object(**bytes) : std::optional<Object>(Object{});
    if (!object) {
      fail(part, "a stored object is unreadable");
      return true;
    }
    set_row(table, part, key, table.rows(*object), wall_ms);
    if (part.state_ != ColumnPart::State::loading) return true;
  }
  return part.stale_.empty();
}

bool ColumnSet::is_kept(const ColumnPart& part, PartitionId partition) const {
  if (part.state_ != ColumnPart::State::whole || part.filling_) return true;
  auto state = states_.find(partition);
  return state == states_.end() || part.kept_ == state->second;
}

std::optional<PartCheckpoint> ColumnSet::next_checkpoint(std::optional<PartKey>& after) {
  auto table = after ? tables_.lower_bound(after->first) : tables_.begin();
  for (; table != tables_.end(); ++table) {
    const bool within = after && table->first == after->first;
    auto at = within ? table->second.parts.upper_bound(after->second) : table->second.parts.begin();
    for (; at != table->second.parts.end(); ++at) {
      const auto& [partition, part] = *at;
      if (is_kept(part, partition)) continue;
      after = PartKey{table->first, partition};
      PartCheckpoint out{table->first.first, table->first.second, partition, states_.at(partition), {}};
      if (part.columns_.rows() > 0) {
        out.bytes = checkpoint_of({*table->second.columns, partition, options_.partitions}, out.state,
                                  part.columns_, part.keys_, part.expiring_);
      }
      return out;
    }
  }
  return std::nullopt;
}

void ColumnSet::kept(const PartCheckpoint& checkpoint) {
  auto table = tables_.find({checkpoint.table, checkpoint.definition});
  if (table == tables_.end()) return;
  auto part = table->second.parts.find(checkpoint.partition);
  if (part != table->second.parts.end()) part->second.kept_ = checkpoint.state;
}

bool ColumnSet::has_unkept() const {
  for (const auto& [name, table] : tables_) {
    for (const auto& [partition, part] : table.parts) {
      if (!is_kept(part, partition)) return true;
    }
  }
  return false;
}

bool ColumnSet::has_part(const std::string& name, PartitionId partition) const {
  for (auto table = tables_.lower_bound({name, ""}); table != tables_.end() && table->first.first == name;
       ++table) {
    if (table->second.parts.contains(partition)) return true;
  }
  return false;
}

}  // namespace covey::server
