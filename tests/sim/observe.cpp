// What each step changed, told to the oracle.
#include <bit>

#include "replication/partition.h"
#include "replication/typed.h"
#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

DotSet minus(const DotSet& a, const DotSet& b) {
  DotSet out = a;
  out.subtract(b);
  return out;
}

std::optional<Object> decoded(const std::optional<std::string>& bytes) {
  if (!bytes) return Object{};
  return decode_object(*bytes);
}

const Version* version_of(const Object& object, Dot dot) {
  for (const Version& version : object.versions) {
    if (version.dot == dot) return &version;
  }
  return nullptr;
}

}  // namespace

// The content type of each simulated write names its operation.
const ClientOperation* World::tagged(const std::string& content_type) const {
  if (!content_type.starts_with("op/") || content_type.size() > 12) return nullptr;
  size_t number = 0;
  for (char c : content_type.substr(3)) {
    if (c < '0' || c > '9') return nullptr;
    number = number * 10 + static_cast<size_t>(c - '0');
  }
  return number < operations_.size() ? &operations_[number] : nullptr;
}

void World::observe(Machine& machine, ShardState& shard) {
  auto changes = shard.watched->take_changes();
  // Where a log is cut at its size limit, what leaves it is not collected.
  const uint64_t cuts = shard.core->stats().log_cuts;
  const bool was_cut = cuts != std::exchange(shard.log_cuts, cuts);
  std::set<std::pair<PartitionId, TableKey>> concerned;
  for (const auto& change : changes) {
    for (const TableKey& key : observe_change(machine, shard, change))
      concerned.insert({PartitionId{change.partition}, key});
    for (const auto& object_change : change.objects) {
      auto key = decode_object_key(object_change.key);
      require(key.has_value(), "an object's storage key can't be read");
      concerned.insert({PartitionId{change.partition}, std::move(*key)});
    }
    if (!was_cut) observe_collected(machine, change);
  }
  for (const auto& [partition, key] : concerned) {
    auto stored = shard.disk->store().get(Column::objects, object_key(partition, key.table, key.key));
    if (!stored && machine.rotten) continue;
    require(stored.ok(), "an object can't be read");
    auto object = decoded(*stored);
    require(object.has_value(), "a stored object can't be decoded");
    oracle_.check_object(machine.index, key, *object, shard.clocks[partition.value]);
  }
}

// A dot leaves the log when every owner has told that it has it.
void World::observe_collected(Machine& machine, const WatchedStore::Change& change) {
  const PartitionId partition{change.partition};
  for (const auto& bytes : change.unlogged) {
    const auto logged = decode_dot_key(bytes);
    require(logged.has_value(), "a dot's storage key can't be read");
    const Event* event = oracle_.find(partition, logged->dot);
    if (event == nullptr || event->voided || oracle_.may_see_others(machine.index, partition)) continue;
    const NodeMask had = setup_.durability == Durability::none ? event->held : event->durable;
    require(
        (oracle_.owners(partition) & ~had) == 0,
        machine.id.name + " took a dot out of its log that not all owners had: " + oracle_.describe(*event));
  }
}

std::set<TableKey> World::observe_change(Machine& machine, ShardState& shard,
                                         const WatchedStore::Change& change) {
  std::set<TableKey> learned;
  oracle_.next_batch();
  PartitionId partition{change.partition};
  require(change.partition < setup_.partitions, "a write to a partition that does not exist");
  auto record = decode_partition(partition, change.record);
  require(record.has_value(), "a stored partition record can't be decoded");
  DotSet& known = shard.clocks[partition.value];
  DotSet fresh = minus(record->clock, known);
  DotSet lost = minus(known, record->clock);
  if (!lost.empty()) {
    oracle_.dropped(machine.index, partition, lost);
    // What was not synced before it was dropped will not be there after the sync.
    std::erase_if(shard.pending, [&](const ShardState::Pending& pending) {
      const Event& event = oracle_.event(pending.event);
      return event.partition == partition && lost.contains(event.dot);
    });
  }
  DotSet before = std::exchange(known, record->clock);
  Dot last_minted{record->minted_actor, {record->minted}};
  Dot earlier = std::exchange(shard.minted[partition.value], last_minted);
  uint64_t minted_before = earlier.actor == last_minted.actor ? earlier.counter.value : 0;
  for (const auto& entry : fresh.entries()) {
    for (const auto& run : DotSet::runs_of(entry)) {
      for (uint64_t counter = run.first; counter <= run.last; ++counter) {
        Dot dot{entry.actor, {counter}};
        Event* event = oracle_.find(partition, dot);
        bool minted_now = earlier != last_minted && dot.actor == last_minted.actor &&
                          counter > minted_before && counter <= last_minted.counter.value;
        if (minted_now && (event == nullptr || dot == last_minted))
          event = attribute(machine, partition, dot, change, before);
        if (event == nullptr) {
          oracle_.claimed_without_write(partition, dot);
          totals.add("sometimes: a hole without a write was closed");
          continue;
        }
        // A pass that takes its time may have been synced while it lasted.
        const bool on_disk = change.lsn <= shard.disk->synced();
        oracle_.learned(machine.index, *event, on_disk);
        learned.insert(event->key);
        if (!on_disk) shard.pending.push_back({change.lsn, event->id});
      }
    }
  }
  if (record->voids.empty() || record->voids == shard.voids[partition.value]) return learned;
  oracle_.voided(partition, record->voids, running_actors());
  shard.voids[partition.value] = record->voids;
  return learned;
}

