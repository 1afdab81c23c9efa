#include "tests/sim/oracle.h"

#include <algorithm>
#include <bit>

#include "replication/core.h"
#include "tests/sim/failure.h"
#include "tests/sim/gone.h"

namespace covey::sim {

Oracle::Oracle(const Setup& setup, std::vector<NodeId> nodes)
    : setup_(setup),
      nodes_(std::move(nodes)),
      owners_(setup.partitions),
      owner_names_(setup.partitions),
      moves_(setup.partitions),
      by_dot_(setup.partitions),
      claimed_(setup.partitions) {
  std::vector<Member> members;
  for (size_t i = 0; i < setup.first_members(); ++i) members.push_back({.node = nodes_[i]});
  members_changed(members);
  for (Moves& moves : moves_) moves = {};
}

void Oracle::members_changed(const std::vector<Member>& members) {
  for (uint32_t p = 0; p < setup_.partitions; ++p) {
    owner_names_[p] = owners_of(PartitionId{p}, members, setup_.replicas);
    NodeMask mask = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      for (const auto& owner : owner_names_[p]) {
        if (owner == nodes_[i]) mask |= NodeMask{1} << i;
      }
    }
    if (owners_[p] == mask) continue;
    owners_[p] = mask;
    moves_[p].now = moves_[p].ever = true;
  }
}

void Oracle::settled(PartitionId partition) {
  moves_[partition.value].now = false;
  moves_[partition.value].settled_at = next_moment();
}

bool Oracle::moved_within(PartitionId partition, const ClientOperation& operation) const {
  const Moves& moves = moves_[partition.value];
  return moves.now || operation.old_owners || operation.submitted < moves.settled_at;
}

Conflicts Oracle::conflicts(const std::string& name) const {
  auto found = conflicts_.find(name);
  return found == conflicts_.end() ? Conflicts::siblings : found->second;
}

const std::vector<size_t>& Oracle::events_of(const TableKey& key) const {
  static const std::vector<size_t> none;
  auto found = by_key_.find(key);
  return found == by_key_.end() ? none : found->second;
}

std::vector<TableKey> Oracle::keys() const {
  std::vector<TableKey> keys;
  for (const auto& [key, events] : by_key_) keys.push_back(key);
  return keys;
}

bool Oracle::key_expires(const Event& event) const {
  const auto& all = events_of(event.key);
  return std::any_of(all.begin(), all.end(), [&](size_t id) {
    const Event& other = events_[id];
    return other.version_kind == VersionKind::expiry && other.expires_ms <= latest_wall_ms_ &&
           event.time.ms() < other.expires_ms;
  });
}

std::string Oracle::describe(const Event& event) const {
  static constexpr const char* kinds[] = {"put", "delete", "expiry", "touch"};
  char dot[48];
  std::snprintf(dot, sizeof dot, "%llx:%llu", static_cast<unsigned long long>(event.dot.actor.value),
                static_cast<unsigned long long>(event.dot.counter.value));
  std::string out =
      std::string(kinds[static_cast<int>(event.kind)]) + " " + event.key.table + "/" + event.key.key;
  if (event.kind == Event::Kind::put) out += " " + event.name + " " + event.value;
  out += " (partition " + std::to_string(event.partition.value) + ", dot " + dot;
  if (event.acknowledged) {
    out += ", acknowledged w=" + std::to_string(event.needed) + (event.strict ? " strict" : " sloppy");
  }
  auto list = [&](const char* name, NodeMask mask) {
    if (mask == 0) return;
    out += std::string(", ") + name;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (mask >> i & 1) out += " " + nodes_[i].name;
    }
  };
  list("held by", event.held);
  list("durable at", event.durable);
  list("disks still good", event.holders);
  if (event.voided) out += ", closed as void";
  return out + ")";
}

Event* Oracle::find(PartitionId partition, Dot dot) {
  auto& dots = by_dot_[partition.value];
  auto found = dots.find(dot);
  return found == dots.end() ? nullptr : &events_[found->second];
}

