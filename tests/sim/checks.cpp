// The invariants of all replicas, from full scans of their stores.
#include "replication/codec.h"
#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

constexpr uint64_t expiry_ahead_ms = 10'000;

struct StoredObject {
  TableKey key;
  Object object;
};

std::vector<std::pair<std::string, std::string>> scan(Store& store, Column column, PartitionId partition) {
  std::vector<std::pair<std::string, std::string>> rows;
  std::string lower = partition_key(partition);
  auto cursor = store.cursor(column, lower, after_prefix(lower));
  for (; cursor->valid(); cursor->next()) rows.emplace_back(cursor->key(), cursor->value());
  require(!cursor->error(), "a store's cursor failed");
  return rows;
}

std::vector<StoredObject> objects_of(Store& store, PartitionId partition) {
  std::vector<StoredObject> out;
  for (const auto& [key, value] : scan(store, Column::objects, partition)) {
    auto decoded_key = decode_object_key(key);
    auto object = decode_object(value);
    require(decoded_key && object, "a stored object can't be decoded");
    out.push_back({std::move(*decoded_key), std::move(*object)});
  }
  return out;
}

}  // namespace

void World::note_state() {
  auto text = [](const DotSet& set) {
    std::string out;
    for (const auto& entry : set.entries()) {
      char actor[24];
      std::snprintf(actor, sizeof actor, " %llx:", static_cast<unsigned long long>(entry.actor.value));
      out += actor;
      for (const auto& run : DotSet::runs_of(entry))
        out += std::to_string(run.first) + "-" + std::to_string(run.last) + ",";
    }
    return out;
  };
  for (Machine& machine : machines_) {
    if (!machine.up || (machine.rotten && setup_.rocksdb)) continue;
    for (ShardState& shard : machine.shards) {
      if (!shard.core) continue;  // it failed within a start
      for (const PartitionView& view : shard.core->partitions(now(machine))) {
        if (!view.held) continue;
        note(machine.id.name + " partition " + std::to_string(view.partition.value) +
             (view.owned ? " owner" : " stand-in") + (view.ready ? " ready" : "") + " log " +
             std::to_string(view.log) + " clock" + text(view.clock));
        for (const auto& [key, object] : objects_of(shard.disk->store(), view.partition)) {
          std::string line = "    " + key.table + "/" + key.key + ":";
          for (const Version& version : object.versions)
            line += " " + version.value + " (" + text(DotSet{version.dot}).substr(1) + ")";
          note(line + (object.context.empty() ? "" : ", context" + text(object.context)));
        }
      }
    }
  }
}

void World::check_everything() {
  totals.add("full checks");
  for (Machine& machine : machines_) {
    if (!machine.up || (machine.rotten && setup_.rocksdb)) continue;
    for (ShardState& shard : machine.shards) {
      // In the middle of a pass: the oracle has not heard yet of what is stored.
      if (shard.watched->has_changes()) continue;
      for (const PartitionView& view : shard.core->partitions(now(machine))) check_copy(machine, shard, view);
    }
  }
  check_pairs();
  check_algebra();
}

void World::check_columns() {
  for (Machine& machine : machines_) {
    if (!machine.up || machine.rotten) continue;
    for (ShardState& shard : machine.shards) {
      if (!shard.disk->has_ended())
        shard.columns->check(shard.disk->store(), now(machine), machine.id.name, totals);
    }
  }
}

// The copy against its own counts and hash (I4), the versions against the clock (I2), the clock against what
// was written (I1).
void World::check_copy(Machine& machine, ShardState& shard, const PartitionView& view) {
  std::string where = machine.id.name + ", partition " + std::to_string(view.partition.value);
  uint64_t hash = 0, bytes = 0, with_versions = 0, with_context = 0;
  std::set<TableKey> present;
  for (const auto& [key, object] : objects_of(shard.disk->store(), view.partition)) {
    hash += object_hash(key, object);
    bytes += content_bytes(key, object);
    with_versions += !object.versions.empty();
    with_context += !object.context.empty();
    require(!object.versions.empty() || !object.context.empty(),
            "an object of nothing is stored at " + where);
    present.insert(key);
    oracle_.check_object(machine.index, key, object, view.clock);
  }
  for (const TableKey& key : oracle_.keys()) {
    if (present.contains(key) || partition_of(key.table, key.key, setup_.partitions) != view.partition)
      continue;
    oracle_.check_object(machine.index, key, {}, view.clock);
  }
  require(hash == view.state_hash, "I4: the state hash is not that of the stored objects at " + where);
  require(bytes == view.bytes, "the bytes of objects are wrong at " + where);
  require(with_versions == view.objects, "I4: the count of objects is wrong at " + where);
  require(with_context == view.residual, "the count of residual contexts is wrong at " + where);
  require(scan(shard.disk->store(), Column::residual, view.partition).size() == view.residual,
          "the index of residual contexts is wrong at " + where);
  require(scan(shard.disk->store(), Column::dots, view.partition).size() == view.log,
          "the count of the dot log is wrong at " + where);
}

