#include "tests/sim/columns.h"

#include <algorithm>

#include "replication/codec.h"
#include "replication/typed.h"
#include "tests/sim/failure.h"

namespace covey::sim {
namespace {

using server::ColumnEvent;
using server::ColumnPart;
using server::ColumnSet;

constexpr size_t batches_max = 100;  // on their way, before all are delivered

// By key: the versions' times and values.
using Row = std::vector<std::pair<int64_t, std::vector<agg::Value>>>;
using Rows = std::map<std::string, Row>;

Rows rows_of(const ColumnPart& part) {
  Rows out;
  part.keys().with_prefix("", [&](agg::Slot slot) {
    require(part.columns().is_live(slot), "a key of the columns has a slot without a row");
    Row& row = out[part.keys().key(slot)];
    for (const agg::RowVersion& version : part.columns().siblings(slot))
      row.emplace_back(version.time, version.values);
    if (!row.empty()) return;
    std::vector<agg::Value> values;
    for (uint32_t i = 0; i < part.columns().schema().columns.size(); ++i)
      values.push_back(part.columns().value(slot, i));
    row.emplace_back(part.columns().time(slot), std::move(values));
  });
  require(out.size() == part.columns().rows(), "the columns have rows without keys");
  return out;
}

Rows scanned(Store& store, const server::ColumnTable& table, PartitionId partition, uint64_t wall_ms) {
  Rows out;
  const std::string prefix = object_key(partition, table.name(), "");
  auto cursor = store.cursor(Column::objects, prefix, after_prefix(prefix));
  for (; cursor->valid(); cursor->next()) {
    auto object = decode_object(cursor->value());
    require(object.has_value(), "a stored object can't be decoded");
    // A counter, a set or a hash is one row until something of it expires, and none then until that is
    // removed.
    if (plain(*object)) {
      take_expired(*object, wall_ms);
      resolve(*object, table.conflicts());
    }
    Row row;
    for (server::RowState& version : table.rows(*object)) {
      if (!expired(version.expires_ms, wall_ms)) row.emplace_back(version.time, version.values);
    }
    if (table.conflicts() == Conflicts::last_write_wins && row.size() > 1)
      row.erase(row.begin(), row.end() - 1);
    if (!row.empty()) out.emplace(cursor->key().substr(prefix.size()), std::move(row));
  }
  require(!cursor->error(), "a store's cursor failed");
  return out;
}

std::string shown(const Row& row) {
  std::string out;
  for (const auto& [time, values] : row) {
    out += " (at " + std::to_string(time);
    for (const agg::Value& value : values) {
      if (const auto* number = std::get_if<int64_t>(&value)) out += " " + std::to_string(*number);
    }
    out += ")";
  }
  return out;
}

server::TableDefinition definition(const char* conflicts) {
  auto parsed = server::parse_table_definition(std::string_view(
      std::string(R"({"conflicts": ")") + conflicts +
      R"(", "columns": [{"name": "x", "type": "int64"}, {"name": "n", "path": "", "type": "int64"}]})"));
  require(parsed.ok(), "a table's definition can't be read");
  return std::move(*parsed);
}

}  // namespace

class Columns::History final : public server::ColumnHistory {
 public:
  explicit History(const Files& files) : parts_(files.parts) { (void)changes_.read(files.changes); }
  std::optional<std::string> part(const std::string& table, PartitionId partition) override {
    auto found = parts_.find({table, partition});
    return found == parts_.end() ? std::nullopt : std::optional(found->second);
  }
  const server::ColumnChanges& changes() override { return changes_; }

 private:
  const std::map<std::pair<std::string, PartitionId>, std::string> parts_;
  server::ColumnChanges changes_;
};

class Columns::Sink final : public server::ChangeSink {
 public:
  explicit Sink(Files& files) : files_(files) {}
  void write(std::string_view batch) override { files_.changes.append(batch); }
  void begin_file() override {}

