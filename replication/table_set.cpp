#include "replication/table_set.h"

#include <algorithm>

#include "replication/codec.h"
#include "replication/hash.h"

namespace covey {
namespace {

constexpr std::string_view key_prefix = "table/";
constexpr uint8_t table_format = 1;
constexpr size_t tables_max = 10'000;
constexpr size_t definition_bytes_max = 64 * 1024;
constexpr size_t purged_a_tick = 50;

std::string encode_entry(const Table& table, Hlc time, bool dropped) {
  std::string bytes;
  Writer out(bytes);
  out.u8(table_format);
  out.u64(time.value);
  out.u8(dropped ? 1 : 0);
  out.u8(static_cast<uint8_t>(table.conflicts));
  out.bytes(table.definition);
  return bytes;
}

}  // namespace

Result<Done, StoreError> TableSet::load() {
  auto cursor = shard_.store.cursor(Column::node, key_prefix, after_prefix(std::string(key_prefix)));
  for (; cursor->valid(); cursor->next()) {
    Entry entry;
    entry.table.name = cursor->key().substr(key_prefix.size());
    Reader in(cursor->value());
    uint8_t format = in.u8();
    entry.time.value = in.u64();
    entry.dropped = in.u8() != 0;
    uint8_t conflicts = in.u8();
    entry.table.definition = in.bytes();
    if (format != table_format || !in.done() || conflicts > 1) {
      return StoreError{StoreError::Kind::corruption,
                        "the definition of table " + entry.table.name + " is unreadable"};
    }
    entry.table.conflicts = static_cast<Conflicts>(conflicts);
    std::string name = entry.table.name;
    entries_.insert_or_assign(std::move(name), std::move(entry));
  }
  rehash();
  if (auto error = cursor->error()) return *error;
  return Done{};
}

void TableSet::rehash() {
  hash_ = 0;
  for (const auto& [name, entry] : entries_) {
    hash_ = hash_pair(hash_bytes(name, hash_), entry.time.value);
  }
}

Result<bool, StoreError> TableSet::adopt(Entry entry) {
  auto at = entries_.find(entry.table.name);
  if (at == entries_.end() && entries_.size() >= tables_max) return false;
  if (at != entries_.end() && !(at->second.time < entry.time)) return false;
  StoreBatch batch;
  batch.put(Column::node, std::string(key_prefix) + entry.table.name,
            encode_entry(entry.table, entry.time, entry.dropped));
  auto written = shard_.store.write(batch);
  if (!written) return written.error();
  std::string name = entry.table.name;
  entries_.insert_or_assign(std::move(name), std::move(entry));
  rehash();
  shard_.outbox.tables_changed();
  return true;
}

Result<Done, StoreError> TableSet::put(Now now, const Table& table) {
  auto at = entries_.find(table.name);
  Hlc before = at == entries_.end() ? Hlc{} : at->second.time;
  auto done = adopt({table, shard_.next_time(now, before), false, 0});
  if (!done) return done.error();
  return Done{};
}

Result<Done, StoreError> TableSet::declare(const Table& table) {
  auto done = adopt({table, Hlc{1}, false, 0});
  if (!done) return done.error();
  return Done{};
}

Result<Done, StoreError> TableSet::drop(Now now, const std::string& name) {
  auto at = entries_.find(name);
  if (at == entries_.end()) return Done{};
  auto done = adopt({at->second.table, shard_.next_time(now, at->second.time), true, 0});
  if (!done) return done.error();
  return Done{};
}

void TableSet::tell(const NodeId& peer) {
  auto& message = *shard_.outbox.to(peer).mutable_tables();
  for (const auto& [name, entry] : entries_) {
    auto& table = *message.add_tables();
    table.set_name(name);
    table.set_definition(entry.table.definition);
    table.set_time(entry.time.value);
    table.set_dropped(entry.dropped);
    table.set_conflicts(static_cast<uint32_t>(entry.table.conflicts));
  }
}

void TableSet::receive(Now now, const peer::Tables& message) {
  for (const auto& told : message.tables()) {
    bool sound = is_table_name(told.name()) && told.definition().size() <= definition_bytes_max &&
                 told.conflicts() <= 1;
    if (!sound) {
      ++shard_.stats.malformed_messages_dropped;
      continue;
    }
    shard_.heard_time(now, Hlc{told.time()});
    Table table{told.name(), told.definition(), static_cast<Conflicts>(told.conflicts())};
    auto done = adopt({std::move(table), Hlc{told.time()}, told.dropped(), 0});
    if (!done) shard_.store_failed(done.error());
  }
}

void TableSet::tick(Now now) {
  for (auto& [name, entry] : entries_) {
    if (entry.dropped && entry.purge_next < shard_.options.partitions) purge(now, entry);
  }
}

void TableSet::purge(Now now, Entry& entry) {
  PartitionId id{std::max(entry.purge_next, shard_.options.shard)};
  if (!shard_.mine(id))
    id.value += shard_.options.shards - (id.value - shard_.options.shard) % shard_.options.shards;
  if (id.value >= shard_.options.partitions) {
    entry.purge_next = shard_.options.partitions;
    return;
  }
  Partition& partition = shard_.replica.at(id);
  std::string lower = object_key(id, entry.table.name, "");
  std::vector<std::pair<TableKey, Context>> keys;
  auto cursor = shard_.store.cursor(Column::objects, lower, after_prefix(lower));
  bool more = false;
  for (; cursor->valid() && !more; cursor->next()) {
    auto key = decode_object_key(cursor->key());
    auto object = decode_object(cursor->value());
    if (!key || !object || object->versions.empty()) continue;
    Context covers = fill(std::move(*object), partition.clock).context;
    keys.emplace_back(std::move(*key), std::move(covers));
    more = keys.size() >= purged_a_tick;
  }
  cursor.reset();
  // One owner erases, the others hear of it; if it is away the next one does.
  if (shard_.owns(id)) {
    for (const NodeId& owner : shard_.members.owners(id)) {
      if (!shard_.members.alive(now, owner)) continue;
      if (!shard_.members.is_self(owner)) keys.clear();
      break;
    }
    for (const auto& [key, covers] : keys) coordinator_.erase_own(now, id, key, covers);
  }
  if (!more) entry.purge_next = id.value + 1;
}

std::vector<Table> TableSet::all() const {
  std::vector<Table> out;
  for (const auto& [name, entry] : entries_) {
    if (!entry.dropped) out.push_back(entry.table);
  }
  return out;
}

bool TableSet::purging(const std::string& name) const {
  auto at = entries_.find(name);
  return at != entries_.end() && at->second.dropped && at->second.purge_next < shard_.options.partitions;
}

}  // namespace covey
