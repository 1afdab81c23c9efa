#include "server/column_set.h"

#include <algorithm>
#include <array>

#include "replication/codec.h"
#include "replication/typed.h"

namespace covey::server {
namespace {

constexpr size_t batch_rows_max = 4096;
constexpr size_t restored_costs_rows = 2000;  // what else is done in a turn that reads a checkpoint
constexpr size_t events_ahead = 16;
// Of a part that waits for what was kept of it; with more it is read from all objects.
constexpr size_t stale_keys_max = 1'000'000;
constexpr size_t evicted_stale_keys_max = 2'000;  // likewise, while it is asked for by nobody

const RowState* last_of(const std::vector<RowState>& versions) {
  return versions.empty() ? nullptr : &versions.back();
}

}  // namespace

uint64_t ColumnEvent::bytes() const {
  uint64_t sum = sizeof(ColumnEvent) + key.capacity();
  for (const RowState& version : versions) {
    sum += sizeof version + version.values.size() * sizeof(agg::Value);
    for (const agg::Value& value : version.values) {
      if (const auto* text = std::get_if<std::string>(&value)) sum += text->size();
    }
  }
  return sum;
}

ColumnPart::ColumnPart(agg::Schema schema, agg::ColumnStore::Dictionaries dictionaries)
    : columns_(std::move(schema), {}, std::move(dictionaries)) {}

ColumnSet::ColumnSet(ColumnSetOptions options, std::function<void(uint32_t, uint64_t)> loaded,
                     ColumnHistory* history)
    : options_(options), loaded_(std::move(loaded)), history_(history) {}
ColumnSet::~ColumnSet() = default;

void ColumnSet::apply(uint32_t shard, std::vector<ColumnEvent>& events, uint64_t wall_ms) {
  now_ms_ = wall_ms;
  for (size_t i = 0; i < events.size(); ++i) {
    if (i % events_ahead == 0) look_ahead(std::span(events).subspan(i));
    apply_one(shard, events[i], wall_ms);
  }
  flush();
}

// Each row's key is somewhere else in memory.
void ColumnSet::look_ahead(std::span<const ColumnEvent> events) const {
  std::array<std::pair<const KeyIndex*, uint32_t>, events_ahead> searches;
  size_t count = 0;
  for (const ColumnEvent& event : events.first(std::min(events.size(), events_ahead))) {
    if (event.kind != ColumnEvent::Kind::row) continue;
    const ColumnPart* part = find(event.table->name(), event.table->definition(), event.partition);
    if (part == nullptr) continue;
    searches[count++] = {&part->keys_, KeyIndex::hash_of(event.key)};
  }
  for (size_t i = 0; i < count; ++i) searches[i].first->prefetch_place(searches[i].second);
  for (size_t i = 0; i < count; ++i) searches[i].first->prefetch_key(searches[i].second);
}

void ColumnSet::apply_one(uint32_t shard, ColumnEvent& event, uint64_t wall_ms) {
  switch (event.kind) {
    case ColumnEvent::Kind::row: {
      states_[event.partition] = event.number;
      ColumnPart* part = find(*event.table, event.partition);
      if (part == nullptr || part->state_ == ColumnPart::State::failed) return;
      if (part->from_ == ColumnPart::From::waits) {
        part->stale_.insert(std::move(event.key));
        const bool evicted = part->state_ == ColumnPart::State::evicted;
        if (part->stale_.size() > (evicted ? evicted_stale_keys_max : stale_keys_max))
          read_from_objects(*part);
        return;
      }
      if (part->state_ == ColumnPart::State::evicted) return;
      return set_row(*event.table, *part, event.key, std::move(event.versions), wall_ms);
    }
    case ColumnEvent::Kind::reached:
      states_[event.partition] = event.number;
      return;
    case ColumnEvent::Kind::dropped:
      states_[event.partition] = 0;
      return drop(event.partition);
    case ColumnEvent::Kind::refilled:
      states_[event.partition] = event.number;
      return refill(shard, event.partition);
    case ColumnEvent::Kind::defined:
      return define(shard, event.table, event.states);
    case ColumnEvent::Kind::gone:
      return remove(shard, event.table->name());
    case ColumnEvent::Kind::mark:
      take_states(event.states);
      return mark(event.number);
  }
}

const ColumnPart* ColumnSet::find(const std::string& name, const std::string& definition,
                                  PartitionId partition) const {
  auto table = tables_.find({name, definition});
  if (table == tables_.end()) return nullptr;
  auto part = table->second.parts.find(partition);
  return part == table->second.parts.end() ? nullptr : &part->second;
}

ColumnPart* ColumnSet::find(const ColumnTable& table, PartitionId partition) {
  return const_cast<ColumnPart*>(std::as_const(*this).find(table.name(), table.definition(), partition));
}

void ColumnSet::take_states(const std::shared_ptr<const PartitionStates>& states) {
  if (states == nullptr) return;
  for (const auto& [partition, state] : *states) states_[partition] = state;
}

void ColumnSet::define(uint32_t shard, const std::shared_ptr<const ColumnTable>& columns,
                       const std::shared_ptr<const PartitionStates>& states) {
  flush();
  take_states(states);
  const Table before = make_table(columns).without_parts();
  auto kept = take_parts(shard, *columns, before.dictionaries);
  remove(shard, columns->name());  // and the table itself, if no other shard has parts of it
  Table& made = make_table(columns);
  if (made.parts.empty()) made = before.without_parts();
  made.parts.merge(kept);
  for (uint32_t id = shard; id < options_.partitions; id += options_.shards) {
    auto [part, is_new] = made.parts.try_emplace(PartitionId{id}, columns->schema(), made.dictionaries);
    if (!is_new || history_ == nullptr || states == nullptr) continue;
    auto state = states->find(PartitionId{id});
    part->second.begun_at_ = state == states->end() ? 0 : state->second;
    part->second.from_ = ColumnPart::From::waits;
  }
  start_load(shard, made);
}

ColumnSet::Table& ColumnSet::make_table(const std::shared_ptr<const ColumnTable>& columns) {
  auto [at, is_new] = tables_.try_emplace({columns->name(), columns->definition()});
  Table& table = at->second;
  if (!is_new) return table;
  table.columns = columns;
  const auto& specs = columns->schema().columns;
  table.columns_asked.resize(specs.size());
  table.dictionaries.resize(specs.size());
  // A column has one dictionary under all definitions of its table.
  for (const auto& [name, other] : tables_) {
    if (name.first != columns->name() || &other == &table) continue;
    const auto places = columns->places_in(*other.columns);
    if (!places) continue;
    table.asked = std::max(table.asked, other.asked);
    for (size_t i = 0; i < specs.size(); ++i) {
      if ((*places)[i] == agg::kNewColumn) continue;
      table.dictionaries[i] = other.dictionaries[(*places)[i]];
      table.columns_asked[i] = other.columns_asked[(*places)[i]];
    }
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].type == agg::ColumnType::kString && !table.dictionaries[i])
      table.dictionaries[i] = std::make_shared<agg::Dictionary>();
  }
  return table;
}