 private:
  Files& files_;
};

Columns::Columns(uint64_t seed, uint32_t shard, uint32_t shards, uint32_t partitions)
    : random_(seed), shard_(shard), options_{.shards = shards, .partitions = partitions} {
  tables_.emplace("default", definition("siblings"));
  tables_.emplace("latest", definition("lww"));
  feed_ = std::make_unique<server::ColumnFeed>(
      [this](std::vector<ColumnEvent>&& told) { events_.push_back(std::move(told)); },
      [this] {
        server::PartitionStates states;
        for (const PartitionView& view : core_->partitions(now_)) states[view.partition] = view.state_hash;
        return states;
      });
  feed_->use_journal(std::make_unique<Sink>(files_));
}

Columns::~Columns() = default;

void Columns::begin(const Core& core, Now now) {
  end();
  core_ = &core;
  now_ = now;
  wall_ms_ = std::max(wall_ms_, now.wall_ms);
  history_ = std::make_unique<History>(files_);
  set_ = std::make_unique<ColumnSet>(
      options_, [this](uint32_t, uint64_t number) { marks_.push_back(number); }, history_.get());
  feed_->define(tables_);
}

// The process ends. Of what it had not synced something may be gone.
void Columns::end() {
  if (core_ == nullptr) return;
  feed_->define({});
  set_.reset();
  history_.reset();
  core_ = nullptr;
  events_.clear();
  marks_.clear();
  if (random_.one_in(4)) files_.changes.resize(random_.below(files_.changes.size() + 1));
  if (random_.one_in(8) && !files_.parts.empty()) files_.parts.erase(files_.parts.begin());
}

void Columns::go_back() {
  if (random_.one_in(2)) files_ = older_;
}

void Columns::deliver(size_t count) {
  for (; count > 0 && !events_.empty(); --count, events_.pop_front())
    set_->apply(shard_, events_.front(), wall_ms_);
}

void Columns::hear() {
  for (uint64_t number : std::exchange(marks_, {})) feed_->mark(number);
}

void Columns::keep() {
  if (random_.one_in(4)) older_ = files_;
  std::optional<ColumnSet::PartKey> last;
  bool all = events_.empty() && !set_->loading();
  while (auto checkpoint = set_->next_checkpoint(last)) {
    if (random_.one_in(3)) {
      all = false;
      continue;
    }
    auto& part = files_.parts[{checkpoint->table, checkpoint->partition}];
    part = checkpoint->bytes;
    if (part.empty()) files_.parts.erase({checkpoint->table, checkpoint->partition});
    set_->kept(*checkpoint);
  }
  if (all) files_.changes.clear();
}

void Columns::step(Store& store, Now now) {
  if (core_ == nullptr) return;
  now_ = now;
  wall_ms_ = std::max(wall_ms_, now.wall_ms);
  if (events_.size() > batches_max) deliver(events_.size());
  switch (random_.below(32)) {
    case 0:
      return deliver(events_.size());
    case 1:
      return deliver(random_.below(5));
    case 2:
    case 3:
      if (set_->loading()) set_->load(store, random_.between(1, 20), wall_ms_);
      return;
    case 4:
      return hear();
    case 5:
      return random_.one_in(4) ? keep() : void();
    case 6:
      return set_->expire(wall_ms_);
    default:
      return;
  }
}

void Columns::settle(Store& store) {
  while (!events_.empty() || !marks_.empty() || set_->loading()) {
    deliver(events_.size());
    if (set_->loading()) set_->load(store, 1000, wall_ms_);
    hear();
  }
  set_->expire(wall_ms_);
}

void Columns::check(Store& store, Now now, const std::string& where, Totals& totals) {
  if (core_ == nullptr) return;
  now_ = now;
  wall_ms_ = std::max(wall_ms_, now.wall_ms);
  settle(store);
  for (const auto& [name, text] : tables_) {
    auto table = feed_->table(name);
    for (uint32_t id = shard_; id < options_.partitions; id += options_.shards)
      compare(store, *table, PartitionId{id}, where);
  }
  totals.add("columns compared with stored objects");
  if (set_->counts().restored_total > 0) totals.add("sometimes: columns were restored and compared");
}

void Columns::compare(Store& store, const server::ColumnTable& table, PartitionId partition,
                      const std::string& where) {
  const std::string what = "the columns of table " + table.name() + ", partition " +
                           std::to_string(partition.value) + " at " + where;
  const ColumnPart* part = set_->find(table.name(), table.definition(), partition);
  require(part != nullptr, what + " are not there");
  require(part->state() == ColumnPart::State::whole, what + " are not whole: " + part->why());
  const Rows rows = rows_of(*part);
  const Rows stored = scanned(store, table, partition, wall_ms_);
  if (rows == stored) return;
  for (const auto& [key, row] : stored) {
    auto found = rows.find(key);
    require(found != rows.end(), what + " lack key " + key);
    require(found->second == row, what + " hold something else for key " + key + ":" + shown(found->second) +
                                      ", and stored is" + shown(row));
  }
  fail(what + " hold a key that is not stored");
}

}  // namespace covey::sim