// Which operation a new dot belongs to, or that it removes an expired value, or that an object is written
// once more because closed dots are in its context. nullptr: such an object, of which no other owner has to
// hear.
Event* World::attribute(Machine& machine, PartitionId partition, Dot dot, const WatchedStore::Change& change,
                        const DotSet& known) {
  std::optional<TableKey> key;
  const Version* version = nullptr;
  std::vector<Object> objects;
  objects.reserve(change.objects.size());
  const WatchedStore::ObjectChange* changed = nullptr;
  for (const auto& one : change.objects) {
    auto object = decoded(one.after);
    require(object.has_value(), "a stored object can't be decoded");
    objects.push_back(std::move(*object));
    if (const Version* found = version_of(objects.back(), dot)) {
      version = found;
      changed = &one;
    }
  }
  if (changed != nullptr) key = decode_object_key(changed->key);
  for (const auto& [logged, value] : change.logged) {
    if (!key && logged == dot_key(partition, dot)) key = decode_dot_value(value);
  }
  if (!key && change.objects.size() == 1) key = decode_object_key(change.objects[0].key);
  ShardState& shard = machine.shards[partition.value % machine.shards.size()];
  if (!key && shard.staged.size() == 1) key = shard.staged.begin()->first;
  const ClientOperation* operation = nullptr;
  if (version != nullptr) {
    operation = tagged(version->content_type);
  } else if (key && shard.staged.contains(*key)) {
    operation = shard.staged.at(*key).operation;
  }
  if (!key && operation == nullptr && std::popcount(oracle_.owners(partition)) == 1) return nullptr;
  require(key.has_value(), machine.id.name + " gave a dot for no key");
  std::optional<Object> stored;  // if it did change
  std::vector<Version> removed;
  Object before_it;
  for (size_t i = 0; i < change.objects.size(); ++i) {
    if (decode_object_key(change.objects[i].key) != key) continue;
    auto before = decoded(change.objects[i].before);
    require(before.has_value(), "a stored object can't be decoded");
    for (const Version& one : before->versions) {
      if (version_of(objects[i], one.dot) == nullptr) removed.push_back(one);
    }
    before_it = *before;
    stored = objects[i];
    stored->context.join(before->context);
  }
  // A change is known by what waits for its key; the versions that it only gives another expiry are of
  // others.
  uint64_t wall_ms = now(machine).wall_ms;
  if (auto staged = key ? shard.staged.find(*key) : shard.staged.end(); staged != shard.staged.end()) {
    wall_ms = staged->second.wall_ms;
    const ClientOperation* one = staged->second.operation;
    if (one != nullptr && one->request.operation == Operation::change) operation = one;
  }
  if (operation != nullptr && operation->request.table == key->table && operation->request.key == key->key) {
    const bool changes = operation->request.operation == Operation::change;
    const bool put = changes ? version != nullptr : operation->request.operation == Operation::put;
    Event& event = oracle_.minted({machine.index, machine.run}, dot, *key,
                                  put ? Event::Kind::put : Event::Kind::erase, operation);
    if (changes) {
      oracle_.changed(event, {operation->request, partition, before_it, removed, wall_ms}, version);
      totals.add("sometimes: a counter, a set or a hash was changed");
    }
    if (version != nullptr) oracle_.saw_version(event, *version);
    if (operation->request.conflicts == Conflicts::last_write_wins) {
      for (const Version& one : removed) oracle_.also_overwrites(event, one.dot);
    }
    return &event;
  }
  require(version == nullptr, machine.id.name + " made a version that no client asked for, key " + key->key);
  // What is written once more for closed dots may have lost values in the same batch, by what came with them.
  const auto record = decode_partition(partition, change.record);
  const bool closes = record->voids != shard.voids[partition.value];
  Event::Kind kind = removed.empty() || closes ? Event::Kind::touch : Event::Kind::expiry;
  Event& event = oracle_.minted({machine.index, machine.run}, dot, *key, kind, nullptr);
  if (kind == Event::Kind::touch) {
    if (!stored) {
      auto bytes = shard.disk->store().get(Column::objects, object_key(partition, key->table, key->key));
      require(bytes.ok(), "a store can't be read");
      stored = decoded(*bytes);
    }
    require(stored.has_value(), "a stored object can't be decoded");
    DotSet context = known;
    context.join(stored->context);
    oracle_.touched(event, context, *stored);
    totals.add("sometimes: an object was written once more for closed dots");
    return &event;
  }
  const uint64_t of_key = key_expiry(before_it);
  for (const Version& one : removed) {
    const uint64_t expires_ms = one.expires_ms == 0 && one.time.ms() < of_key ? of_key : one.expires_ms;
    require(expired(expires_ms, wall_ms),
            machine.id.name + " removed a value that had not expired, key " + key->key);
    oracle_.also_overwrites(event, one.dot);
  }
  totals.add("sometimes: an expired value was removed");
  return &event;
}

