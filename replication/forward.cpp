// Coordinator: writes for partitions that this node does not own go to an owner.
//
// When the connection to it ends, or it is declared dead, they are not left to their time limit. One that has
// not left this node goes to another owner. Of any other nobody knows whether it was done: a second try could
// do it twice.
#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/coordinator.h"
#include "replication/plan.h"

namespace covey {
namespace {

// nullopt: malformed.
std::optional<Request> request_of(const peer::Forward& message) {
  Request request;
  request.operation = static_cast<Operation>(message.kind());
  request.table = message.table();
  request.key = message.key();
  request.level = {static_cast<Level::Kind>(message.level_kind()), message.level_count()};
  request.sloppy = message.sloppy();
  request.timeout_ms = message.timeout_ms();
  request.conflicts = static_cast<Conflicts>(message.conflicts());
  request.value = message.value();
  request.content_type = message.content_type();
  request.expires_ms = message.expires_ms();
  request.if_absent = message.if_absent();
  request.overwrite = message.overwrite();
  if (message.has_if_match())
    request.if_match = Dot{{message.if_match_actor()}, {message.if_match_counter()}};
  for (const peer::Change& change : message.changes()) {
    const bool known = change.kind() < static_cast<uint32_t>(ChangeKind::count);
    request.changes.push_back(
        {known ? static_cast<ChangeKind>(change.kind()) : ChangeKind::count, change.name(), change.value()});
  }
  const bool changes = request.operation == Operation::change;
  bool sound = message.kind() <= static_cast<uint32_t>(Operation::change) && writes(request.operation) &&
               (changes ? covey::sound(request.changes) : request.changes.empty()) &&
               is_table_key(request.table, request.key) && message.operation() != 0 &&
               message.level_kind() <= static_cast<uint32_t>(Level::Kind::count) && message.conflicts() <= 1;
  if (sound && message.has_context()) {
    request.context = decode_dot_set(message.context());
    sound = request.context.has_value();
  }
  return sound ? std::optional(std::move(request)) : std::nullopt;
}

}  // namespace

void Coordinator::forward(Now, OperationPointer begun, const NodeId& target) {
  OperationState& operation = *begun;
  operation.kind = OperationState::Kind::forward;
  operation.asked.ask(target);
  ++shard_.stats.forwarded;
  Request request = std::move(operation.request);
  operation.request.operation = request.operation;
  const uint64_t id = begin(std::move(begun));
  auto& message = *shard_.outbox.to(target).mutable_forward();
  message.set_operation(id);
  message.set_kind(static_cast<uint32_t>(request.operation));
  message.set_table(request.table);
  message.set_key(request.key);
  message.set_level_kind(static_cast<uint32_t>(request.level.kind));
  message.set_level_count(request.level.count);
  message.set_sloppy(request.sloppy);
  message.set_timeout_ms(request.timeout_ms);
  message.set_conflicts(static_cast<uint32_t>(request.conflicts));
  if (request.context) {
    message.set_has_context(true);
    message.set_context(encode(*request.context));
  }
  message.set_value(request.value);
  message.set_content_type(request.content_type);
  message.set_expires_ms(request.expires_ms);
  message.set_if_absent(request.if_absent);
  message.set_overwrite(request.overwrite);
  for (Change& change : request.changes) {
    auto& sent = *message.add_changes();
    sent.set_kind(static_cast<uint32_t>(change.kind));
    sent.set_name(std::move(change.name));
    sent.set_value(std::move(change.value));
  }
  if (request.if_match) {
    message.set_has_if_match(true);
    message.set_if_match_actor(request.if_match->actor.value);
    message.set_if_match_counter(request.if_match->counter.value);
  }
}

bool Coordinator::is_repeated(const PeerShard& from, uint64_t incarnation, uint64_t operation) {
  constexpr size_t seen_max = 10'000;
  Forwarded& known = forwarded_[from];
  if (known.incarnation != incarnation) known = {incarnation, 0, {}};
  if (operation <= known.floor || !known.seen.insert(operation).second) return true;
  if (known.seen.size() > seen_max) {
    known.floor = *known.seen.begin();
    known.seen.erase(known.seen.begin());
  }
  return false;
}

void Coordinator::receive(Now now, const PeerShard& from, const peer::Forward& message,
                          uint64_t incarnation) {
  auto request = request_of(message);
  if (!request || !shard_.mine(partition_of(request->table, request->key, shard_.options.partitions))) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  if (is_repeated(from, incarnation, message.operation())) return;
  start(now, Asker{std::nullopt, from.first, message.operation()}, std::move(*request));
}

void Coordinator::forward_unsent(Now now, const NodeId& to, const peer::Forward& message) {
  auto at = operations_.find(message.operation());
  if (at == operations_.end() || !at->second->asked.stop_awaiting(to)) return;
  if (shard_.members.linked(to)) {
    at->second->asked.tell(to, text_of(Refusal::busy));
    fail(*at->second, Status::overloaded);
    finish_if_done(message.operation());
    return;
  }
  auto request = request_of(message);
  COVEY_ASSERT(request);
  OperationPointer operation = take(at);
  operation->request = std::move(*request);
  operation->asked.clear();
  ++shard_.stats.forwards_moved;
  start_write(now, std::move(operation));
}

void Coordinator::link_lost(Now now, const NodeId& peer, std::vector<Output::Send> unsent) {
  for (Output::Send& send : shard_.outbox.withdraw_forwards(peer)) unsent.push_back(std::move(send));
  for (const Output::Send& send : unsent) {
    if (send.message->has_forward()) forward_unsent(now, peer, send.message->forward());
  }
  give_up_forwards(peer, "connection lost");
}

void Coordinator::give_up_forwards(const NodeId& node, const std::string& state) {
  std::vector<uint64_t> concerned;
  for (const auto& [id, operation] : operations_) {
    if (operation->kind == OperationState::Kind::forward && operation->asked.awaits(node))
      concerned.push_back(id);
  }
  for (const uint64_t id : concerned) {
    OperationState& operation = *operations_.at(id);
    operation.asked.stop_awaiting();
    operation.asked.tell(node, state);
    ++shard_.stats.forwards_lost;
    fail(operation, bug(Bug::lost_forward_is_refused) ? Status::unavailable : Status::timeout);
    finish_if_done(id);
  }
}

void Coordinator::receive(Now, const NodeId& from, const peer::ForwardReply& message) {
  auto at = operations_.find(message.operation());
  if (at == operations_.end() || at->second->kind != OperationState::Kind::forward) return;
  auto context = decode_dot_set(message.context());
  bool sound = context && message.status() < static_cast<uint32_t>(Status::count) &&
               message.outcome_nodes_size() == message.outcome_states_size();
  if (!sound || !at->second->asked.stop_awaiting(from)) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  OperationState& operation = *at->second;
  Response& response = operation.response;
  response.status = static_cast<Status>(message.status());
  response.context = std::move(*context);
  response.dot = {{message.dot_actor()}, {message.dot_counter()}};
  response.siblings = message.siblings();
  response.changed = {message.value(), message.added(), message.removed(), message.repeated()};
  response.needed = message.needed();
  response.owners = message.owners();
  response.received = message.received();
  response.reachable = message.reachable();
  operation.asked.clear();
  for (int i = 0; i < message.outcome_nodes_size(); ++i) {
    operation.asked.tell(NodeId{message.outcome_nodes(i)}, message.outcome_states(i));
  }
  reply(operation);
  finish_if_done(message.operation());
}

}  // namespace covey
