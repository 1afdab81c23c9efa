// Coordinator: reads and scans of one partition.

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/coordinator.h"
#include "replication/scan.h"

namespace covey {

void Coordinator::start_read(Now now, OperationPointer begun) {
  OperationState& operation = *begun;
  bool scans = operation.request.operation == Operation::scan;
  operation.kind = scans ? OperationState::Kind::scan : OperationState::Kind::read;
  if (try_local_read(now, operation)) return;
  Targets who = targets(now, operation.partition, operation.request.sloppy);
  operation.response.reachable = static_cast<uint32_t>(who.counted(operation.request.sloppy));
  if (operation.response.reachable < operation.response.needed) {
    operation.response.outcomes = who.absent;
    fail(operation, Status::unavailable);
    return;
  }
  if (!room_for_reads()) {
    operation.queued = true;
    ++shard_.stats.reads_queued;
    queued_.push_back(begin(std::move(begun)));
    return;
  }
  ++(scans ? shard_.stats.scans_coordinated : shard_.stats.reads_coordinated);

  for (const OwnerOutcome& absent : who.absent) operation.asked.tell(absent.node, absent.state);
  for (const NodeId& node : who.owners) operation.asked.ask(node);
  if (operation.request.sloppy) {
    for (const NodeId& node : who.stand_ins) operation.asked.ask(node);
  }
  for (const NodeId& node : who.holders) operation.asked.ask(node);
  const uint64_t id = begin(std::move(begun));
  // This node's own answer comes first: what it has, the others need not send.
  if (operation.asked.stop_awaiting(shard_.members.self())) read_own(operation);
  for (const Asked::Replica& replica : operation.asked) {
    if (replica.awaited) ask(id, operation, replica.node);
  }
  read_progress(now, id);
}

void Coordinator::ask(uint64_t id, const OperationState& operation, const NodeId& node) {
  const Request& request = operation.request;
  auto& envelope = shard_.outbox.to(node);
  if (operation.kind == OperationState::Kind::scan) {
    auto& message = *envelope.mutable_scan();
    message.set_operation(id);
    message.set_partition(operation.partition.value);
    message.set_table(request.table);
    message.set_start_key(request.start_key);
    message.set_prefix(request.prefix);
    message.set_limit(request.limit);
    return;
  }
  auto& message = *envelope.mutable_fetch();
  message.set_operation(id);
  message.set_partition(operation.partition.value);
  message.set_table(request.table);
  message.set_key(request.key);
  if (operation.read.answers().empty() || operation.read.answers()[0].node != shard_.members.self()) return;
  DotSet known;
  for (const Version& version : operation.read.answers()[0].object.versions) known.add(version.dot);
  message.set_known(encode(known));
}

// R = 1 at an owner that has everything, and no stand-in has anything: no other replica need be asked.
bool Coordinator::try_local_read(Now now, OperationState& operation) {
  if (operation.response.needed != 1 || !shard_.owns(operation.partition)) return false;
  const Partition& partition = shard_.replica.at(operation.partition);
  if (!partition.ready || !holders(now, partition).empty()) return false;
  ReadAnswer answer;
  auto refusal = read_here(shard_, operation.partition, operation.request, answer);
  if (refusal != Refusal::none) return false;  // the others may do better
  Response& response = operation.response;
  response.asked = response.received = 1;
  if (operation.kind == OperationState::Kind::scan) {
    ++shard_.stats.scans_coordinated;
    operation.read.add(std::move(answer));
    answer_read(now, operation);
  } else {
    ++shard_.stats.reads_coordinated;
    answer_object(now, operation, std::move(answer.object));
  }
  return true;
}

void Coordinator::read_own(OperationState& operation) {
  const NodeId& self = shard_.members.self();
  ReadAnswer answer;
  Refusal refusal = read_here(shard_, operation.partition, operation.request, answer);
  operation.asked.tell(self, text_of(refusal));
  if (refusal != Refusal::none) return;
  if (!answer.counts_strictly && !operation.request.sloppy) operation.asked.tell(self, "filling");
  add_answer(operation, std::move(answer));
}

void Coordinator::receive(Now, const NodeId& from, const peer::Fetch& message) {
  PartitionId id{message.partition()};
  auto known = message.known().empty() ? std::optional<DotSet>(DotSet{}) : decode_dot_set(message.known());
  if (!shard_.mine(id) || !is_table_key(message.table(), message.key()) || !known) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  auto& reply = *shard_.outbox.to(from).mutable_fetch_reply();
  reply.set_operation(message.operation());
  const Partition& partition = shard_.replica.at(id);
  auto object = shard_.replica.read(partition, {message.table(), message.key()});
  if (!object) {
    shard_.store_failed(object.error());
    reply.set_refusal(static_cast<uint32_t>(refusal_of(object.error())));
    return;
  }
  for (Version& version : object->versions) {
    if (!known->contains(version.dot)) continue;
    version.value.clear();
    version.name.clear();
  }
  reply.set_ready(partition.ready && shard_.owns(id));
  reply.set_object(encode(*object));
}

void Coordinator::receive(Now now, const NodeId& from, const peer::FetchReply& message) {
  auto at = operations_.find(message.operation());
  if (at == operations_.end() || at->second->kind != OperationState::Kind::read) return;
  auto object = decode_object(message.object());
  auto refusal = static_cast<Refusal>(message.refusal());
  if (!object && refusal == Refusal::none) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  if (refusal == Refusal::busy) return told_busy(now, message.operation(), from);
  if (!at->second->asked.stop_awaiting(from)) return;
  at->second->asked.tell(from, text_of(refusal));
  if (refusal == Refusal::none) {
    bool strictly = message.ready() && shard_.members.owns(from, at->second->partition);
    if (!strictly && !at->second->request.sloppy) at->second->asked.tell(from, "filling");
    // Values that were not sent are in this node's own answer, which is the first and so the one that merging
    // takes them from.
    add_answer(*at->second, {from, strictly, std::move(*object), {}, std::nullopt});
  }
  read_progress(now, message.operation());
  start_queued(now);
}

void Coordinator::receive(Now, const NodeId& from, const peer::Scan& message) {
  PartitionId id{message.partition()};
  if (!shard_.mine(id) || !is_table_name(message.table())) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  auto& reply = *shard_.outbox.to(from).mutable_scan_reply();
  reply.set_operation(message.operation());
  Refusal refusal = scan_for_peer(shard_, id, message, reply);
  reply.set_refusal(static_cast<uint32_t>(refusal));
}

void Coordinator::receive(Now now, const NodeId& from, const peer::ScanReply& message) {
  auto at = operations_.find(message.operation());
  if (at == operations_.end() || at->second->kind != OperationState::Kind::scan) return;
  auto refusal = static_cast<Refusal>(message.refusal());
  std::optional<ReadAnswer> answer;
  if (refusal == Refusal::none) {
    answer = decode_scan_reply(message);
    if (!answer) {
      ++shard_.stats.malformed_messages_dropped;
      return;
    }
  }
  if (refusal == Refusal::busy) return told_busy(now, message.operation(), from);
  if (!at->second->asked.stop_awaiting(from)) return;
  at->second->asked.tell(from, text_of(refusal));
  if (answer) {
    answer->node = from;
    answer->counts_strictly = message.ready() && shard_.members.owns(from, at->second->partition);
    add_answer(*at->second, std::move(*answer));
  }
  read_progress(now, message.operation());
  start_queued(now);
}

void Coordinator::read_progress(Now now, uint64_t id) {
  OperationState& operation = *operations_.at(id);
  const size_t awaited = operation.asked.awaited();
  const bool awaits_more = awaited > 0;
  if (!operation.answered) {
    const bool sloppy = operation.request.sloppy;
    const uint32_t counted = operation.read.counted(sloppy);
    if (operation.read.enough(operation.response.needed, sloppy, awaits_more)) {
      answer_read(now, operation);
    } else if (counted + awaited < operation.response.needed || !awaits_more) {
      // Too few hold everything, whatever the others say: known, and not a matter of time.
      operation.response.received = counted;
      fail(operation, Status::unavailable);
    }
  }
  if (!awaits_more) repair_readers(operation);
  finish_if_done(id);
}

void Coordinator::answer_read(Now now, OperationState& operation) {
  Response& response = operation.response;
  const auto& answers = operation.read.answers();
  response.received = static_cast<uint32_t>(answers.size());
  if (operation.kind == OperationState::Kind::scan) {
    auto page = operation.read.merged_page(operation.request.limit);
    for (auto& [key, object] : page.rows) {
      Object live = live_for_client(std::move(object), operation.request.conflicts, now.wall_ms);
      if (!live.versions.empty()) response.rows.emplace_back(key, std::move(live));
    }
    response.next_key = std::move(page.next_key);
    reply(operation);
    return;
  }
  Object merged = operation.read.merged();
  for (const ReadAnswer& answer : answers) response.behind += same_versions(answer.object, merged) ? 0 : 1;
  answer_object(now, operation, std::move(merged));
}

void Coordinator::answer_object(Now now, OperationState& operation, Object merged) {
  Response& response = operation.response;
  response.object = live_for_client(std::move(merged), operation.request.conflicts, now.wall_ms);
  response.context = response.object.context;
  response.status = response.object.versions.empty() ? Status::not_found : Status::ok;
  reply(operation);
}

// Gives what all answers come to, to each owner that lacked some of it.
void Coordinator::repair_readers(OperationState& operation) {
  if (operation.kind != OperationState::Kind::read || operation.read.answers().size() < 2) return;
  Object merged = operation.read.merged();
  TableKey key{operation.request.table, operation.request.key};
  for (const ReadAnswer& answer : operation.read.answers()) {
    if (same_versions(answer.object, merged) || !shard_.members.owns(answer.node, operation.partition))
      continue;
    ++shard_.stats.read_repairs;
    if (!shard_.members.is_self(answer.node)) {
      replicate({answer.node}, 0, operation.partition, key, encode(merged), {});
      continue;
    }
    if (shard_.writes_refused) continue;
    Replica::Edit edit(shard_.replica, shard_.replica.at(operation.partition),
                       shard_.placing(operation.partition));
    auto done = shard_.replica.merge_into(edit, key, merged, {});
    Result<bool, StoreError> written = done ? edit.commit() : Result<bool, StoreError>(done.error());
    if (!written) shard_.store_failed(written.error());
  }
}

}  // namespace covey