// I4: equal clocks, nothing residual, so equal objects.
void World::check_pairs() {
  for (uint32_t p = 0; p < setup_.partitions; ++p) {
    std::optional<PartitionView> first;
    for (Machine& machine : machines_) {
      if (!machine.up) continue;
      ShardState& shard = machine.shards[p % machine.shards.size()];
      PartitionView view = shard.core->partition(now(machine), PartitionId{p});
      if (!view.held || view.residual > 0) continue;
      if (!first) {
        first = std::move(view);
      } else if (first->clock == view.clock) {
        require(first->state_hash == view.state_hash && first->objects == view.objects,
                "I4: equal clocks and unequal objects at " + machine.id.name + ", partition " +
                    std::to_string(p));
        totals.add("pairs of equal replicas compared");
      }
    }
  }
}

// Merge of live states is commutative, associative and idempotent.
void World::check_algebra() {
  auto keys = oracle_.keys();
  if (keys.empty()) return;
  TableKey key = keys[steps_ % keys.size()];
  PartitionId partition = partition_of(key.table, key.key, setup_.partitions);
  std::vector<Object> states;
  for (Machine& machine : machines_) {
    if (!machine.up || machine.rotten || states.size() == 3) continue;
    ShardState& shard = machine.shards[partition.value % machine.shards.size()];
    auto bytes = shard.disk->store().get(Column::objects, object_key(partition, key.table, key.key));
    Object stored;
    if (bytes && *bytes) stored = decode_object(**bytes).value_or(Object{});
    states.push_back(fill(std::move(stored), shard.clocks[partition.value]));
  }
  for (size_t i = 0; i < states.size(); ++i) {
    const Object& a = states[i];
    const Object& b = states[(i + 1) % states.size()];
    const Object& c = states[(i + 2) % states.size()];
    require(merge(a, a) == a, "merge is not idempotent, key " + key.key);
    require(merge(a, b) == merge(b, a), "merge is not commutative, key " + key.key);
    require(merge(merge(a, b), c) == merge(a, merge(b, c)), "merge is not associative, key " + key.key);
  }
}

// Where only disks that were put back knew that a node was removed, nobody knows of it any more, and for all
// they know it may come and tell its dots: contexts that name those stay, and so do holes among them in
// clocks. This is what else there is in one: of each actor all dots up to the highest.
DotSet World::to_be_settled(Machine& machine, const DotSet& dots) {
  const auto known = machine.shards[0].core->members(now(machine));
  DotSet out;
  for (const auto& entry : dots.entries()) {
    const bool forgotten = std::any_of(machines_.begin(), machines_.end(), [&](const Machine& other) {
      return other.gone && node_tag(other.id.name) == entry.actor.value >> 40 &&
             std::none_of(known.begin(), known.end(),
                          [&](const MemberView& view) { return view.member.node == other.id; });
    });
    if (!forgotten) out.add(entry.actor, {1, entry.highest()});
  }
  return out;
}

bool World::is_stripped(Machine& machine, ShardState& shard, PartitionId partition) {
  Store& store = shard.disk->store();
  const std::string prefix = partition_key(partition);
  for (auto cursor = store.cursor(Column::residual, prefix, after_prefix(prefix)); cursor->valid();
       cursor->next()) {
    auto bytes = store.get(Column::objects, cursor->key());
    require(bytes && *bytes, "an entry of the residual index has no object");
    auto object = decode_object(**bytes);
    require(object.has_value(), "a stored object can't be decoded");
    if (!to_be_settled(machine, object->context).empty()) return false;
  }
  return true;
}