std::set<Actor> World::running_actors() const {
  std::set<Actor> actors;
  for (const Machine& machine : machines_) {
    for (const ShardState& shard : machine.shards) {
      if (shard.core) actors.insert(shard.core->actor());
    }
  }
  return actors;
}

// After a start the disk says what is left.
void World::look_again(Machine& machine) {
  for (ShardState& shard : machine.shards) {
    shard.pending.clear();
    for (auto& voids : shard.voids) voids.clear();
    for (auto& clock : shard.clocks) clock.clear();
    for (uint32_t p = 0; p < setup_.partitions; ++p) {
      shard.minted[p] = {};
      auto bytes = shard.disk->store().get(Column::partitions, partition_key(PartitionId{p}));
      if (!bytes || !*bytes) continue;
      auto record = decode_partition(PartitionId{p}, **bytes);
      require(record.has_value(), "a stored partition record can't be decoded");
      shard.minted[p] = {record->minted_actor, {record->minted}};
    }
    for (const PartitionView& view : shard.core->partitions(now(machine)))
      shard.clocks[view.partition.value] = view.clock;
  }
  auto there = [&](const Event& event) {
    const ShardState& shard = machine.shards[event.partition.value % machine.shards.size()];
    return shard.clocks[event.partition.value].contains(event.dot);
  };
  if (machine.history == DiskHistory::kept)
    oracle_.restarted(machine.index, there);
  else
    oracle_.disk_lost(machine.index, machine.history == DiskHistory::wiped, there);
  machine.history = DiskHistory::kept;
  for (size_t id = 0; id < oracle_.events().size(); ++id) {
    Event& event = oracle_.event(id);
    if (there(event)) oracle_.found(machine.index, event);
  }
}

uint64_t World::received(const Machine& machine) const {
  uint64_t objects = 0;
  for (const ShardState& shard : machine.shards)
    objects += shard.core ? shard.core->stats().repair_objects_received : 0;
  return objects;
}

void World::count_stats(const Core& core) {
  const CoreStats& stats = core.stats();
  totals.add("sometimes: a read repaired a replica", stats.read_repairs);
  totals.add("sometimes: a write was forwarded", stats.forwarded);
  totals.add("sometimes: a forwarded write was given up with its connection", stats.forwards_lost);
  totals.add("sometimes: a request gave up waiting for a node that had ended", stats.replicas_given_up);
  totals.add("sometimes: a write that had not left went to another owner", stats.forwards_moved);
  totals.add("sometimes: a whole transfer began", stats.repairs_started);
  totals.add("sometimes: a stand-in had no room", stats.stand_ins_refused);
  totals.add("sometimes: an interrupted transfer went on", stats.repairs_resumed);
  totals.add("sometimes: a copy was filled at once", stats.copies_filled);
  totals.add("sometimes: a whole transfer ended", stats.repairs_finished);
  totals.add("sometimes: copies were compared object by object", stats.copies_compared);
  totals.add("objects repaired after such a comparison", stats.objects_repaired);
  totals.add("sometimes: a log was cut", stats.log_cuts);
  totals.add("sometimes: a stand-in wrote", stats.stand_in_writes);
  totals.add("sometimes: a stand-in handed over and dropped", stats.stand_in_drops);
  totals.add("sometimes: a hole was closed", stats.voided_dots);
  totals.add("sometimes: a message of an ended life was dropped", stats.stale_messages_dropped);
  totals.add("sometimes: a malformed message was dropped", stats.malformed_messages_dropped);
  totals.add("sometimes: unavailable was answered", stats.unavailable);
  totals.add("sometimes: a time limit passed", stats.timeouts);
  totals.add("sometimes: there was no room for a request or its answer", stats.busy_replicas);
  totals.add("sometimes: gossip sent objects", stats.gossip_objects_sent);
  totals.add("sometimes: a member was asked to ping another", stats.indirect_probes);
  totals.add("sometimes: a member was suspected", stats.suspicions);
  totals.add("sometimes: a suspicion was refuted", stats.refutations);
  totals.add("sometimes: a member was taken for dead", stats.deaths);
  totals.add("state hash alarms", stats.state_hash_alarms);
}

}  // namespace covey::sim
