#include "server/aggregate_peers.h"

#include <algorithm>
#include <utility>

namespace covey::server {
namespace {

constexpr size_t unsent_max = 16;  // replies of up to 8 MiB; one more is dropped
constexpr double unsent_us_max = 5e6;

void write_profile(const PartitionsAnswer& answer, peer::AggregateReply& out) {
  out.set_queue_us(answer.queue_us);
  out.set_apply_us(answer.apply_us);
  out.set_upload_us(answer.profile.scan.upload_us);
  out.set_scan_us(answer.profile.scan.scan_us);
  out.set_download_us(answer.profile.scan.download_us);
  out.set_merge_us(answer.profile.scan.merge_us);
  out.set_bytes_scanned(answer.profile.scan.bytes_scanned);
  out.set_shared_with(answer.shared_with);
  out.set_device(answer.profile.device);
  out.set_reason(answer.profile.reason);
}

PartitionsAnswer read_reply(const peer::AggregateReply& message) {
  PartitionsAnswer out;
  out.busy = message.error() == static_cast<uint32_t>(agg::ErrorCode::kCancelled);
  if (message.error() != 0 && !out.busy) {
    out.error =
        agg::Error{static_cast<agg::ErrorCode>(message.error()), message.message(), message.subject()};
    return out;
  }
  out.bytes = message.partials();
  for (int i = 0; i < message.unanswered_size(); ++i) {
    out.unanswered.emplace_back(message.unanswered(i), i < message.unanswered_reasons_size()
                                                           ? message.unanswered_reasons(i)
                                                           : "it was not answered");
  }
  out.conflicted_keys = message.conflicted_keys();
  out.lag_ms = message.lag_ms();
  out.stand_in_rows = message.stand_in_rows();
  out.queue_us = message.queue_us();
  out.apply_us = message.apply_us();
  out.profile.scan.upload_us = message.upload_us();
  out.profile.scan.scan_us = message.scan_us();
  out.profile.scan.download_us = message.download_us();
  out.profile.scan.merge_us = message.merge_us();
  out.profile.scan.bytes_scanned = message.bytes_scanned();
  out.shared_with = message.shared_with();
  out.profile.device = message.device();
  out.profile.reason = message.reason();
  return out;
}

bool enumerator(uint32_t number, uint32_t most) { return number >= 1 && number <= most; }

}  // namespace

AggregatePeers::AggregatePeers(ShardLoop& shard) : shard_(shard), last_(random_bits() >> 16) {}

uint64_t AggregatePeers::ask(const NodeId& node, const PartitionsAsk& ask, const Ask& more, Done done) {
  const uint64_t shards = shard_.node().shards.size();
  const uint64_t operation = ++last_ * shards + shard_.index();  // routes the answer back to this shard
  peer::Envelope envelope;
  peer::AggregateAsk& message = *envelope.mutable_aggregate_ask();
  message.set_operation(operation);
  message.set_table(ask.table->name());
  message.set_definition(ask.table->definition());
  message.set_queries(more.queries);
  message.set_siblings(static_cast<uint32_t>(more.siblings));
  message.set_device(static_cast<uint32_t>(ask.device));
  message.set_timeout_ms(more.timeout_ms);
  for (uint32_t partition : ask.partitions) message.add_partitions(partition);
  if (ask.refinement) message.set_refinement(ask.refinement->encode());
  if (!shard_.linked(node) || !shard_.send(node, envelope)) return 0;
  awaited_.emplace(operation, Awaited{node, std::move(done)});
  return operation;
}

void AggregatePeers::receive(const NodeId& from, const peer::AggregateReply& message) {
  auto at = awaited_.find(message.operation());
  if (at == awaited_.end() || at->second.node != from) return;
  Done done = std::move(at->second.done);
  awaited_.erase(at);
  done(read_reply(message));
}

void AggregatePeers::refuse(const NodeId& to, const peer::AggregateAsk& message, const std::string& reason) {
  PartitionsAnswer answer;
  for (uint32_t partition : message.partitions()) answer.unanswered.emplace_back(partition, reason);
  reply(to, message.operation(), answer);
}

void AggregatePeers::receive(const NodeId& from, const peer::AggregateAsk& message) {
  auto table = shard_.column_feed().table(message.table());
  if (!table || table->definition() != message.definition())
    return refuse(from, message, "its table is defined otherwise there");
  auto queries = read_queries(message.table(), message.queries());
  const bool sound = queries.ok() && enumerator(message.siblings(), 4) && enumerator(message.device(), 3) &&
                     std::all_of(message.partitions().begin(), message.partitions().end(),
                                 [&](uint32_t id) { return id < shard_.node().config.partitions; });
  if (!sound) return refuse(from, message, "the other node did not understand the question");
  auto plan = agg::Plan::make(table->schema(), std::move(queries->queries),
                              {.siblings = static_cast<agg::Siblings>(message.siblings())});
  if (!plan) return refuse(from, message, "the other node did not understand the question");
  PartitionsAsk ask;
  ask.plan = std::make_shared<const agg::Plan>(std::move(*plan));
  ask.table = table;
  ask.key_sets = std::move(queries->key_sets);
  ask.device = static_cast<agg::DeviceChoice>(message.device());
  ask.partitions.assign(message.partitions().begin(), message.partitions().end());
  ask.encoded = true;
  ask.until_us = steady_us() + 1000.0 * message.timeout_ms();
  if (!message.refinement().empty()) {
    auto refinement = agg::Refinement::decode(*ask.plan, message.refinement());
    if (!refinement) return refuse(from, message, "the other node did not understand the question");
    ask.refinement = std::move(*refinement);
  }
  answer_partitions(shard_, std::move(ask),
                    [this, from, operation = message.operation()](PartitionsAnswer&& answer) {
                      reply(from, operation, answer);
                    });
}

void AggregatePeers::reply(const NodeId& to, uint64_t operation, const PartitionsAnswer& answer) {
  auto envelope = std::make_unique<peer::Envelope>();
  peer::AggregateReply& message = *envelope->mutable_aggregate_reply();
  message.set_operation(operation);
  std::optional<agg::Error> error = answer.error;
  if (answer.busy)
    error = agg::Error{agg::ErrorCode::kCancelled, "too much waits for the columns of a node", ""};
  if (answer.bytes.size() > share_bytes_max) {
    error =
        agg::Error{agg::ErrorCode::kTooLarge,
                   "a node's share of the answer is over the limit of 8388608 bytes between nodes: ask for "
                   "fewer groups at a time",
                   ""};
  }
  if (error) {
    message.set_error(static_cast<uint32_t>(error->code));
    message.set_message(error->message);
    message.set_subject(error->subject);
  } else {
    message.set_partials(answer.bytes);
    for (const auto& [partition, reason] : answer.unanswered) {
      message.add_unanswered(partition);
      message.add_unanswered_reasons(reason);
    }
    message.set_conflicted_keys(answer.conflicted_keys);
    message.set_lag_ms(answer.lag_ms);
    message.set_stand_in_rows(answer.stand_in_rows);
    write_profile(answer, message);
  }
  if (shard_.linked(to)) {
    // Whoever misses it asks another owner.
    if (!shard_.send(to, *envelope)) ++shard_.metrics().peer_messages_dropped_full;
  } else if (unsent_.size() < unsent_max) {
    unsent_.push_back({to, std::move(envelope), steady_us() + unsent_us_max});
  }
}

void AggregatePeers::tick() {
  std::erase_if(unsent_, [this](Unsent& unsent) {
    if (!shard_.linked(unsent.to)) return steady_us() > unsent.until_us;
    if (!shard_.send(unsent.to, *unsent.envelope)) ++shard_.metrics().peer_messages_dropped_full;
    return true;
  });
}

}  // namespace covey::server
