#include "replication/coordinator.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"

namespace covey {

Coordinator::Targets Coordinator::targets(Now now, PartitionId id, bool sloppy) const {
  Targets out;
  const Members& members = shard_.members;
  const std::vector<NodeId>& owners = members.owners(id);
  out.owners.reserve(owners.size());
  for (const NodeId& node : owners) {
    if (members.alive(now, node)) {
      out.owners.push_back(node);
    } else {
      const MemberState state = members.state(now, node);
      out.absent.push_back({node, state == MemberState::dead        ? "dead"
                                  : state == MemberState::suspected ? "suspected"
                                                                    : "unreachable"});
    }
  }
  if (sloppy) out.stand_ins = stand_ins(now, id, out.absent.size());
  for (const NodeId& node : members.targets(id)) {
    const bool taken = members.owns(node, id) || contains(out.stand_ins, node);
    if (!taken && members.alive(now, node)) out.filling.push_back(node);
  }
  if (const Partition* partition = shard_.replica.find(id)) out.holders = holders(now, *partition);
  std::erase_if(out.holders, [&](const NodeId& node) { return contains(out.stand_ins, node); });
  return out;
}

std::vector<NodeId> Coordinator::stand_ins(Now now, PartitionId id, size_t absent) const {
  const Members& members = shard_.members;
  std::vector<NodeId> out;
  for (const bool will_own : {true, false}) {
    for (const NodeId& node : members.preference(id)) {
      if (out.size() >= absent) return out;
      const bool fits = !members.owns(node, id) && members.is_target(node, id) == will_own;
      if (fits && members.alive(now, node)) out.push_back(node);
    }
  }
  return out;
}

// Other nodes that stand in for owners, as they told, and can be asked.
std::vector<NodeId> Coordinator::holders(Now now, const Partition& partition) const {
  std::vector<NodeId> out;
  for (const NodeId& node : partition.stand_ins) {
    if (shard_.members.alive(now, node) && !shard_.members.keeps(node, partition.id)) out.push_back(node);
  }
  return out;
}

void Coordinator::request(Now now, RequestId client, Request&& request) {
  start(now, Asker{client, {}, 0}, std::move(request));
}

void Coordinator::start(Now now, Asker asker, Request&& request) {
  auto begun = pool_.make();
  OperationState& operation = *begun;
  operation.asker = std::move(asker);
  operation.partition = request.operation == Operation::scan
                            ? request.partition
                            : partition_of(request.table, request.key, shard_.options.partitions);
  COVEY_ASSERT(shard_.mine(operation.partition));
  operation.request = std::move(request);
  operation.deadline_us = now.tick_us + uint64_t{operation.request.timeout_ms} * 1000;
  operation.response.needed = operation.request.level.needed(shard_.options.replicas);
  operation.response.owners = shard_.options.replicas;
  if (unanswered() >= shard_.options.operations_max) {
    fail(operation, Status::overloaded);
    return;
  }
  switch (operation.request.operation) {
    case Operation::put:
    case Operation::erase:
    case Operation::change:
      start_write(now, std::move(begun));
      break;
    case Operation::get:
    case Operation::scan:
      write_staged();
      start_read(now, std::move(begun));
      break;
  }
}

uint64_t Coordinator::begin(OperationPointer operation) {
  // Ids tell the shard, so that answers find their way on a node of several.
  uint64_t id = ++next_operation_ * shard_.options.shards + shard_.options.shard;
  deadlines_.insert({operation->deadline_us, id});
  operations_.emplace(id, std::move(operation));
  return id;
}

// Gives the operation's response to whoever asked. Once.
void Coordinator::reply(OperationState& operation) {
  if (operation.answered) return;
  operation.answered = true;
  Response& response = operation.response;
  if (!operation.asked.empty()) {
    response.outcomes.reserve(response.outcomes.size() + operation.asked.size());
    for (const Asked::Replica& replica : operation.asked)
      response.outcomes.push_back({replica.node, replica.state});
    std::sort(response.outcomes.begin(), response.outcomes.end(),
              [](const OwnerOutcome& a, const OwnerOutcome& b) { return a.node < b.node; });
    response.asked = static_cast<uint32_t>(operation.asked.size());
  }
  if (response.status == Status::timeout) ++shard_.stats.timeouts;
  if (response.status == Status::unavailable) ++shard_.stats.unavailable;
  if (response.status == Status::overloaded) ++shard_.stats.overloaded;
  if (operation.asker.client) {
    shard_.outbox.answer(*operation.asker.client, std::move(response));
    return;
  }
  if (operation.asker.peer_operation == 0) return;  // this node's own delete
  auto& back = *shard_.outbox.to(operation.asker.peer).mutable_forward_reply();
  back.set_operation(operation.asker.peer_operation);
  back.set_status(static_cast<uint32_t>(response.status));
  back.set_context(encode(response.context));
  back.set_dot_actor(response.dot.actor.value);
  back.set_dot_counter(response.dot.counter.value);
  back.set_siblings(response.siblings);
  back.set_value(response.changed.value);
  back.set_added(response.changed.added);
  back.set_removed(response.changed.removed);
  back.set_repeated(response.changed.repeated);
  back.set_needed(response.needed);
  back.set_owners(response.owners);
  back.set_asked(response.asked);
  back.set_received(response.received);
  back.set_reachable(response.reachable);
  for (const OwnerOutcome& outcome : response.outcomes) {
    back.add_outcome_nodes(outcome.node.name);
    back.add_outcome_states(outcome.state);
  }
}

void Coordinator::fail(OperationState& operation, Status status) {
  operation.response.status = status;
  reply(operation);
}

void Coordinator::tick(Now now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now.tick_us) {
    expire(now, deadlines_.begin()->second);
  }
  ask_again(now);
  start_queued(now);
}

void Coordinator::expire(Now now, uint64_t id) {
  auto at = operations_.find(id);
  COVEY_ASSERT(at != operations_.end());
  OperationState& operation = *at->second;
  operation.asked.stop_awaiting();
  if (operation.alone) operation.asked.tell(shard_.members.self(), "not durable yet");
  bool no_room = operation.queued;
  if (operation.reads()) {
    for (const Asked::Replica& replica : operation.asked) no_room |= replica.state == text_of(Refusal::busy);
    // Nobody is awaited any more: a sloppy read may take what there is.
    if (!operation.answered &&
        operation.read.enough(operation.response.needed, operation.request.sloppy, false)) {
      answer_read(now, operation);
    }
    if (!operation.answered) operation.response.received = operation.read.counted(operation.request.sloppy);
    repair_readers(operation);
  }
  if (!operation.answered) fail(operation, no_room ? Status::overloaded : Status::timeout);
  drop(at);
}

void Coordinator::durable() {
  Lsn durable = shard_.store.durable();
  while (!own_writes_.empty() && own_writes_.front().first <= durable) {
    uint64_t id = own_writes_.front().second;
    own_writes_.pop_front();
    auto at = operations_.find(id);
    if (at == operations_.end()) continue;
    if (at->second->alone) {
      answer_alone(*at->second);
      drop(at);
      continue;
    }
    at->second->asked.tell_stored(shard_.members.self());
    write_acknowledged(id);
  }
}

}  // namespace covey
