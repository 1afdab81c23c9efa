// Coordinator: writes and deletes.
#include <algorithm>
#include <utility>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/coordinator.h"
#include "replication/plan.h"
#include "replication/repair.h"
#include "replication/typed.h"

namespace covey {
namespace {

// Of one batch: enough to share its cost, and few enough not to keep others waiting.
constexpr size_t staged_max = 256;
constexpr size_t staged_bytes_max = 1 << 20;

Status status_of(const StoreError& error) {
  return error.kind == StoreError::Kind::full ? Status::disk_full : Status::storage_failed;
}

// What the request may not do to the object that is there. ok: nothing speaks against it.
Status check_conditions(const Request& request, const Object& filled, Now now) {
  if (!request.if_absent && !request.if_match) return Status::ok;
  Object live = filled;
  take_expired(live, now.wall_ms);
  std::erase_if(live.versions, [](const Version& version) { return version.kind == VersionKind::expiry; });
  if (request.if_absent && !live.versions.empty()) return Status::precondition_failed;
  const bool only_that = live.versions.size() == 1 && live.versions[0].dot == request.if_match;
  return !request.if_match || only_that ? Status::ok : Status::precondition_failed;
}

// Whatever the key holds: put_value drops all of it.
bool overwrites_all(const Request& request) {
  const bool covers = request.conflicts == Conflicts::last_write_wins || request.overwrite;
  return covers && request.operation != Operation::change && !request.if_absent && !request.if_match &&
         !bug(Bug::write_ignores_context);
}

uint64_t bytes_of(const Request& request) {
  uint64_t bytes = request.value.size() + request.key.size();
  for (const Change& change : request.changes) bytes += change.name.size() + change.value.size();
  return bytes;
}

void sort_by_dot(Object& object) {
  std::sort(object.versions.begin(), object.versions.end(),
            [](const Version& a, const Version& b) { return a.dot < b.dot; });
}

}  // namespace

void Coordinator::start_write(Now now, OperationPointer begun) {
  OperationState& operation = *begun;
  operation.kind = OperationState::Kind::write;
  // More than an object may hold is not sent around either.
  const CoreOptions& options = shard_.options;
  if (operation.request.changes.size() > options.elements_max)
    return fail(operation, Status::too_many_elements);
  if (!operation.request.changes.empty() &&
      bytes_of(operation.request) > options.elements_bytes_max + key_bytes_max)
    return fail(operation, Status::object_too_large);
  Targets who = targets(now, operation.partition, operation.request.sloppy);
  operation.response.reachable = static_cast<uint32_t>(who.counted(operation.request.sloppy));
  uint32_t needed = operation.response.needed;
  if (!operation.request.sloppy) {
    Count alive;
    for (const auto* list : {&who.owners, &who.filling}) {
      for (const NodeId& node : *list) count(operation.partition, node, alive);
    }
    operation.response.reachable = static_cast<uint32_t>(counted(operation, alive));
    // Whoever is ready may not have told yet, and would know nothing of the write.
    if (may_be_owned_unheard(operation.partition)) {
      operation.response.reachable = 0;
      for (const NodeId& node : who.owners) operation.response.outcomes.push_back({node, "filling"});
    }
  }
  bool owner = shard_.owns(operation.partition);
  bool forwarded = !operation.asker.client && operation.asker.peer_operation != 0;
  const bool stays = shard_.members.own().standing == Standing::member;
  bool stands_in = !owner && who.owners.empty() && operation.request.sloppy && stays;
  if (operation.response.reachable < needed || (!owner && who.owners.empty() && !stands_in)) {
    auto& outcomes = operation.response.outcomes;
    outcomes.insert(outcomes.end(), who.absent.begin(), who.absent.end());
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
    forward(now, std::move(begun), target);
    return;
  }
  const uint64_t bytes = bytes_of(operation.request);
  if (stands_in && !shard_.may_stand_in(operation.partition, bytes)) {
    operation.response.outcomes = who.absent;
    operation.response.outcomes.push_back({shard_.members.self(), text_of(Refusal::stand_in_full)});
    fail(operation, Status::unavailable);
    return;
  }
  ++shard_.stats.writes_coordinated;
  if (stands_in) ++shard_.stats.stand_in_writes;

  Object filled;
  operation.alone = is_alone(who);
  const bool sends = !operation.alone;
  auto outcome = stage(now, operation, sends, filled);
  bool others_staged = !staged_writes_.empty() || !staged_merges_.empty();
  if (outcome && *outcome != Status::ok && others_staged) {
    // Refused for what is staged: that may still fail.
    write_staged();
    outcome = stage(now, operation, sends, filled);
  }
  if (!outcome) shard_.store_failed(outcome.error());
  if (!outcome || *outcome != Status::ok) {
    fail(operation, outcome ? *outcome : status_of(outcome.error()));
    return;
  }
  operation.request.changes = {};
  staged_writes_.push_back({std::move(begun), std::move(who), std::move(filled)});
  staged_one(bytes);
}

void Coordinator::staged_one(size_t bytes) {
  staged_bytes_ += bytes;
  if (staged_writes_.size() + staged_merges_.size() >= staged_max || staged_bytes_ >= staged_bytes_max)
    write_staged();
}

void Coordinator::write_staged() {
  if (!group_.open()) return;
  auto written = group_.commit();
  if (!written) shard_.store_failed(written.error());
  Refusal refusal = written ? Refusal::none : refusal_of(written.error());
  staged_bytes_ = 0;
  // Their memory is kept for the next ones.
  auto merges = std::exchange(staged_merges_, {});
  acknowledge(merges, refusal);
  auto writes = std::exchange(staged_writes_, {});
  for (StagedWrite& staged : writes) {
    if (written) {
      write_others(std::move(staged));
    } else {
      fail(*staged.operation, status_of(written.error()));
    }
  }
  merges.clear();
  if (staged_merges_.empty()) staged_merges_.swap(merges);
  writes.clear();
  if (staged_writes_.empty()) staged_writes_.swap(writes);
  durable();
}

// No owner is known to be ready, and not every member has told what it has.
bool Coordinator::may_be_owned_unheard(PartitionId id) const {
  const Members& members = shard_.members;
  const std::vector<NodeId>& owners = members.owners(id);
  const auto ready = [&](const NodeId& node) { return members.ready(node, id); };
  if (std::any_of(owners.begin(), owners.end(), ready)) return false;
  const Partition& partition = shard_.replica.at(id);
  return std::any_of(members.all().begin(), members.all().end(), [&](const auto& member) {
    return !members.is_self(member.first) && !partition.told.contains(member.first);
  });
}

// This node is the only one that could have the write, now or later: more than it was not needed then.
bool Coordinator::is_alone(const Targets& who) const {
  return who.owners.size() == 1 && shard_.members.is_self(who.owners[0]) && who.filling.empty() &&
         who.stand_ins.empty() && who.absent.empty();
}

// The write is stored here: now the other owners, or who stands in for them.
void Coordinator::write_others(StagedWrite&& staged) {
  OperationState& operation = *staged.operation;
  if (operation.response.siblings > 1) ++shard_.stats.siblings_made;
  if (operation.alone && !shard_.outbox.waits_for_durable()) return answer_alone(operation);
  const PartitionId partition = operation.partition;
  const Lsn lsn = shard_.outbox.waits_for_durable() ? shard_.replica.at(partition).last_write : Lsn{0};
  if (operation.alone) {
    own_writes_.emplace_back(lsn, begin(std::move(staged.operation)));
    return;
  }
  std::vector<NodeId> others;
  others.reserve(staged.who.owners.size() + staged.who.stand_ins.size() + staged.who.filling.size());
  for (const auto* list : {&staged.who.owners, &staged.who.stand_ins}) {
    for (const NodeId& node : *list) {
      if (!shard_.members.is_self(node)) others.push_back(node);
    }
  }
  operation.stand_ins = staged.who.stand_ins.size();
  others.insert(others.end(), staged.who.filling.begin(), staged.who.filling.end());
  const TableKey key{operation.request.table, operation.request.key};
  const std::string object = encode(staged.filled);
  const std::string settled = encode(operation.dots);
  if (answer_at_once(operation, others, staged.who.absent)) {
    replicate(others, 0, partition, key, object, settled);
    return;
  }
  for (const OwnerOutcome& absent : staged.who.absent) operation.asked.tell(absent.node, absent.state);
  operation.asked.ask(shard_.members.self(), "not durable yet");
  for (const NodeId& node : others) operation.asked.ask(node);
  const uint64_t id = begin(std::move(staged.operation));
  replicate(others, id, partition, key, object, settled);
  own_writes_.emplace_back(lsn, id);
}

void Coordinator::answer_alone(OperationState& operation) {
  operation.response.asked = operation.response.received = 1;
  reply(operation);
}

// This node's own copy is all that the level asks for, and it need not be durable first: nobody's
// acknowledgement is wanted, nothing is kept. False: the level asks for more.
bool Coordinator::answer_at_once(OperationState& operation, const std::vector<NodeId>& others,
                                 const std::vector<OwnerOutcome>& absent) {
  if (shard_.outbox.waits_for_durable()) return false;
  const NodeId& self = shard_.members.self();
  Count own;
  count(operation.partition, self, own);
  const size_t stored = counted(operation, own);
  if (stored < operation.response.needed) return false;
  operation.response.received = static_cast<uint32_t>(stored);
  operation.asked.tell_stored(self);
  for (const NodeId& node : others) operation.asked.tell(node, "no answer");
  for (const OwnerOutcome& one : absent) operation.asked.tell(one.node, one.state);
  reply(operation);
  return true;
}

// Decides about the write and adds it to the group. ok: it is staged, and if it is to be sent, `filled` is
// what. Anything else: nothing was.
Result<Status, StoreError> Coordinator::stage(Now now, OperationState& operation, bool sends,
                                              Object& filled) {
  const Request& request = operation.request;
  if (shard_.writes_refused) return Status::disk_full;
  Replica::Edit& edit =
      group_.edit(shard_.replica.at(operation.partition), shard_.placing(operation.partition));
  TableKey key{request.table, request.key};
  auto object = overwrites_all(request) ? edit.read_dots(key) : edit.read(key);
  if (!object) return object.error();
  filled = std::move(*object);
  Status allowed = check_conditions(request, filled, now);
  if (allowed != Status::ok) return allowed;
  const bool changes = request.operation == Operation::change;
  allowed = changes ? change(now, operation, edit, filled) : put_value(now, operation, edit, filled);
  if (allowed != Status::ok) return allowed;
  operation.response.siblings = siblings_of(filled);
  edit.put(key, sends ? filled : std::move(filled), operation.dots);
  // What the client has seen now: what it said, and its own write. Siblings that it has not read stay
  // siblings.
  operation.response.context = changes ? Context{} : request.context.value_or(Context{});
  operation.response.context.join(operation.dots);
  return Status::ok;
}

Status Coordinator::put_value(Now now, OperationState& operation, Replica::Edit& edit, Object& filled) {
  const Request& request = operation.request;
  Hlc newest_seen;
  for (const Version& version : filled.versions) newest_seen = std::max(newest_seen, version.time);
  if (!bug(Bug::write_ignores_context)) {
    if (request.context) discard(filled, *request.context);
    if (request.conflicts == Conflicts::last_write_wins || request.overwrite) {
      for (const Version& version : filled.versions) filled.context.add(version.dot);
      filled.versions.clear();
    }
  }
  uint64_t bytes = request.value.size() + value_bytes(filled);
  const auto values =
      std::count_if(filled.versions.begin(), filled.versions.end(),
                    [](const Version& version) { return version.kind == VersionKind::value; });
  bool too_many = static_cast<uint64_t>(values) >= shard_.options.siblings_max ||
                  (!filled.versions.empty() && bytes > shard_.object_bytes_max());
  if (request.operation == Operation::put && too_many) return Status::too_many_siblings;
  Dot dot = edit.mint(lives_.mint_actor());
  Hlc time = shard_.next_time(now, newest_seen);
  if (request.operation == Operation::put) {
    filled.versions.push_back(
        {dot, time, request.expires_ms, request.content_type, std::move(operation.request.value), {}, {}});
    sort_by_dot(filled);
  }
  bool forgets = bug(Bug::delete_forgets_dot) && request.operation == Operation::erase;
  if (!forgets) filled.context.add(dot);
  operation.response.dot = dot;
  operation.dots = DotSet{dot};
  return Status::ok;
}

// A removal, or a change that has nothing to add, takes a dot all the same: that is what others acknowledge.
Status Coordinator::change(Now now, OperationState& operation, Replica::Edit& edit, Object& filled) {
  const Request& request = operation.request;
  Hlc newest_seen;
  for (const Version& version : filled.versions) newest_seen = std::max(newest_seen, version.time);
  const Actor actor = lives_.mint_actor();
  const CoreOptions& options = shard_.options;
  const PlanOptions plan_options = {
      .actor = actor,
      .own_from = edit.known_from(actor),
      .time = shard_.next_time(now, newest_seen),
      .wall_ms = now.wall_ms,
      .elements_max = options.elements_max,
      .bytes_max = std::min(options.elements_bytes_max, shard_.object_bytes_max()),
      .tokens_max = options.tokens_max,
      .token_window_ms = options.token_window_ms};
  Plan planned = plan(filled, request.changes, request.expires_ms, request.conflicts, plan_options);
  if (planned.status != Status::ok) return planned.status;
  discard(filled, planned.covered);
  operation.dots.clear();
  for (Version& version : planned.added) {
    version.dot = edit.mint(actor);
    if (version.content_type.empty()) version.content_type = request.content_type;
    operation.dots.add(version.dot);
    operation.response.dot = version.dot;
    filled.versions.push_back(std::move(version));
  }
  if (planned.added.empty()) {
    operation.response.dot = edit.mint(actor);
    operation.dots.add(operation.response.dot);
  }
  sort_by_dot(filled);
  filled.context.join(operation.dots);
  operation.response.changed = std::move(planned.changed);
  return Status::ok;
}

// object, settled: encoded; settled may be empty.
void Coordinator::replicate(const std::vector<NodeId>& to, uint64_t operation, PartitionId id,
                            const TableKey& key, const std::string& object, const std::string& settled) {
  if (to.empty()) return;
  auto& message = *shard_.outbox.to_each(to).mutable_replicate();
  message.set_operation(operation);
  message.set_takes_many(true);
  message.set_partition(id.value);
  auto& item = *message.mutable_item();
  item.set_table(key.table);
  item.set_key(key.key);
  item.set_object(object);
  item.set_dots(settled);
}

void Coordinator::receive(Now now, const NodeId& from, const peer::Replicate& message, uint32_t from_shard) {
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
  const StagedMerge merge{from, from_shard, message.operation(), message.takes_many(), id};
  if (shard_.writes_refused) return acknowledge({merge}, Refusal::disk_full);
  // Nobody would ask it here any more.
  if (shard_.members.own().standing == Standing::removed) return acknowledge({merge}, Refusal::departed);
  if (!shard_.may_stand_in(id, content_bytes(key, *object)))
    return acknowledge({merge}, Refusal::stand_in_full);
  for (const Version& version : object->versions) shard_.heard_time(now, version.time);
  Replica::Edit& edit = group_.edit(shard_.replica.at(id), shard_.placing(id));
  auto changes = shard_.replica.merge_into(edit, key, std::move(*object), *settled);
  if (!changes) {
    shard_.store_failed(changes.error());
    return acknowledge({merge}, refusal_of(changes.error()));
  }
  ++(*changes ? shard_.stats.merges_applied : shard_.stats.merges_without_effect);
  staged_merges_.push_back(merge);
  staged_one(message.item().object().size());
}

void Coordinator::acknowledge(const std::vector<StagedMerge>& merges, Refusal refusal) {
  std::vector<Acknowledgement> begun;  // one for a peer's shard, mostly: one batch is one write
  for (const StagedMerge& merge : merges) {
    if (merge.operation == 0) continue;
    // What was there already may still wait for its sync: hence the partition's newest write.
    const Lsn lsn = refusal == Refusal::none ? shard_.replica.at(merge.partition).last_write : Lsn{0};
    const auto fits = [&](const Acknowledgement& other) {
      return other.lsn == lsn && other.first->from == merge.from &&
             other.first->from_shard == merge.from_shard;
    };
    const auto at = merge.takes_many ? std::find_if(begun.begin(), begun.end(), fits) : begun.end();
    if (at == begun.end()) {
      auto& ack = *shard_.outbox.to_after(merge.from, lsn, shard_.store.durable()).mutable_replicate_ack();
      ack.set_operation(merge.operation);
      ack.set_refusal(static_cast<uint32_t>(refusal));
      begun.push_back({&merge, lsn, &ack});
    } else {
      at->message->add_others(merge.operation);
    }
  }
}

void Coordinator::receive(Now, const NodeId& from, const peer::ReplicateAck& message) {
  acknowledged(from, message.operation(), static_cast<Refusal>(message.refusal()));
  for (const uint64_t id : message.others()) acknowledged(from, id, static_cast<Refusal>(message.refusal()));
}

void Coordinator::acknowledged(const NodeId& from, uint64_t id, Refusal refusal) {
  auto at = operations_.find(id);
  if (at == operations_.end() || at->second->kind != OperationState::Kind::write) return;
  Asked& asked = at->second->asked;
  if (!asked.stop_awaiting(from)) return;  // repeated, or not asked
  if (refusal == Refusal::none) {
    asked.tell_stored(from);
  } else {
    asked.tell(from, text_of(refusal));
  }
  write_acknowledged(id);
}

// What the key holds by now, in which the write is or which has overwritten it.
void Coordinator::replicate_again(const OperationState& operation, uint64_t id, const NodeId& node) {
  TableKey key{operation.request.table, operation.request.key};
  auto object = shard_.replica.read(shard_.replica.at(operation.partition), key);
  if (!object) return shard_.store_failed(object.error());  // gossip brings it there
  replicate({node}, id, operation.partition, key, encode(*object), encode(operation.dots));
}

void Coordinator::count(PartitionId id, const NodeId& node, Count& count) const {
  const Members& members = shard_.members;
  const bool owns = members.owns(node, id);
  count.owners += owns ? 1 : 0;
  if (!members.moves(id)) {
    count.others += owns ? 0 : 1;
    return;
  }
  const bool keeps = members.keeps(node, id);
  count.targets += members.is_target(node, id) ? 1 : 0;
  count.others += keeps ? 0 : 1;
  count.filling += keeps && !owns ? 1 : 0;
}

// While a partition moves, a strict write has to be at W of those that own it and at W of those that will: so
// it is seen whoever is asked next. As it stands now: a node may have become an owner since it was asked.
size_t Coordinator::counted(const OperationState& operation, const Count& count) const {
  if (operation.request.sloppy)
    return count.owners + count.others + std::min(count.filling, operation.stand_ins);
  const bool both = shard_.members.moves(operation.partition) && !bug(Bug::moving_counts_owners_alone);
  return both ? std::min(count.owners, count.targets) : count.owners;
}

void Coordinator::write_acknowledged(uint64_t id) {
  OperationState& operation = *operations_.at(id);
  uint32_t needed = operation.response.needed;
  if (bug(Bug::quorum_off_by_one) && needed > 1) --needed;
  Count count;
  for (const Asked::Replica& replica : operation.asked) {
    if (replica.stored) this->count(operation.partition, replica.node, count);
  }
  const size_t stored = counted(operation, count);
  operation.response.received = static_cast<uint32_t>(stored);
  if (stored >= needed) {
    reply(operation);
  } else if (!operation.answered) {
    for (const Asked::Replica& replica : operation.asked) {
      if (replica.awaited) this->count(operation.partition, replica.node, count);
    }
    // Tried, and known not to get enough any more: no use in waiting.
    if (counted(operation, count) < needed) fail(operation, Status::timeout);
  }
  finish_if_done(id);
}

void Coordinator::erase_own(Now now, PartitionId id, const TableKey& key, const Context& context) {
  auto begun = pool_.make();
  OperationState& operation = *begun;
  operation.request.operation = Operation::erase;
  operation.request.table = key.table;
  operation.request.key = key.key;
  operation.request.level = Level{Level::Kind::one};
  operation.request.context = context;
  operation.partition = id;
  operation.deadline_us = now.tick_us + 1'000'000;
  operation.response.needed = 1;
  operation.response.owners = shard_.options.replicas;
  start_write(now, std::move(begun));
  write_staged();  // the caller looks at the next key
}

}  // namespace covey