Event& Oracle::minted(std::pair<size_t, uint64_t> by, Dot dot, const TableKey& key, Event::Kind kind,
                      const ClientOperation* operation) {
  PartitionId partition = partition_of(key.table, key.key, setup_.partitions);
  Event event;
  event.id = events_.size();
  event.batch = batch_;
  event.key = key;
  event.partition = partition;
  event.dot = dot;
  event.kind = kind;
  if (operation != nullptr) {
    event.operation = operation->number;
    event.value = operation->request.value;
    event.expires_ms = operation->request.expires_ms;
    if (operation->request.context) event.overwrites = *operation->request.context;
    event.strict = !operation->request.sloppy;
    event.needed =
        operation->request.level.needed(static_cast<uint32_t>(owner_names_[partition.value].size()));
  }
  std::string who = nodes_[by.first].name;
  if (Event* earlier = find(partition, dot)) {
    fail("I3: " + who + " gave a dot twice: " + describe(*earlier) + " and now " + describe(event));
  }
  require(!claimed_[partition.value].contains(dot),
          "I3: " + who + " gave a dot that a clock had already claimed: " + describe(event));
  for (size_t id : events_of(key)) {
    Event& earlier = events_[id];
    require(!earlier.overwrites.contains(dot), "a context claimed a dot before it was given: " +
                                                   describe(earlier) + " overwrites " + describe(event));
    if (event.overwrites.contains(earlier.dot)) earlier.overwriters.push_back(event.id);
  }
  by_dot_[partition.value][dot] = event.id;
  by_key_[key].push_back(event.id);
  if (operation != nullptr) {
    event.done_by = by;
    std::vector<size_t>& made = by_operation_[operation->number];
    for (size_t id : made) {
      const Event& earlier = events_[id];
      require(earlier.done_by != event.done_by || earlier.batch == event.batch,
              who + " did a request twice: " + describe(earlier) + " and now " + describe(event));
    }
    made.push_back(event.id);
  }
  events_.push_back(std::move(event));
  return events_.back();
}

void Oracle::also_overwrites(Event& event, Dot removed) {
  Event* earlier = find(event.partition, removed);
  if (earlier == nullptr || event.overwrites.contains(removed)) return;
  event.overwrites.add(removed);
  earlier->overwriters.push_back(event.id);
}

void Oracle::touched(Event& event, const DotSet& context, const Object& object) {
  for (size_t id : events_of(event.key)) {
    Dot dot = events_[id].dot;
    bool shown = std::any_of(object.versions.begin(), object.versions.end(),
                             [&](const Version& version) { return version.dot == dot; });
    if (id != event.id && !shown && context.contains(dot)) also_overwrites(event, dot);
  }
}

bool Oracle::others_know(NodeMask others, PartitionId partition, Actor life, uint64_t minted) const {
  if (const auto* unknown = claimed_[partition.value].find(life);
      unknown != nullptr && unknown->highest() > minted)
    return false;
  const auto& dots = by_dot_[partition.value];
  for (auto at = dots.upper_bound({life, {minted}}); at != dots.end() && at->first.actor == life; ++at) {
    if ((events_[at->second].holders & others) == 0) return false;
  }
  return true;
}

void Oracle::learned(size_t node, Event& event, bool on_disk) {
  if (event.voided) return;  // the clock has it as closed
  NodeMask bit = NodeMask{1} << node;
  event.held |= bit;
  if (!on_disk) return;
  event.durable |= bit;
  event.holders |= bit;
  event.wiped &= ~bit;
  if ((event.rolled_back & bit) == 0) return;
  event.rolled_back &= ~bit;
  event.came_back |= bit;
  event.came_back_at = next_moment();
}

void Oracle::found(size_t node, Event& event) {
  const NodeMask bit = NodeMask{1} << node;
  const NodeMask lost = (event.wiped | event.rolled_back) & bit;
  learned(node, event, true);
  event.rolled_back |= lost;
}

void Oracle::forgotten(size_t node, Event& event) {
  const NodeMask bit = NodeMask{1} << node;
  if ((event.holders & bit) == 0) event.rolled_back |= bit;
}

void Oracle::saw_version(Event& event, const Version& version, bool read) {
  const bool same = version.value == event.value && version.kind == event.version_kind &&
                    version.name == event.name &&
                    (version.expires_ms == event.expires_ms || (read && event.expires_ms == 0));
  require(event.kind == Event::Kind::put, "a version with the dot of a delete: " + describe(event));
  if (!event.has_version) {
    event.has_version = true;
    event.time = version.time;
    require(same, "a value that nobody wrote: '" + version.value + "' for " + describe(event));
    return;
  }
  require(same && version.time == event.time,
          "one dot, two versions: '" + version.value + "' and " + describe(event));
}

void Oracle::claimed_without_write(PartitionId partition, Dot dot) { claimed_[partition.value].add(dot); }

void Oracle::voided(PartitionId partition, const DotSet& dots, const std::set<Actor>& running) {
  for (const auto& entry : dots.entries()) {
    for (const auto& run : DotSet::runs_of(entry)) {
      for (uint64_t counter = run.first; counter <= run.last; ++counter) {
        Event* event = find(partition, {entry.actor, {counter}});
        if (event == nullptr || event->voided) continue;
        // A stand-in's dots that it handed over and dropped may have gone with the owners' disks.
        require(!running.contains(entry.actor) || event->holders == 0,
                "a hole of a running life was closed: " + describe(*event));
        require(!event->acknowledged || event->holders == 0,
                "an acknowledged write was closed as a hole: " + describe(*event));
        require((event->holders & owners_[partition.value]) == 0,
                "a write that an owner has was closed as a hole: " + describe(*event));
        event->voided = true;
      }
    }
  }
}

