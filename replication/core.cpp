#include "replication/core.h"

#include <bit>

#include "replication/bugs.h"
#include "replication/core_parts.h"

namespace covey {

namespace {

// Whether the message may be taken while writes are staged: it is one itself, or does not look at the
// replica.
bool joins_staged(const peer::Envelope& message) {
  using Body = peer::Envelope::BodyCase;
  switch (message.body_case()) {
    case Body::kReplicate:
    case Body::kReplicateAck:
    case Body::kForward:
    case Body::kForwardReply:
    case Body::kDetection:
      return true;
    default:
      return false;
  }
}

}  // namespace

Core::Core(CoreOptions options, Store& store) {
  COVEY_ASSERT(std::has_single_bit(options.partitions));
  COVEY_ASSERT(options.replicas >= 1 && options.shards >= 1 && options.shard < options.shards);
  if (bug(Bug::ack_before_sync)) options.wait_for_durable = false;
  parts_ = std::make_unique<Parts>(std::move(options), store);
}

Core::~Core() = default;

Result<Done, StoreError> Core::start(Now now, const Identity& identity, const std::vector<Member>& members) {
  Shard& shard = parts_->shard;
  auto loaded = shard.replica.load();
  if (!loaded) return loaded.error();
  auto tables = parts_->tables.load();
  if (!tables) return tables.error();
  for (uint32_t id = shard.options.shard; id < shard.options.partitions; id += shard.options.shards) {
    shard.replica.at(PartitionId{id});
  }
  for (const auto& [id, partition] : shard.replica.partitions()) shard.told_ready(partition);
  auto known = parts_->members.load();
  if (!known) return known.error();
  parts_->members.start(identity.fresh);
  for (const Member& member : members) shard.members.add(member, false);
  parts_->lives.start(identity);
  parts_->detection.start(now, identity.incarnation);
  if (identity.restored && !bug(Bug::restored_is_ready)) {
    auto done = parts_->lives.refill_all();
    if (!done) return done.error();
  }
  shard.next_time(now, {});
  return Done{};
}

void Core::tick(Now now) {
  parts_->coordinator.write_staged();
  durable(now);
  parts_->coordinator.tick(now);
  parts_->lives.tick(now);
  parts_->detection.tick(now);
  parts_->repair.tick(now);
  parts_->gossip.tick(now);
  parts_->upkeep.tick(now);
  parts_->scrub.tick(now);
  if (!parts_->shard.writes_refused) parts_->tables.tick(now);
}

void Core::durable(Now now) {
  parts_->shard.outbox.release(parts_->shard.store.durable());
  parts_->coordinator.durable();
  if (!parts_->repair.has_arrived()) return;
  parts_->coordinator.write_staged();
  parts_->repair.take_in_written();
  parts_->gossip.tell_filled();
  parts_->upkeep.go_on(now);
}

void Core::request(Now now, RequestId id, Request request) {
  parts_->coordinator.request(now, id, std::move(request));
}

void Core::receive(Now now, const NodeId& from, const peer::Envelope& message) {
  Shard& shard = parts_->shard;
  using Body = peer::Envelope::BodyCase;
  if (message.body_case() != Body::kHello &&
      !shard.members.accept_incarnation(from, message.shard(), message.incarnation())) {
    ++shard.stats.stale_messages_dropped;
    return;
  }
  if (message.body_case() != Body::kHello && message.body_case() != Body::kWelcome)
    shard.members.heard(now, from);
  auto& [own, members, lives, coordinator, repair, tables, gossip, upkeep, scrub, detection] = *parts_;
  if (!joins_staged(message)) coordinator.write_staged();
  switch (message.body_case()) {
    case Body::kHello:
      lives.receive(now, from, message.incarnation(), message.hello());
      upkeep.leave_moved();
      break;
    case Body::kWelcome:
      lives.receive(from, message.welcome());
      break;
    case Body::kDigest:
      gossip.receive(now, from, message.digest());
      upkeep.leave_moved();
      break;
    case Body::kClockTell:
      gossip.receive(now, from, message.clock_tell());
      upkeep.told(PartitionId{message.clock_tell().partition()});
      break;
    case Body::kPush:
      gossip.receive(now, from, message.push());
      upkeep.told_unlogged(now, PartitionId{message.push().partition()});
      break;
    case Body::kReplicate:
      coordinator.receive(now, from, message.replicate(), message.shard());
      break;
    case Body::kReplicateAck:
      coordinator.receive(now, from, message.replicate_ack());
      break;
    case Body::kFetch:
      coordinator.receive(now, from, message.fetch());
      break;
    case Body::kFetchReply:
      coordinator.receive(now, from, message.fetch_reply());
      break;
    case Body::kScan:
      coordinator.receive(now, from, message.scan());
      break;
    case Body::kScanReply:
      coordinator.receive(now, from, message.scan_reply());
      break;
    case Body::kForward:
      coordinator.receive(now, {from, message.shard()}, message.forward(), message.incarnation());
      break;
    case Body::kForwardReply:
      coordinator.receive(now, from, message.forward_reply());
      break;
    case Body::kRepairOpen:
      repair.receive(now, from, message.repair_open());
      break;
    case Body::kRepairNext:
      repair.receive(now, from, message.repair_next());
      break;
    case Body::kRepairChunk:
      repair.receive(now, from, message.repair_chunk());
      gossip.tell_filled();
      upkeep.go_on(now);
      break;
    case Body::kTables:
      tables.receive(now, message.tables());
      break;
    case Body::kDetection:
      detection.receive(now, from, message.detection());
      break;
    case Body::kAggregateAsk:  // these are for the server around the core
    case Body::kAggregateReply:
    case Body::kAggregateMore:
    case Body::BODY_NOT_SET:
      ++shard.stats.malformed_messages_dropped;
      break;
  }
}

void Core::link(Now now, const NodeId& peer, bool up) { link(now, peer, up, {}); }

void Core::link(Now now, const NodeId& peer, bool up, std::vector<Output::Send> unsent) {
  parts_->coordinator.write_staged();
  parts_->shard.members.link(now, peer, up);
  parts_->detection.link(now, peer, up);
  if (!up) return parts_->coordinator.link_lost(now, peer, std::move(unsent));
  parts_->lives.link_up(peer);
  parts_->gossip.link_up(now, peer);
}

void Core::unsent(Now now, const NodeId& to, const peer::Envelope& message) {
  parts_->coordinator.write_staged();
  parts_->coordinator.unsent(now, to, message);
}

void Core::add_member(Now now, const Member& member) {
  parts_->coordinator.write_staged();
  parts_->members.add(now, member, true);
}

Result<Member, StoreError> Core::decide(Now now, const Member& member) {
  parts_->coordinator.write_staged();
  auto decided = parts_->members.decide(now, member);
  parts_->upkeep.leave_moved();
  if (decided) parts_->lives.say_hello_to_all();
  return decided;
}

void Core::learn(Now now, const Verdict& verdict) { parts_->detection.learn(now, verdict); }

void Core::refused(Now now, const NodeId& peer) {
  parts_->coordinator.give_up(now, peer, "connection refused");
}

void Core::refuse_writes(bool refuse) { parts_->shard.writes_refused = refuse; }

Result<Done, StoreError> Core::put_table(Now now, const Table& table) {
  parts_->coordinator.write_staged();
  return parts_->tables.put(now, table);
}
Result<Done, StoreError> Core::declare_table(const Table& table) {
  parts_->coordinator.write_staged();
  return parts_->tables.declare(table);
}
Result<Done, StoreError> Core::drop_table(Now now, const std::string& name) {
  parts_->coordinator.write_staged();
  return parts_->tables.drop(now, name);
}

bool Core::check_copies(const std::set<NodeId>& except) { return parts_->scrub.start(except); }
std::vector<CopyCheck> Core::copy_checks() const { return parts_->scrub.checks(); }
bool Core::checking_copies() const { return parts_->scrub.running(); }

Output Core::drain() {
  parts_->coordinator.write_staged();
  return parts_->shard.outbox.drain();
}

uint64_t Core::answer_bytes() const { return parts_->shard.outbox.answer_bytes(); }

std::vector<Table> Core::tables() const { return parts_->tables.all(); }
bool Core::purging(const std::string& table) const { return parts_->tables.purging(table); }
const CoreStats& Core::stats() const { return parts_->shard.stats; }
uint32_t Core::local_health() const { return parts_->detection.local_health(); }
Actor Core::actor() const { return parts_->lives.actor(); }
uint64_t Core::life() const { return parts_->lives.life(); }
bool Core::unconfirmed() const { return parts_->lives.unconfirmed(); }
uint64_t Core::incarnation() const { return parts_->lives.incarnation(); }
size_t Core::operations_in_flight() const { return parts_->coordinator.unanswered(); }

bool Core::quiet() const {
  return parts_->coordinator.idle() && parts_->gossip.quiet() && parts_->repair.quiet() &&
         !parts_->scrub.running() && parts_->shard.outbox.held() == 0;
}

}  // namespace covey
