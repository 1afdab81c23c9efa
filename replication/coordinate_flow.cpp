// Coordinator: how much may be in flight, and what happens where there is no room.
//
// - A write is forgotten once its client is answered: its dot is in the log, and gossip brings it to
//   whoever has not acknowledged it.
// - A read that is answered trails on, for the sake of read repair, until all whom it asked have answered
//   or its time is over. Trailing reads count apart, and the oldest make room: gossip repairs the rest.
// - What the reads in flight hold is bounded: beyond the bound new ones wait their turn within their time.
// - What there is no room to send is sent again within the request's time: a write to a replica, a
//   question to one, and its answer, for which it says that it is busy.
// - Nothing waits for a replica whose process is gone.
#include <algorithm>

#include "replication/coordinator.h"
#include "replication/peer_messages.h"

namespace covey {
namespace {

constexpr uint64_t pause_us_least = 10'000;
constexpr uint32_t pause_doublings_max = 4;

// In place of a reply that there was no room for, unless that said as little.
template <class Reply>
void reply_busy(Outbox& outbox, const NodeId& to, const Reply& unsent, Reply* (peer::Envelope::*body)()) {
  if (unsent.refusal() != 0) return;
  Reply& reply = *(outbox.to(to).*body)();
  reply.set_operation(unsent.operation());
  reply.set_refusal(static_cast<uint32_t>(Refusal::busy));
}

}  // namespace

void Coordinator::add_answer(OperationState& operation, ReadAnswer answer) {
  uint64_t bytes = value_bytes(answer.object);
  for (const auto& [key, row] : answer.rows) bytes += key.size() + value_bytes(row);
  operation.read_bytes += bytes;
  read_bytes_ += bytes;
  operation.read.add(std::move(answer));
}

void Coordinator::drop(Operations::iterator at) { take(at); }

Coordinator::OperationPointer Coordinator::take(Operations::iterator at) {
  OperationPointer operation = std::move(at->second);
  deadlines_.erase({operation->deadline_us, at->first});
  trailing_.erase(at->first);
  read_bytes_ -= operation->read_bytes;
  operations_.erase(at);
  return operation;
}

void Coordinator::finish_if_done(uint64_t id) {
  auto at = operations_.find(id);
  if (at == operations_.end() || !at->second->answered) return;
  if (!at->second->reads() || at->second->asked.awaited() == 0) {
    drop(at);
    return;
  }
  trailing_.insert(id);
  if (trailing_.size() > shard_.options.operations_max) end_oldest_trailing();
}

void Coordinator::end_oldest_trailing() {
  auto at = operations_.find(*trailing_.begin());
  COVEY_ASSERT(at != operations_.end());
  repair_readers(*at->second);
  drop(at);
}

bool Coordinator::room_for_reads() {
  while (read_bytes_ >= shard_.options.read_bytes_max && !trailing_.empty()) end_oldest_trailing();
  return read_bytes_ < shard_.options.read_bytes_max;
}

void Coordinator::start_queued(Now now) {
  while (!queued_.empty() && room_for_reads()) {
    auto at = operations_.find(queued_.front());
    queued_.pop_front();
    if (at == operations_.end()) continue;  // its time is over
    OperationPointer operation = take(at);
    operation->queued = false;
    start_read(now, std::move(operation));
  }
}

void Coordinator::told_busy(Now now, uint64_t id, const NodeId& from) {
  auto at = operations_.find(id);
  if (at == operations_.end() || !at->second->asked.awaits(from)) return;
  OperationState& operation = *at->second;
  ++shard_.stats.busy_replicas;
  operation.asked.tell(from, text_of(Refusal::busy));
  if (operation.answered) {
    operation.asked.stop_awaiting(from);
    if (operation.asked.awaited() == 0) repair_readers(operation);
    finish_if_done(id);
    return;
  }
  uint32_t doublings = std::min(operation.times_busy++, pause_doublings_max);
  ask_again_.insert({now.tick_us + (pause_us_least << doublings), id, from});
}

void Coordinator::ask_again(Now now) {
  while (!ask_again_.empty() && std::get<0>(*ask_again_.begin()) <= now.tick_us) {
    auto [when, id, node] = *ask_again_.begin();
    ask_again_.erase(ask_again_.begin());
    auto at = operations_.find(id);
    if (at == operations_.end() || !at->second->asked.awaits(node)) continue;
    if (at->second->reads()) {
      ask(id, *at->second, node);
    } else {
      replicate_again(*at->second, id, node);
    }
  }
}

void Coordinator::give_up(Now now, const NodeId& node, const std::string& state) {
  write_staged();
  give_up_forwards(node, state);
  std::vector<uint64_t> concerned;
  for (const auto& [id, operation] : operations_) {
    if (operation->asked.awaits(node)) concerned.push_back(id);
  }
  for (const uint64_t id : concerned) {
    auto at = operations_.find(id);
    if (at == operations_.end() || !at->second->asked.stop_awaiting(node)) continue;
    at->second->asked.tell(node, state);
    ++shard_.stats.replicas_given_up;
    if (at->second->reads()) {
      read_progress(now, id);
    } else {
      write_acknowledged(id);
    }
  }
  start_queued(now);
}

// Gossip and repair mind for themselves what did not arrive.
void Coordinator::unsent(Now now, const NodeId& to, const peer::Envelope& message) {
  using Body = peer::Envelope::BodyCase;
  switch (message.body_case()) {
    case Body::kReplicate:
      told_busy(now, message.replicate().operation(), to);
      break;
    case Body::kFetch:
      told_busy(now, message.fetch().operation(), to);
      break;
    case Body::kScan:
      told_busy(now, message.scan().operation(), to);
      break;
    case Body::kFetchReply:
      reply_busy(shard_.outbox, to, message.fetch_reply(), &peer::Envelope::mutable_fetch_reply);
      break;
    case Body::kScanReply:
      reply_busy(shard_.outbox, to, message.scan_reply(), &peer::Envelope::mutable_scan_reply);
      break;
    case Body::kForward:
      forward_unsent(now, to, message.forward());
      break;
    default:
      break;
  }
}

}  // namespace covey
