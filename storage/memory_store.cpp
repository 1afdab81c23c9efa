#include "storage/memory_store.h"

namespace covey {

namespace {

StoreError damaged_error(std::string_view key) {
  return {StoreError::Kind::corruption,
          "the stored bytes of a key of " + std::to_string(key.size()) + " bytes do not have their checksum"};
}

}  // namespace

class MemoryStore::Snapshot final : public StoreSnapshot {
 public:
  explicit Snapshot(Columns shared) : columns(std::move(shared)) {}
  const Columns columns;
};

class MemoryStore::Cursor final : public StoreCursor {
 public:
  Cursor(std::shared_ptr<const Map> map, std::string_view lower, std::string_view upper, Column column,
         const std::set<std::pair<Column, std::string>>& damaged)
      : map_(std::move(map)), position_(map_->lower_bound(lower)), upper_(upper) {
    for (const auto& [damaged_column, key] : damaged)
      if (damaged_column == column) damaged_.insert(key);
    check();
  }

  bool valid() const override {
    return !error_ && position_ != map_->end() && (upper_.empty() || position_->first < upper_);
  }
  void next() override {
    COVEY_ASSERT(valid());
    ++position_;
    check();
  }
  std::string_view key() const override {
    COVEY_ASSERT(valid());
    return position_->first;
  }
  std::string_view value() const override {
    COVEY_ASSERT(valid());
    return position_->second;
  }
  std::optional<StoreError> error() const override { return error_; }

 private:
  void check() {
    if (valid() && damaged_.contains(position_->first)) error_ = damaged_error(position_->first);
  }

  std::shared_ptr<const Map> map_;
  Map::const_iterator position_;
  std::string upper_;
  std::set<std::string, std::less<>> damaged_;
  std::optional<StoreError> error_;
};

class MemoryStore::Load final : public StoreLoad {
 public:
  explicit Load(const MemoryStore& store) : store_(store) {}
  std::optional<StoreError> add(std::string_view key, std::string_view value) override {
    COVEY_ASSERT(entries.empty() || entries.rbegin()->first < key);
    entries.emplace_hint(entries.end(), key, value);
    return std::nullopt;
  }
  void end() override {}
  bool ready() override { return !store_.stalled_; }
  Result<std::optional<std::string>, StoreError> find(std::string_view key) override {
    const auto found = entries.find(key);
    if (found == entries.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  }
  Map entries;

 private:
  const MemoryStore& store_;
};

MemoryStore::MemoryStore(Durability durability) : durability_(durability) {
  for (auto& column : columns_) column = std::make_shared<Map>();
}

MemoryStore::Map& MemoryStore::writable(Column column) {
  auto& map = columns_[static_cast<size_t>(column)];
  if (map.use_count() > 1) map = std::make_shared<Map>(*map);  // a snapshot or a cursor still looks at it
  return *map;
}

void MemoryStore::assign(Column column, const std::string& key, std::optional<std::string> value) {
  Map& map = writable(column);
  if (value) {
    map.insert_or_assign(key, std::move(*value));
  } else {
    map.erase(key);
  }
}

Result<std::optional<std::string>, StoreError> MemoryStore::get(Column column, std::string_view key) {
  if (!damaged_.empty() && damaged_.contains({column, std::string(key)})) return damaged_error(key);
  const Map& map = *columns_[static_cast<size_t>(column)];
  const auto found = map.find(key);
  if (found == map.end()) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

Result<Lsn, StoreError> MemoryStore::write(const StoreBatch& batch) {
  if (next_write_error_) {
    StoreError error = std::move(*next_write_error_);
    next_write_error_.reset();
    return error;
  }
  if (full_) return StoreError{StoreError::Kind::full, "no space left on the simulated disk"};

  ++written_.value;
  Unsynced record{written_, {}};
  record.undo.reserve(batch.operations().size());
  for (const auto& operation : batch.operations()) {
    if (!operation.range_end.empty()) {
      const Map& range_of = *columns_[static_cast<size_t>(operation.column)];
      std::vector<std::string> keys;
      for (auto at = range_of.lower_bound(operation.key);
           at != range_of.end() && at->first < operation.range_end; ++at) {
        record.undo.push_back({operation.column, at->first, at->second});
        keys.push_back(at->first);
      }
      for (const std::string& key : keys) assign(operation.column, key, std::nullopt);
      continue;
    }
    const Map& map = *columns_[static_cast<size_t>(operation.column)];
    const auto found = map.find(operation.key);
    std::optional<std::string> previous;
    if (found != map.end()) previous = found->second;
    record.undo.push_back({operation.column, operation.key, std::move(previous)});
    assign(operation.column, operation.key, operation.value);
    if (!damaged_.empty()) damaged_.erase({operation.column, operation.key});
  }
  unsynced_.push_back(std::move(record));
  return written_;
}

std::unique_ptr<StoreLoad> MemoryStore::load() { return std::make_unique<Load>(*this); }

Result<Lsn, StoreError> MemoryStore::write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) {
  StoreBatch all;
  for (auto& [key, value] : static_cast<Load&>(*load).entries)
    all.put(Column::objects, key, std::move(value));
  for (const auto& operation : batch.operations()) {
    COVEY_ASSERT(operation.range_end.empty());
    all.add(operation);
  }
  return write(all);
}

Lsn MemoryStore::durable() const { return durability_ == Durability::none ? written_ : durable_; }

void MemoryStore::sync_to(Lsn lsn) {
  COVEY_ASSERT(lsn <= written_);
  if (stalled_) return;
  while (!unsynced_.empty() && unsynced_.front().lsn <= lsn) unsynced_.pop_front();
  if (lsn > durable_) durable_ = lsn;
}

void MemoryStore::crash(size_t survivors) {
  while (unsynced_.size() > survivors) {
    auto& undo = unsynced_.back().undo;
    for (auto step = undo.rbegin(); step != undo.rend(); ++step)
      assign(step->column, step->key, std::move(step->previous));
    written_.value = unsynced_.back().lsn.value - 1;
    unsynced_.pop_back();
  }
  unsynced_.clear();
  durable_ = written_;
}

std::unique_ptr<StoreCursor> MemoryStore::cursor(Column column, std::string_view lower,
                                                 std::string_view upper, const StoreSnapshot* snapshot) {
  const Columns& columns = snapshot ? static_cast<const Snapshot*>(snapshot)->columns : columns_;
  return std::make_unique<Cursor>(columns[static_cast<size_t>(column)], lower, upper, column, damaged_);
}

std::unique_ptr<StoreSnapshot> MemoryStore::snapshot() { return std::make_unique<Snapshot>(columns_); }

std::unique_ptr<MemoryStore> MemoryStore::clone() const {
  auto copy = std::make_unique<MemoryStore>(durability_);
  for (size_t i = 0; i < columns_.size(); ++i) copy->columns_[i] = std::make_shared<Map>(*columns_[i]);
  copy->unsynced_ = unsynced_;
  copy->written_ = written_;
  copy->durable_ = durable_;
  copy->damaged_ = damaged_;
  return copy;
}

}  // namespace covey
