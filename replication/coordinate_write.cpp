// Coordinator: writes and deletes.
#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/coordinator.h"

namespace covey {
namespace {

constexpr uint64_t settled_dots_max = 100'000;  // of one item: what would be more is not from a covey

bool live(const Version& version, Now now) {
  return version.expires_ms == 0 || version.expires_ms > now.wall_ms;
}

// What the request may not do to the object that is there. ok: nothing speaks against it.
Status check_conditions(const Request& request, const Object& filled, Now now) {
  auto lives = std::count_if(filled.versions.begin(), filled.versions.end(),
                             [&](const Version& version) { return live(version, now); });
  if (request.if_absent && lives > 0) return Status::precondition_failed;
  if (request.if_match) {
    bool only_that =
        lives == 1 && std::any_of(filled.versions.begin(), filled.versions.end(), [&](const Version& v) {
          return live(v, now) && v.dot == *request.if_match;
        });
    if (!only_that) return Status::precondition_failed;
  }
  return Status::ok;
}

}  // namespace

void Coordinator::start_write(Now now, OperationState operation) {
  operation.kind = OperationState::Kind::write;
  Targets who = targets(now, operation.partition, operation.request.sloppy);
  operation.response.reachable = static_cast<uint32_t>(who.counted(operation.request.sloppy));
  uint32_t needed = operation.response.needed;
  bool owner = shard_.owns(operation.partition);
  bool forwarded = !operation.asker.client && operation.asker.peer_operation != 0;
  bool stands_in = !owner && who.owners.empty() && operation.request.sloppy;
  if (operation.response.reachable < needed || (!owner && who.owners.empty() && !stands_in)) {
    operation.response.outcomes = who.absent;
    fail(operation, Status::unavailable);
    return;
  }
  if (!owner && !stands_in) {
    // A request that was forwarded once stays: two nodes that see different owners must not play ball.
    if (forwarded) {
      operation.response.outcomes = {{shard_.members.self(), "does not own the partition"}};
      fail(operation, Status::unavailable);
      return;
    }
    NodeId target = who.owners.front();
    forward(now, std::move(operation), target);
    return;
  }
  ++shard_.stats.writes_coordinated;
  if (stands_in) ++shard_.stats.stand_in_writes;

  Result<Status, StoreError> outcome = Status::ok;
  Object filled;
  Lsn lsn;
  write_here(now, operation, outcome, filled, lsn);
  if (!outcome || *outcome != Status::ok) {
    Status refused = outcome                                          ? *outcome
                     : outcome.error().kind == StoreError::Kind::full ? Status::disk_full
                                                                      : Status::storage_failed;
    if (!outcome) shard_.store_failed(outcome.error());
    fail(operation, refused);
    return;
  }
  std::vector<NodeId> others;
  for (const auto* list : {&who.owners, &who.stand_ins}) {
    for (const NodeId& node : *list) {
      if (!shard_.members.is_self(node)) others.push_back(node);
    }
  }
  for (const OwnerOutcome& absent : who.absent) operation.outcomes[absent.node] = absent.state;
  operation.outcomes[shard_.members.self()] = "not durable yet";
  operation.waiting.insert(shard_.members.self());
  for (const NodeId& node : others) {
    operation.outcomes[node] = "no answer";
    operation.waiting.insert(node);
  }
  TableKey key{operation.request.table, operation.request.key};
  PartitionId partition = operation.partition;
  DotSet settled{operation.response.dot};
  operation.request.value = {};  // it is in `filled`
  uint64_t id = begin(std::move(operation));
  for (const NodeId& node : others) replicate(node, id, partition, key, filled, settled);
  own_writes_.emplace_back(shard_.outbox.waits_for_durable() ? lsn : Lsn{0}, id);
  durable(now);
}

void Coordinator::write_here(Now now, OperationState& operation, Result<Status, StoreError>& outcome,
                             Object& filled, Lsn& lsn) {
  const Request& request = operation.request;
  if (shard_.writes_refused) {
    outcome = Status::disk_full;
    return;
  }
  Partition& partition = shard_.replica.at(operation.partition);
  Replica::Edit edit(shard_.replica, partition, shard_.placing(operation.partition));
  TableKey key{request.table, request.key};
  auto object = edit.read(key);
  if (!object) {
    outcome = object.error();
    return;
  }
  filled = std::move(*object);
  Status allowed = check_conditions(request, filled, now);
  if (allowed != Status::ok) {
    outcome = allowed;
    return;
  }
  Hlc newest_seen;
  for (const Version& version : filled.versions) newest_seen = std::max(newest_seen, version.time);
  Context covers = request.context.value_or(Context{});
  if (request.conflicts == Conflicts::last_write_wins) {
    for (const Version& version : filled.versions) covers.add(version.dot);
  }
  if (bug(Bug::write_ignores_context)) covers.clear();
  discard(filled, covers);
  uint64_t bytes = request.value.size();
  for (const Version& version : filled.versions) bytes += version.value.size();
  bool too_many = filled.versions.size() >= shard_.options.siblings_max ||
                  (!filled.versions.empty() && bytes > shard_.options.object_bytes_max);
  if (request.operation == Operation::put && too_many) {
    outcome = Status::too_many_siblings;
    return;
  }
  Actor actor = lives_.mint_actor();
  Dot dot = edit.mint(actor);
  Hlc time = shard_.next_time(now, newest_seen);
  if (request.operation == Operation::put) {
    filled.versions.push_back({dot, time, request.expires_ms, request.content_type, request.value});
    std::sort(filled.versions.begin(), filled.versions.end(),
              [](const Version& a, const Version& b) { return a.dot < b.dot; });
  }
  bool forgets = bug(Bug::delete_forgets_dot) && request.operation == Operation::erase;
  if (!forgets) filled.context.add(dot);
  edit.put(key, filled, DotSet{dot});
  auto written = edit.commit();
  if (!written) {
    outcome = written.error();
    return;
  }
  if (filled.versions.size() > 1) ++shard_.stats.siblings_made;
  lsn = partition.last_write;
  operation.response.dot = dot;
  operation.response.siblings = static_cast<uint32_t>(filled.versions.size());
  // What the client has seen now: what it said, and its own write. Siblings that it has not read stay
  // siblings.
  operation.response.context = request.context.value_or(Context{});
  operation.response.context.add(dot);
  outcome = Status::ok;
}

void Coordinator::replicate(const NodeId& to, uint64_t operation, PartitionId id, const TableKey& key,
                            const Object& filled, const DotSet& settled) {
  auto& message = *shard_.outbox.to(to).mutable_replicate();
  message.set_operation(operation);
  message.set_partition(id.value);
  auto& item = *message.mutable_item();
  item.set_table(key.table);
  item.set_key(key.key);
  item.set_object(encode(filled));
  if (!settled.empty()) item.set_dots(encode(settled));
}

void Coordinator::receive(Now now, const NodeId& from, const peer::Replicate& message) {
  PartitionId id{message.partition()};
  auto object = decode_object(message.item().object());
  auto settled =
      message.item().dots().empty() ? std::optional<DotSet>(DotSet{}) : decode_dot_set(message.item().dots());
  auto base = message.base().empty() ? std::optional<DotSet>(DotSet{}) : decode_dot_set(message.base());
  bool sound = object && settled && base && shard_.mine(id) &&
               is_table_key(message.item().table(), message.item().key()) &&
               settled->count() <= settled_dots_max &&
               partition_of(message.item().table(), message.item().key(), shard_.options.partitions) == id;
  if (!sound) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  object->context.join_bases(*base);
  TableKey key{message.item().table(), message.item().key()};
  Refusal refusal = Refusal::none;
  Partition& partition = shard_.replica.at(id);
  if (shard_.writes_refused) {
    refusal = Refusal::disk_full;
  } else {
    for (const Version& version : object->versions) shard_.heard_time(now, version.time);
    Replica::Edit edit(shard_.replica, partition, shard_.placing(id));
    auto merged = shard_.replica.merge_into(edit, key, *object, *settled);
    Result<bool, StoreError> done = merged ? edit.commit() : Result<bool, StoreError>(merged.error());
    if (!done) {
      shard_.store_failed(done.error());
      refusal = refusal_of(done.error());
    } else {
      ++(*done ? shard_.stats.merges_applied : shard_.stats.merges_without_effect);
    }
  }
  if (message.operation() == 0) return;
  // What was there already may still wait for its sync: hence the partition's newest write.
  auto& envelope = shard_.outbox.to_after(from, refusal == Refusal::none ? partition.last_write : Lsn{0},
                                          shard_.store.durable());
  envelope.mutable_replicate_ack()->set_operation(message.operation());
  envelope.mutable_replicate_ack()->set_refusal(static_cast<uint32_t>(refusal));
}

void Coordinator::receive(Now, const NodeId& from, const peer::ReplicateAck& message) {
  auto at = operations_.find(message.operation());
  if (at == operations_.end() || at->second.kind != OperationState::Kind::write) return;
  if (at->second.waiting.erase(from) == 0) return;  // repeated, or not asked
  auto refusal = static_cast<Refusal>(message.refusal());
  at->second.outcomes[from] = text_of(refusal);
  if (refusal == Refusal::none) ++at->second.response.received;
  write_acknowledged(message.operation());
}

// What the key holds by now, in which the write is or which has overwritten it.
void Coordinator::replicate_again(const OperationState& operation, uint64_t id, const NodeId& node) {
  TableKey key{operation.request.table, operation.request.key};
  auto object = shard_.replica.read(shard_.replica.at(operation.partition), key);
  if (!object) return shard_.store_failed(object.error());  // gossip brings it there
  replicate(node, id, operation.partition, key, *object, DotSet{operation.response.dot});
}

void Coordinator::write_acknowledged(uint64_t id) {
  OperationState& operation = operations_.at(id);
  uint32_t needed = operation.response.needed;
  if (bug(Bug::quorum_off_by_one) && needed > 1) --needed;
  if (!operation.answered) {
    if (operation.response.received >= needed) {
      reply(operation);
    } else if (operation.response.received + operation.waiting.size() < needed) {
      fail(operation, Status::timeout);  // tried, and known not to get enough any more: no use in waiting
    }
  }
  finish_if_done(id);
}

void Coordinator::erase_own(Now now, PartitionId id, const TableKey& key, const Context& context) {
  OperationState operation;
  operation.request.operation = Operation::erase;
  operation.request.table = key.table;
  operation.request.key = key.key;
  operation.request.level = Level{Level::Kind::one};
  operation.request.context = context;
  operation.partition = id;
  operation.deadline_us = now.tick_us + 1'000'000;
  operation.response.needed = 1;
  operation.response.owners = shard_.options.replicas;
  start_write(now, std::move(operation));
}

}  // namespace covey
