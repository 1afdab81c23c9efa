// Core: what status pages, metrics and checks see.
#include <algorithm>
#include <charconv>

#include "replication/core.h"
#include "replication/core_parts.h"

namespace covey {

std::vector<MemberView> Core::members(Now now) const {
  std::vector<MemberView> out;
  const Members& members = parts_->shard.members;
  for (const auto* list : {&members.all(), &members.removed()}) {
    for (const auto& [node, member] : *list)
      out.push_back({member, members.state(now, node), members.alive(now, node), members.verdict(node),
                     parts_->shard.clocks.ahead_ms(now, node)});
  }
  return out;
}

const Member* Core::find_member(const NodeId& node) const { return parts_->shard.members.find(node); }

Standing Core::standing() const { return parts_->shard.members.own().standing; }

bool Core::departed() const {
  const Shard& shard = parts_->shard;
  if (standing() == Standing::member) return false;
  const auto& partitions = shard.replica.partitions();
  return std::none_of(partitions.begin(), partitions.end(), [&](const auto& entry) {
    const Partition& partition = entry.second;
    return partition.ready || partition.left || !partition.clock.empty() || !shard.replica.durable(partition);
  });
}

bool Core::removal_known() const { return parts_->lives.removal_known(); }

PartitionView Core::partition(Now, PartitionId id) const {
  Shard& shard = parts_->shard;
  COVEY_ASSERT(shard.mine(id));
  const Partition& partition = shard.replica.at(id);
  PartitionView view;
  view.partition = id;
  view.owners = shard.members.owners(id);
  view.owned = shard.owns(id);
  view.kept = shard.keeps(id);
  for (const NodeId& keeper : shard.members.keepers(id)) {
    if (!shard.members.ready(keeper, id) && shard.members.is_target(keeper, id))
      view.filling.push_back(keeper);
  }
  view.held = view.kept || !partition.clock.empty() || partition.residual > 0;
  view.ready = partition.ready;
  view.stands_in = shard.stands_in(partition);
  view.clock = partition.clock;
  view.state_hash = partition.state_hash;
  view.objects = partition.objects;
  view.bytes = partition.bytes;
  view.arrived = parts_->repair.arrived(id);
  view.log = partition.log;
  view.residual = partition.residual;
  view.diverged_since_us = partition.diverged_since_us;
  for (const NodeId& owner : view.owners) {
    auto copy = partition.copies.find(owner);
    bool told = copy != partition.copies.end();
    bool differs = view.held && told && copy->second.clock != partition.clock;
    if (!shard.members.is_self(owner) && differs) view.diverged.push_back(owner);
  }
  return view;
}

std::vector<PartitionView> Core::partitions(Now now) const {
  std::vector<PartitionView> out;
  for (const auto& [id, partition] : parts_->shard.replica.partitions())
    out.push_back(this->partition(now, id));
  return out;
}

bool Core::held_elsewhere(PartitionId id, const Clock& clock) const {
  const Shard& shard = parts_->shard;
  const Partition& partition = shard.replica.partitions().at(id);
  if (!partition.clock.contains(clock)) return true;  // handed over to all owners and dropped since
  return std::any_of(partition.copies.begin(), partition.copies.end(), [&](const auto& copy) {
    return shard.members.ready(copy.first, id) && shard.members.owns(copy.first, id) &&
           copy.second.durable_clock.contains(clock);
  });
}

std::vector<OwnerView> Core::owners(Now now, PartitionId id) const {
  Shard& shard = parts_->shard;
  std::vector<OwnerView> out;
  for (const NodeId& owner : shard.members.owners(id))
    out.push_back({owner, shard.members.state(now, owner), shard.members.ready(owner, id),
                   shard.members.alive(now, owner)});
  return out;
}

ExplainView Core::explain(Now now, const std::string& table, const std::string& key) const {
  Shard& shard = parts_->shard;
  ExplainView view;
  view.partition = partition_of(table, key, shard.options.partitions);
  view.owners = owners(now, view.partition);
  const auto absent = std::count_if(view.owners.begin(), view.owners.end(), [&](const OwnerView& owner) {
    return !shard.members.alive(now, owner.node);
  });
  view.stand_ins = parts_->coordinator.stand_ins(now, view.partition, static_cast<size_t>(absent));
  return view;
}

std::string Core::dot_text(Dot dot) const {
  char life[20];
  auto [end, error] =
      std::to_chars(life, life + sizeof life, dot.actor.value & ((uint64_t{1} << 40) - 1), 16);
  COVEY_ASSERT(error == std::errc{});
  auto node = parts_->shard.members.node_of(dot.actor);
  std::string name;
  if (node) {
    name = node->name;
  } else {
    char tag[20];
    auto [tag_end, tag_error] = std::to_chars(tag, tag + sizeof tag, dot.actor.value >> 40, 16);
    COVEY_ASSERT(tag_error == std::errc{});
    name = "?" + std::string(tag, tag_end);
  }
  return name + "." + std::string(life, end) + ":" + std::to_string(dot.counter.value);
}

std::optional<Dot> Core::parse_dot(std::string_view text) const {
  size_t colon = text.rfind(':');
  size_t point = text.rfind('.', colon);
  if (colon == std::string_view::npos || point == std::string_view::npos || point == 0) return std::nullopt;
  std::string_view name = text.substr(0, point);
  std::string_view life_text = text.substr(point + 1, colon - point - 1);
  std::string_view counter_text = text.substr(colon + 1);
  auto number = [](std::string_view digits, int base) -> std::optional<uint64_t> {
    uint64_t out = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out, base);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return out;
  };
  auto life = number(life_text, 16);
  auto counter = number(counter_text, 10);
  if (!life || !counter || *counter == 0) return std::nullopt;
  Actor actor = make_actor(name, *life);
  if (name.front() == '?') {
    auto tag = number(name.substr(1), 16);
    if (!tag) return std::nullopt;
    actor = Actor{*tag << 40 | *life};
  }
  return Dot{actor, {*counter}};
}

}  // namespace covey