// The shard's whole parts of other definitions of the table that have columns of this one, as parts of it.
std::map<PartitionId, ColumnPart> ColumnSet::take_parts(uint32_t shard, const ColumnTable& table,
                                                        const agg::ColumnStore::Dictionaries& dictionaries) {
  std::map<PartitionId, ColumnPart> out;
  for (auto& [name, other] : tables_) {
    if (name.first != table.name()) continue;
    const auto places = table.places_in(*other.columns);
    if (!places) continue;
    // All parts of a table have the same codes for strings.
    bool same_codes = true;
    for (size_t i = 0; i < places->size(); ++i) {
      const uint32_t place = (*places)[i];
      same_codes = same_codes && (place == agg::kNewColumn || other.dictionaries[place] == dictionaries[i]);
    }
    if (!same_codes) continue;
    for (auto at = other.parts.begin(); at != other.parts.end();) {
      auto next = std::next(at);
      ColumnPart& part = at->second;
      if (at->first.value % options_.shards == shard && part.state_ == ColumnPart::State::whole) {
        rearrange(part, table, *places, dictionaries);
        out.insert(other.parts.extract(at));
      }
      at = next;
    }
  }
  return out;
}

void ColumnSet::rearrange(ColumnPart& part, const ColumnTable& table, const std::vector<uint32_t>& places,
                          const agg::ColumnStore::Dictionaries& dictionaries) {
  forgotten_.push_back(part.columns_.id());
  part.columns_.rearrange(table.schema(), places, dictionaries);
  for (auto& [slot, versions] : part.expiring_) {
    for (RowState& version : versions) {
      std::vector<agg::Value> values(places.size());
      for (size_t i = 0; i < places.size(); ++i) {
        if (places[i] != agg::kNewColumn) values[i] = std::move(version.values[places[i]]);
      }
      version.values = std::move(values);
    }
  }
  part.filling_ = false;
  for (uint32_t i = 0; i < places.size(); ++i)
    part.filling_ = part.filling_ || part.columns_.state(i) == agg::ColumnState::kFilling;
  part.kept_.reset();
  part.from_ = ColumnPart::From::objects;
  count_bytes(part);
}

