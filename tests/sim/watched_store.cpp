#include "tests/sim/watched_store.h"

#include <map>

#include "tests/sim/failure.h"

namespace covey::sim {
namespace {

constexpr size_t rows_of_a_block_max = 3;
constexpr size_t load_kinds = 4;
constexpr size_t load_waits = 20;  // times that one is asked, most of them ticks

StoreError damage_error() { return {StoreError::Kind::corruption, "a simulated table is damaged"}; }

}  // namespace

class WatchedStore::Cursor final : public StoreCursor {
 public:
  Cursor(WatchedStore& store, Column column, std::unique_ptr<StoreCursor> inner)
      : store_(store), column_(column), inner_(std::move(inner)) {
    look();
  }
  bool valid() const override { return !failed_ && inner_->valid(); }
  void next() override {
    inner_->next();
    look();
  }
  std::string_view key() const override { return inner_->key(); }
  std::string_view value() const override { return inner_->value(); }
  std::optional<StoreError> error() const override {
    return failed_ ? std::optional(damage_error()) : inner_->error();
  }

 private:
  void look() { failed_ = inner_->valid() && store_.is_damaged(column_, inner_->key()); }

  WatchedStore& store_;
  const Column column_;
  std::unique_ptr<StoreCursor> inner_;
  bool failed_ = false;
};

bool WatchedStore::is_damaged(Column column, std::string_view key) {
  if (damaged_.empty() || !damaged_.contains({column, std::string(key)})) return false;
  has_met_damage_ = true;
  return true;
}

bool WatchedStore::damage(Random& random) {
  static const std::vector<Column> columns = {Column::objects, Column::dots, Column::residual,
                                              Column::expiry};
  Column column = random.pick(columns);
  std::vector<std::string> rows;
  const auto read_rows = [&] {
    for (auto cursor = inner_.cursor(column, "", ""); cursor->valid(); cursor->next())
      rows.emplace_back(cursor->key());
  };
  read_rows();
  if (rows.empty()) {
    column = Column::objects;
    read_rows();
  }
  if (rows.empty()) return false;
  const size_t first = random.below(rows.size());
  const size_t count = random.between(1, rows_of_a_block_max);
  for (size_t i = first; i < rows.size() && i < first + count; ++i) damaged_.insert({column, rows[i]});
  return true;
}

Result<std::optional<std::string>, StoreError> WatchedStore::get(Column column, std::string_view key) {
  if (is_damaged(column, key)) return damage_error();
  return inner_.get(column, key);
}

std::unique_ptr<StoreCursor> WatchedStore::cursor(Column column, std::string_view lower,
                                                  std::string_view upper, const StoreSnapshot* snapshot) {
  return std::make_unique<Cursor>(*this, column, inner_.cursor(column, lower, upper, snapshot));
}

class WatchedStore::Load final : public StoreLoad {
 public:
  // ready() says no so many times.
  Load(std::unique_ptr<StoreLoad> inner, size_t waits) : inner_(std::move(inner)), waits_(waits) {}
  std::optional<StoreError> add(std::string_view key, std::string_view value) override {
    entries.put(Column::objects, std::string(key), std::string(value));
    return inner_->add(key, value);
  }
  void end() override { inner_->end(); }
  bool ready() override { return waits_ == 0 ? inner_->ready() : --waits_ == 0 && inner_->ready(); }
  Result<std::optional<std::string>, StoreError> find(std::string_view key) override {
    return inner_->find(key);
  }
  StoreBatch entries;
  std::unique_ptr<StoreLoad> take() { return std::move(inner_); }

 private:
  std::unique_ptr<StoreLoad> inner_;
  size_t waits_;
};

// Some are ready at once, others after a while.
std::unique_ptr<StoreLoad> WatchedStore::load() {
  return std::make_unique<Load>(inner_.load(), loads_++ % load_kinds * load_waits);
}

Result<Lsn, StoreError> WatchedStore::write(const StoreBatch& batch) {
  return watch(batch, [&] { return inner_.write(batch); });
}

Result<Lsn, StoreError> WatchedStore::write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) {
  auto& loaded = static_cast<Load&>(*load);
  std::set<std::string> above;
  for (const auto& operation : batch.operations())
    if (operation.column == Column::objects) above.insert(operation.key);
  StoreBatch all;
  for (const auto& operation : loaded.entries.operations())
    if (!above.contains(operation.key)) all.add(operation);
  for (const auto& operation : batch.operations()) all.add(operation);
  return watch(all, [&] { return inner_.write(batch, loaded.take()); });
}

Result<Lsn, StoreError> WatchedStore::watch(const StoreBatch& batch,
                                            const std::function<Result<Lsn, StoreError>()>& write) {
  std::map<uint32_t, Change> changes;  // by partition
  auto change_of = [&](const std::string& key) -> Change& { return changes[Reader(key).u32_big()]; };
  for (const auto& operation : batch.operations()) {
    if (operation.column != Column::objects || !operation.range_end.empty()) continue;
    auto before = inner_.get(Column::objects, operation.key);
    if (!before) continue;  // its checksum is wrong: the core is told when it reads
    change_of(operation.key).objects.push_back({operation.key, std::move(*before), operation.value});
  }
  for (const auto& operation : batch.operations()) {
    if (operation.column != Column::dots || operation.value) continue;
    const std::string upper = operation.range_end.empty() ? operation.key + '\0' : operation.range_end;
    auto cursor = inner_.cursor(Column::dots, operation.key, upper);
    for (; cursor->valid(); cursor->next()) change_of(operation.key).unlogged.emplace_back(cursor->key());
  }
  auto written = write();
  if (!written) return written;
  for (const auto& operation : batch.operations()) damaged_.erase({operation.column, operation.key});
  for (const auto& operation : batch.operations()) {
    if (operation.column == Column::dots && operation.value)
      change_of(operation.key).logged.emplace_back(operation.key, *operation.value);
    if (operation.column != Column::partitions || !operation.value) continue;
    Change& change = change_of(operation.key);
    require(change.record.empty(), "one batch has a partition's record twice");
    change.record = *operation.value;
  }
  for (auto& [partition, change] : changes) {
    require(!change.record.empty(), "a partition was changed without its record");
    change.partition = partition;
    change.lsn = *written;
    changes_.push_back(std::move(change));
  }
  return written;
}

}  // namespace covey::sim