// What is not yet as it is when all is quiet. nullopt: nothing.
std::optional<std::string> World::not_converged() {
  for (Machine& machine : machines_) {
    if (!in_cluster(machine)) continue;
    if (machine.standing == Standing::leaving) return machine.id.name + " has not left yet";
    if (!machine.up) return machine.id.name + " is down";
    if (machine.rotten) return machine.id.name + " has a damaged disk";
    for (ShardState& shard : machine.shards) {
      if (!shard.core->quiet()) return machine.id.name + " is busy";
    }
  }
  if (auto wrong = misjudged(std::vector<bool>(machines_.size(), true))) return wrong;
  for (uint32_t p = 0; p < setup_.partitions; ++p) {
    std::optional<PartitionView> first;
    for (Machine& machine : machines_) {
      if (!in_cluster(machine)) continue;
      ShardState& shard = machine.shards[p % machine.shards.size()];
      PartitionView view = shard.core->partition(now(machine), PartitionId{p});
      std::string where = " at " + machine.id.name + ", partition " + std::to_string(p);
      bool owner = oracle_.owners(PartitionId{p}) >> machine.index & 1;
      if (view.owned != owner) {
        std::string seen;
        for (const NodeId& node : view.owners) seen += " " + node.name;
        for (const NodeId& node : view.filling) seen += " (fills " + node.name + ")";
        return "owners are not agreed on" + where + ", which sees" + seen;
      }
      if (!owner) {
        if (view.held || !view.clock.empty()) return "a stand-in still holds a copy" + where;
        continue;
      }
      if (!view.ready && view.held) return "a replica is not ready" + where;
      if (view.residual > 0 && !is_stripped(machine, shard, PartitionId{p}))
        return "contexts are not stripped (" + std::to_string(view.residual) + ")" + where;
      if (view.log > 0) return "the dot log is not empty (" + std::to_string(view.log) + ")" + where;
      if (view.clock.has_gaps() && !view.clock.contains(to_be_settled(machine, view.clock)))
        return "the clock has holes" + where;
      if (!view.diverged.empty()) return "an owner is thought to differ" + where;
      if (!first)
        first = view;
      else if (first->clock != view.clock)
        return "owners' clocks differ" + where;
      else if (first->state_hash != view.state_hash)
        return "owners' objects differ" + where;
      if (auto left = leftovers(machine, shard)) return *left + where;
    }
  }
  return std::nullopt;
}

// Expired values are removed by somebody, in the end; those that expire soon would disturb the quiet.
std::optional<std::string> World::leftovers(Machine& machine, ShardState& shard) {
  auto cursor = shard.disk->store().cursor(Column::expiry, "", "");
  for (; cursor->valid(); cursor->next()) {
    auto key = decode_expiry_key(cursor->key());
    require(key.has_value(), "an expiry entry can't be decoded");
    if (key->expires_ms <= now(machine).wall_ms + expiry_ahead_ms)
      return "a value is to expire and be removed";
  }
  return std::nullopt;
}

void World::check_final_state() {
  check_everything();
  check_columns();
  for (const TableKey& key : oracle_.keys()) {
    PartitionId partition = partition_of(key.table, key.key, setup_.partitions);
    std::optional<Object> first;
    for (Machine& machine : machines_) {
      if (!in_cluster(machine)) continue;
      ShardState& shard = machine.shards[partition.value % machine.shards.size()];
      auto bytes = shard.disk->store().get(Column::objects, object_key(partition, key.table, key.key));
      require(bytes.ok(), "a store can't be read");
      bool owner = oracle_.owners(partition) >> machine.index & 1;
      if (!owner) {
        require(!*bytes, "I7: " + machine.id.name + " does not own " + key.key + " and still stores it");
        continue;
      }
      Object object = *bytes ? decode_object(**bytes).value_or(Object{}) : Object{};
      const bool stays = !object.context.empty() && to_be_settled(machine, object.context).empty();
      if (stays) object.context.clear();
      require(!*bytes || stays || !object.versions.empty(),
              "I7: the deleted key " + key.key + " occupies bytes at " + machine.id.name);
      require(object.context.empty(), "I7: a context is left, key " + key.key + " at " + machine.id.name);
      if (!first) first = object;
      require(*first == object, "I4: owners hold different objects, key " + key.key);
    }
    oracle_.check_final(key, *first, totals);
  }
}

}  // namespace covey::sim