void ColumnSet::remove(uint32_t shard, const std::string& name) {
  flush();
  for (auto at = tables_.lower_bound({name, ""}); at != tables_.end() && at->first.first == name;) {
    auto& parts = at->second.parts;
    for (auto part = parts.begin(); part != parts.end();) {
      const bool leaves = part->first.value % options_.shards == shard;
      if (leaves) reset(part->second);
      part = leaves ? parts.erase(part) : std::next(part);
    }
    at = parts.empty() ? tables_.erase(at) : std::next(at);
  }
  std::erase_if(loads_, [&](const Load& load) { return load.shard == shard && load.table.first == name; });
}

void ColumnSet::start_load(uint32_t shard, Table& table, bool at_once) {
  Load load{
      next_number(), {table.columns->name(), table.columns->definition()}, shard, PartitionId{shard}, ""};
  for (auto& [id, part] : table.parts) {
    if (id.value % options_.shards != shard) continue;
    part.load_ = load.number;
  }
  if (at_once) {
    loads_.push_front(std::move(load));
  } else {
    loads_.push_back(std::move(load));
  }
}

void ColumnSet::reload(uint32_t shard) {
  flush();
  std::erase_if(loads_, [&](const Load& load) { return load.shard == shard; });
  std::erase_if(states_, [&](const auto& entry) { return entry.first.value % options_.shards == shard; });
  for (auto& [name, table] : tables_) {
    bool any = false;
    for (auto& [id, part] : table.parts) {
      if (id.value % options_.shards != shard) continue;
      const bool evicted = part.state_ == ColumnPart::State::evicted;
      reset(part);
      if (evicted) part.state_ = ColumnPart::State::evicted;
      any = any || !evicted;
    }
    if (any) start_load(shard, table);
  }
}

// Empty, and being loaded; its memory is given back.
void ColumnSet::reset(ColumnPart& part) {
  std::erase(touched_, &part);
  forgotten_.push_back(part.columns_.id());
  bytes_ -= part.bytes_;
  agg::ColumnStore::Dictionaries dictionaries;
  for (uint32_t i = 0; i < part.columns_.schema().columns.size(); ++i)
    dictionaries.push_back(part.columns_.shared_dictionary(i));
  part = ColumnPart(part.columns_.schema(), dictionaries);
}

void ColumnSet::drop(PartitionId partition) {
  flush();
  for (auto& [name, table] : tables_) {
    auto at = table.parts.find(partition);
    if (at == table.parts.end() || at->second.state_ == ColumnPart::State::failed) continue;
    ColumnPart& part = at->second;
    const auto state = part.state_;
    const uint64_t load = part.load_;
    reset(part);
    part.state_ = state;
    part.load_ = load;
  }
}

