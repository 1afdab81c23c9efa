#include "server/aggregate_peers.h"

#include <algorithm>
#include <utility>

namespace covey::server {
namespace {

constexpr size_t unsent_max = 16;  // replies of about a piece; one more is dropped
constexpr double unsent_us_max = 5e6;
constexpr double piece_us_max = 500'000;  // then it is asked for again

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
  out.lost = message.gone();
  out.bytes = message.partials();
  for (const peer::AggregateWitness& witness : message.witnesses()) {
    out.witnesses.push_back({witness.partition(), witness.bits_low(), witness.bits_high(), witness.clock(),
                             witness.at_ms(), witness.next_expiry_ms()});
  }
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

agg::Error too_long(const std::string& what, size_t limit, const char* setting = nullptr) {
  return {agg::ErrorCode::kTooLarge,
          what + " is over the limit of " + std::to_string(limit) + " bytes" +
              (setting ? std::string(" (") + setting + ")" : "") + ": ask for fewer groups at a time",
          ""};
}

agg::Error share_too_long(size_t limit) {
  return too_long("a node's share of the answer", limit, "aggregation.share_mb");
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
  message.set_witnessed(ask.witnessed);
  message.set_witness_only(ask.witness_only);
  for (uint32_t partition : ask.partitions) message.add_partitions(partition);
  if (ask.refinement) message.set_refinement(ask.refinement->encode());
  if (message.queries().size() + message.refinement().size() > ask_bytes_max) {
    awaited_.emplace(operation, Awaited{node, std::move(done), more.gathered});
    shard_.mailbox().post([this, operation] {
      PartitionsAnswer answer;
      answer.error = too_long("what has to be asked of another node", ask_bytes_max);
      end(operation, std::move(answer));
    });
    return operation;
  }
  if (!shard_.linked(node) || !shard_.send(node, envelope)) return 0;
  awaited_.emplace(operation, Awaited{node, std::move(done), more.gathered});
  return operation;
}

void AggregatePeers::end(uint64_t operation, PartitionsAnswer&& answer) {
  auto at = awaited_.find(operation);
  if (at == awaited_.end()) return;
  Done done = std::move(at->second.done);
  awaited_.erase(at);
  done(std::move(answer));
}

void AggregatePeers::receive(const NodeId& from, const peer::AggregateReply& message) {
  auto at = awaited_.find(message.operation());
  if (at == awaited_.end() || at->second.node != from) return;
  Awaited& awaited = at->second;
  if (!take_piece(awaited, message)) return;
  PartitionsAnswer answer = std::move(awaited.answer);
  const bool whole = answer.bytes.size() == awaited.total_bytes;
  const bool ended = answer.error || answer.busy || answer.lost || whole;
  if (awaited.ticket != 0 && (whole || !ended))
    ask_more(message.operation(), awaited, answer.bytes.size());  // at the end: it need not be kept any more
  if (ended) return end(message.operation(), std::move(answer));
  awaited.answer = std::move(answer);
}

// false: it is not the piece that is awaited; one that was asked for twice comes twice.
bool AggregatePeers::take_piece(Awaited& awaited, const peer::AggregateReply& message) {
  PartitionsAnswer& answer = awaited.answer;
  if (message.offset() != answer.bytes.size() || (awaited.ticket == 0) != (message.offset() == 0)) {
    if (!message.gone()) return false;
  }
  if (awaited.ticket != 0) {
    answer.lost = message.gone() || message.partials().empty() ||
                  message.total_bytes() != awaited.total_bytes ||
                  message.partials().size() > awaited.total_bytes - answer.bytes.size();
    answer.bytes.append(message.partials());
    return true;
  }
  answer = read_reply(message);
  const size_t bytes = answer.bytes.size();
  awaited.total_bytes = std::max<uint64_t>(bytes, message.total_bytes());
  awaited.ticket = message.ticket();
  const Config& config = shard_.node().config;
  const uint64_t together_max = config.aggregation_answer_bytes;
  if (awaited.gathered) *awaited.gathered += std::min<uint64_t>(awaited.total_bytes, together_max + 1);
  if (awaited.total_bytes > config.aggregation_share_bytes)
    answer.error = share_too_long(config.aggregation_share_bytes);
  if (awaited.gathered && *awaited.gathered > together_max) {
    answer.error =
        too_long("what all nodes' shares of the answer add up to", together_max, "aggregation.answer_mb");
  }
  if (bytes < awaited.total_bytes && (bytes == 0 || awaited.ticket == 0)) answer.lost = true;
  return true;
}

void AggregatePeers::ask_more(uint64_t operation, Awaited& awaited, size_t offset) {
  awaited.asked_us = steady_us();
  peer::Envelope envelope;
  peer::AggregateMore& message = *envelope.mutable_aggregate_more();
  message.set_operation(operation);
  message.set_ticket(awaited.ticket);
  message.set_offset(offset);
  // What does not get through is asked for again.
  if (shard_.linked(awaited.node) && !shard_.send(awaited.node, envelope))
    ++shard_.metrics().peer_messages_dropped_full;
}

void AggregatePeers::refuse(const NodeId& to, const peer::AggregateAsk& message, const std::string& reason) {
  PartitionsAnswer answer;
  for (uint32_t partition : message.partitions()) answer.unanswered.emplace_back(partition, reason);
  reply(to, message.operation(), std::move(answer), 0);
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
  ask.witnessed = message.witnessed();
  ask.witness_only = message.witnessed() && message.witness_only();
  ask.until_us = steady_us() + 1000.0 * message.timeout_ms();
  if (!message.refinement().empty()) {
    auto refinement = agg::Refinement::decode(*ask.plan, message.refinement());
    if (!refinement) return refuse(from, message, "the other node did not understand the question");
    ask.refinement = std::move(*refinement);
  }
  const double until_us = ask.until_us;
  answer_partitions(shard_, std::move(ask),
                    [this, from, until_us, operation = message.operation()](PartitionsAnswer&& answer) {
                      reply(from, operation, std::move(answer), until_us);
                    });
}

void AggregatePeers::reply(const NodeId& to, uint64_t operation, PartitionsAnswer&& answer, double until_us) {
  auto envelope = std::make_unique<peer::Envelope>();
  peer::AggregateReply& message = *envelope->mutable_aggregate_reply();
  message.set_operation(operation);
  const size_t bytes = answer.bytes.size();
  const size_t share_max = shard_.node().config.aggregation_share_bytes;
  answer.busy = answer.busy || (bytes > share_piece_bytes && kept_bytes_ + bytes > 2 * share_max);
  std::optional<agg::Error> error = answer.error;
  if (answer.busy)
    error = agg::Error{agg::ErrorCode::kCancelled, "too much waits for the columns of a node", ""};
  if (bytes > share_max) error = share_too_long(share_max);
  if (error) {
    message.set_error(static_cast<uint32_t>(error->code));
    message.set_message(error->message);
    message.set_subject(error->subject);
    return send_reply(to, std::move(envelope));
  }
  for (const auto& [partition, reason] : answer.unanswered) {
    message.add_unanswered(partition);
    message.add_unanswered_reasons(reason);
  }
  for (const PartitionWitness& witness : answer.witnesses) {
    peer::AggregateWitness& out = *message.add_witnesses();
    out.set_partition(witness.partition);
    out.set_bits_low(witness.bits_low);
    out.set_bits_high(witness.bits_high);
    out.set_clock(witness.clock);
    out.set_at_ms(witness.at_ms);
    out.set_next_expiry_ms(witness.next_expiry_ms);
  }
  message.set_conflicted_keys(answer.conflicted_keys);
  message.set_lag_ms(answer.lag_ms);
  message.set_stand_in_rows(answer.stand_in_rows);
  write_profile(answer, message);
  if (bytes <= share_piece_bytes) {
    message.set_partials(std::move(answer.bytes));
    return send_reply(to, std::move(envelope));
  }
  const uint64_t shards = shard_.node().shards.size();
  const uint64_t ticket = ++last_ * shards + shard_.index();  // brings what is asked with it to this shard
  message.set_partials(answer.bytes.substr(0, share_piece_bytes));
  message.set_total_bytes(bytes);
  message.set_ticket(ticket);
  kept_bytes_ += bytes;
  kept_.emplace(ticket, Kept{to, std::move(answer.bytes), until_us});
  send_reply(to, std::move(envelope));
}

void AggregatePeers::receive(const NodeId& from, const peer::AggregateMore& message) {
  auto envelope = std::make_unique<peer::Envelope>();
  peer::AggregateReply& reply = *envelope->mutable_aggregate_reply();
  reply.set_operation(message.operation());
  reply.set_offset(message.offset());
  auto at = kept_.find(message.ticket());
  if (at != kept_.end() && at->second.to == from && message.offset() == at->second.bytes.size()) {
    kept_bytes_ -= at->second.bytes.size();  // all has come
    kept_.erase(at);
    return;
  }
  if (at == kept_.end() || at->second.to != from || message.offset() >= at->second.bytes.size()) {
    reply.set_gone(true);
  } else {
    reply.set_partials(at->second.bytes.substr(message.offset(), share_piece_bytes));
    reply.set_total_bytes(at->second.bytes.size());
  }
  send_reply(from, std::move(envelope));
}

void AggregatePeers::send_reply(const NodeId& to, std::unique_ptr<peer::Envelope> envelope) {
  if (shard_.linked(to)) {
    // Whoever misses it asks again, or another owner.
    if (!shard_.send(to, *envelope)) ++shard_.metrics().peer_messages_dropped_full;
  } else if (unsent_.size() < unsent_max) {
    unsent_.push_back({to, std::move(envelope), steady_us() + unsent_us_max});
  }
}

void AggregatePeers::tick() {
  const double now_us = steady_us();
  std::erase_if(unsent_, [&](Unsent& unsent) {
    if (!shard_.linked(unsent.to)) return now_us > unsent.until_us;
    if (!shard_.send(unsent.to, *unsent.envelope)) ++shard_.metrics().peer_messages_dropped_full;
    return true;
  });
  std::erase_if(kept_, [&](const auto& kept) {
    if (now_us < kept.second.until_us) return false;
    kept_bytes_ -= kept.second.bytes.size();
    return true;
  });
  for (auto& [operation, awaited] : awaited_) {
    if (awaited.ticket != 0 && now_us > awaited.asked_us + piece_us_max)
      ask_more(operation, awaited, awaited.answer.bytes.size());
  }
}

}  // namespace covey::server