void Oracle::disk_lost(size_t node, bool wiped, const std::function<bool(const Event&)>& still_there) {
  NodeMask bit = NodeMask{1} << node;
  for (Event& event : events_) {
    if ((event.durable & bit) == 0 || still_there(event)) continue;
    event.holders &= ~bit;
    (wiped ? event.wiped : event.rolled_back) |= bit;
  }
}

void Oracle::restarted(size_t node, const std::function<bool(const Event&)>& still_there) {
  NodeMask bit = NodeMask{1} << node;
  for (const Event& event : events_) {
    if ((event.holders & bit) == 0) continue;
    require(still_there(event),
            nodes_[node].name + " has forgotten in a restart what was on its disk: " + describe(event));
  }
}

void Oracle::dropped(size_t node, PartitionId partition, const DotSet& dots) {
  NodeMask bit = NodeMask{1} << node;
  for (auto& [dot, id] : by_dot_[partition.value]) {
    if (!dots.contains(dot)) continue;
    Event& event = events_[id];
    NodeMask owners = owners_[partition.value];
    if (may_see_others(node, partition)) {
      const NodeMask elsewhere = (setup_.durability == Durability::none ? event.held : event.durable) & ~bit;
      require(static_cast<uint32_t>(std::popcount(elsewhere)) >= setup_.replicas || event.voided,
              nodes_[node].name + " dropped what too few others had: " + describe(event));
      event.holders &= ~bit;
      continue;
    }
    require((owners & bit) == 0,
            "the clock of an owner, " + nodes_[node].name + ", has forgotten " + describe(event));
    NodeMask had = setup_.durability == Durability::none ? event.held : event.durable;
    require((owners & ~had) == 0 || event.voided,
            "the stand-in " + nodes_[node].name + " dropped what not all owners had: " + describe(event));
    event.holders &= ~bit;
  }
}

void Oracle::set_aside(size_t node, PartitionId partition, const DotSet& clock) {
  const NodeMask bit = NodeMask{1} << node;
  for (auto& [dot, id] : by_dot_[partition.value]) {
    const Event& event = events_[id];
    if (!clock.contains(dot) || event.voided) continue;
    const NodeMask had = setup_.durability == Durability::none ? event.held : event.durable;
    require((had & ~bit) != 0,
            nodes_[node].name + " gave its damaged disk up, and nobody else had " + describe(event));
  }
}

bool Oracle::held_by_others(size_t node, PartitionId partition, const DotSet& clock) const {
  const NodeMask bit = NodeMask{1} << node;
  const auto& dots = by_dot_[partition.value];
  return std::all_of(dots.begin(), dots.end(), [&](const auto& entry) {
    const Event& event = events_[entry.second];
    return !clock.contains(entry.first) || event.voided || (event.holders & ~bit) != 0;
  });
}

void Oracle::check_object(size_t node, const TableKey& key, const Object& stored, const DotSet& clock) {
  PartitionId partition = partition_of(key.table, key.key, setup_.partitions);
  for (const Version& version : stored.versions) {
    Event* event = find(partition, version.dot);
    require(event != nullptr && event->key == key, nodes_[node].name + " holds for " + key.key +
                                                       " a version that nobody wrote: '" + version.value +
                                                       "'");
    saw_version(*event, version);
    require(clock.contains(version.dot),
            "I2: a version of " + nodes_[node].name + " is not in its clock: " + describe(*event));
  }
  auto claimed = [&](const Event& event) {
    return clock.contains(event.dot) || stored.context.contains(event.dot);
  };
  for (size_t id : events_of(key)) {
    const Event& event = events_[id];
    if (event.kind != Event::Kind::put || !claimed(event)) continue;
    bool shown = std::any_of(stored.versions.begin(), stored.versions.end(),
                             [&](const Version& version) { return version.dot == event.dot; });
    if (shown || gone(event, claimed, false)) continue;
    fail("I1: " + nodes_[node].name + " has lost " + describe(event) +
         ": its clock has the dot, no update overwrote it");
  }
}

void Oracle::check_final(const TableKey& key, const Object& object, Totals& totals) {
  judge_counter(partition_of(key.table, key.key, setup_.partitions), key, object);
  auto survived = [](const Event& event) { return event.holders != 0 && !event.voided; };
  for (size_t id : events_of(key)) {
    const Event& event = events_[id];
    if (event.kind != Event::Kind::put) continue;
    bool shown = std::any_of(object.versions.begin(), object.versions.end(),
                             [&](const Version& version) { return version.dot == event.dot; });
    if (shown) {
      for (size_t other : event.overwriters) {
        require(
            !survived(events_[other]),
            "I6: " + describe(event) + " is back, though it was overwritten by " + describe(events_[other]));
      }
      continue;
    }
    if (gone(
            event, [](const Event&) { return true; }, true))
      continue;
    if (event.holders == 0) {
      totals.add("writes lost with every disk that had them");
      continue;
    }
    fail("I5: all is quiet and " + describe(event) + " is nowhere");
  }
}

}  // namespace covey::sim