// The parts are loaded again from the stored objects.
void ColumnSet::refill(uint32_t shard, PartitionId partition) {
  flush();
  for (auto& [name, table] : tables_) {
    auto at = table.parts.find(partition);
    if (at == table.parts.end()) continue;
    ColumnPart& part = at->second;
    const bool evicted = part.state_ == ColumnPart::State::evicted;
    reset(part);
    if (evicted) {
      part.state_ = ColumnPart::State::evicted;
      continue;
    }
    ++rebuilt_;
    part.load_ = next_number();
    loads_.push_back({part.load_, name, shard, partition, ""});
  }
}

void ColumnSet::mark(uint64_t number) {
  flush();
  bool of_load = false;
  for (auto& [name, table] : tables_) {
    for (auto& [id, part] : table.parts) {
      of_load = of_load || part.load_ == number;
      if (part.load_ == number && part.filling_) {
        for (uint32_t i = 0; i < part.columns_.schema().columns.size(); ++i) {
          if (part.columns_.state(i) == agg::ColumnState::kFilling)
            part.columns_.set_state(i, agg::ColumnState::kWhole);
        }
        part.filling_ = false;
      }
      if (part.load_ != number || part.state_ != ColumnPart::State::loading) continue;
      part.state_ = ColumnPart::State::whole;
      part.from_ = ColumnPart::From::objects;  // what is filled later is read from there
      part.stale_.clear();
    }
  }
  if (!of_load) marks_.push_back(number);
}

void ColumnSet::set_row(const ColumnTable& table, ColumnPart& part, const std::string& key,
                        std::vector<RowState>&& versions, uint64_t wall_ms) {
  std::erase_if(versions, [&](const RowState& version) { return expired(version.expires_ms, wall_ms); });
  const bool looks = versions.empty() || !part.expiring_.empty();
  if (auto old = looks ? part.keys_.find(key) : std::nullopt) {
    if (auto kept = part.expiring_.find(*old); kept != part.expiring_.end()) {
      for (const RowState& version : kept->second) part.due_.erase({version.expires_ms, *old});
      part.expiring_.erase(kept);
    }
    if (versions.empty()) {
      touch(part);
      part.batch_.erase(*old);
      part.keys_.erase(key);
    }
  }
  if (versions.empty()) return;
  auto slot = part.keys_.insert(key);
  if (!slot) return fail(part, "it has more rows than a part can");
  touch(part);
  const bool shows_one = versions.size() == 1 || table.conflicts() == Conflicts::last_write_wins;
  if (shows_one) {
    part.batch_.put(*slot, last_of(versions)->time, last_of(versions)->values);
  } else {
    std::vector<agg::RowVersion> siblings;
    for (const RowState& version : versions) siblings.push_back({version.time, version.values});
    part.batch_.put_siblings(*slot, std::move(siblings));
  }
  bool expires = false;
  for (const RowState& version : versions) {
    if (version.expires_ms == 0) continue;
    part.due_.insert({version.expires_ms, *slot});
    expires = true;
  }
  if (expires) part.expiring_[*slot] = std::move(versions);
  if (part.batch_.size() >= batch_rows_max) flush();
}

void ColumnSet::fill_row(const ColumnTable& table, ColumnPart& part, const std::string& key,
                         std::vector<RowState>&& versions, uint64_t wall_ms) {
  const bool simple = versions.size() == 1 && versions[0].expires_ms == 0;
  if (!simple) return set_row(table, part, key, std::move(versions), wall_ms);
  const agg::Slot slot = *part.keys_.find(key);
  touch(part);
  for (uint32_t i = 0; i < part.columns_.schema().columns.size(); ++i) {
    if (part.columns_.state(i) == agg::ColumnState::kFilling)
      part.batch_.set(slot, i, std::move(versions[0].values[i]));
  }
  if (part.batch_.size() >= batch_rows_max) flush();
}

