#include "server/column_feed.h"

#include <utility>

namespace covey::server {

void ColumnFeed::define(const std::map<std::string, TableDefinition, std::less<>>& tables) {
  for (auto at = tables_.begin(); at != tables_.end();) {
    auto now = tables.find(at->first);
    if (now != tables.end() && !now->second.columns.empty()) {
      ++at;
      continue;
    }
    events_.push_back({.kind = ColumnEvent::Kind::gone, .table = at->second});
    at = tables_.erase(at);
  }
  for (const auto& [name, definition] : tables) {
    auto& known = tables_[name];
    if (known && known->definition() == definition.text) continue;
    known = make_column_table(name, definition);
    if (known) {
      events_.push_back({.kind = ColumnEvent::Kind::defined, .table = known, .states = states()});
    } else {
      tables_.erase(name);
    }
  }
  applied();
}

std::shared_ptr<const ColumnTable> ColumnFeed::table(std::string_view name) const {
  auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : found->second;
}

void ColumnFeed::mark(uint64_t number) {
  events_.push_back({.kind = ColumnEvent::Kind::mark, .number = number, .states = states()});
  applied();
}

void ColumnFeed::mark_file(uint64_t number) {
  if (journal_) journal_->begin_file();
  mark(number);
}

std::shared_ptr<const PartitionStates> ColumnFeed::states() const {
  return states_ ? std::make_shared<const PartitionStates>(states_()) : nullptr;
}

// Keys of all tables: one may get columns before what is written here is read.
void ColumnFeed::changing(PartitionId partition, uint64_t before, uint64_t after,
                          const std::vector<const TableKey*>& keys) {
  if (journal_ && !tables_.empty()) changes_.add(partition, before, after, keys);
}

void ColumnFeed::writing() {
  if (!changes_.empty()) journal_->write(changes_.take());
}

void ColumnFeed::changed(PartitionId partition, const TableKey& key, const Object& after) {
  if (tables_.empty()) return;
  auto found = tables_.find(key.table);
  if (found == tables_.end()) return;
  events_.push_back({.kind = ColumnEvent::Kind::row,
                     .table = found->second,
                     .partition = partition,
                     .key = key.key,
                     .versions = found->second->rows(after, &read_)});
}

void ColumnFeed::reached(PartitionId partition, uint64_t state) {
  if (tables_.empty()) return;
  bool any = false;
  for (auto row = events_.rbegin(); row != events_.rend(); ++row) {
    if (row->kind != ColumnEvent::Kind::row || row->partition != partition) break;
    row->number = state;
    any = true;
  }
  if (!any) events_.push_back({.kind = ColumnEvent::Kind::reached, .partition = partition, .number = state});
}

void ColumnFeed::refilled(PartitionId partition, uint64_t state) {
  if (!tables_.empty())
    events_.push_back({.kind = ColumnEvent::Kind::refilled, .partition = partition, .number = state});
}

void ColumnFeed::dropped(PartitionId partition) {
  if (!tables_.empty()) events_.push_back({.kind = ColumnEvent::Kind::dropped, .partition = partition});
}

void ColumnFeed::applied() {
  if (!events_.empty()) sink_(std::exchange(events_, {}));
}

}  // namespace covey::server