bool ColumnPart::has(std::span<const uint32_t> columns) const {
  return std::all_of(columns.begin(), columns.end(), [&](uint32_t column) {
    return column >= columns_.time_column() || columns_.state(column) == agg::ColumnState::kWhole;
  });
}

void ColumnSet::touch(ColumnPart& part) {
  if (part.batch_.empty()) touched_.push_back(&part);
}

void ColumnSet::flush() {
  for (ColumnPart* part : std::exchange(touched_, {})) {
    auto done = part->columns_.apply(part->batch_);
    part->batch_.clear();
    if (!done) {
      fail(*part, done.error().message);
      continue;
    }
    count_bytes(*part);
  }
  make_room();
}

void ColumnSet::fail(ColumnPart& part, std::string why) {
  reset(part);
  part.state_ = ColumnPart::State::failed;
  part.why_ = std::move(why);
}

void ColumnSet::load(Store& store, size_t rows, uint64_t wall_ms) {
  now_ms_ = wall_ms;
  while (rows > 0 && !loads_.empty()) {
    Load& load = loads_.front();
    if (load.partition.value < options_.partitions) {
      if (!load_rows(store, load, rows, wall_ms)) continue;
      load.partition.value += options_.shards;
      load.next_key.clear();
      rows -= std::min<size_t>(rows, 1);  // looking costs as well
      continue;
    }
    const auto done = std::make_pair(load.shard, load.number);
    loads_.pop_front();
    loaded_(done.first, done.second);
    if (loads_.empty() && history_ != nullptr) history_->loaded();
  }
  flush();
}

// true: the partition has no more.
bool ColumnSet::load_rows(Store& store, Load& load, size_t& rows, uint64_t wall_ms) {
  auto table = tables_.find(load.table);
  if (table == tables_.end()) return true;
  auto at = table->second.parts.find(load.partition);
  if (at == table->second.parts.end()) return true;
  ColumnPart& part = at->second;
  auto wanted = [&] {
    return part.load_ == load.number && (part.state_ == ColumnPart::State::loading || part.filling_);
  };
  if (!wanted()) return true;
  if (part.from_ == ColumnPart::From::waits) {
    restore(*table->second.columns, load.partition, part);
    rows -= std::min(rows, restored_costs_rows);
    if (!wanted()) return true;
  }
  if (part.from_ == ColumnPart::From::kept)
    return read_stale(store, *table->second.columns, load.partition, part, rows, wall_ms) || !wanted();
  const std::string prefix = object_key(load.partition, load.table.first, "");
  auto cursor = store.cursor(Column::objects, prefix + load.next_key, after_prefix(prefix));
  for (; cursor->valid() && rows > 0 && wanted(); cursor->next(), --rows) {
    std::string key(cursor->key().substr(prefix.size()));
    load.next_key = key + '\0';
    // What is to be loaded may have been told already; what is to be filled, not yet.
    if (part.keys_.find(key).has_value() != part.filling_) continue;
    auto object = decode_object(cursor->value());
    if (!object) {
      fail(part, "a stored object is unreadable");
      return true;
    }
    auto versions = table->second.columns->rows(*object);
    if (part.filling_) {
      fill_row(*table->second.columns, part, key, std::move(versions), wall_ms);
    } else {
      set_row(*table->second.columns, part, key, std::move(versions), wall_ms);
    }
  }
  if (auto error = cursor->error()) {
    fail(part, error->message);
    return true;
  }
  return !cursor->valid() || !wanted();
}

void ColumnSet::expire(uint64_t wall_ms) {
  now_ms_ = wall_ms;
  for (auto& [name, table] : tables_) {
    for (auto& [id, part] : table.parts) {
      while (!part.due_.empty() && part.due_.begin()->first <= wall_ms) {
        const agg::Slot slot = part.due_.begin()->second;
        std::string key = part.keys_.key(slot);
        auto versions = part.expiring_.at(slot);
        set_row(*table.columns, part, key, std::move(versions), wall_ms);
      }
    }
  }
  flush();
}

}  // namespace covey::server
