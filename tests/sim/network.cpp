// The simulated network: connections that stand or not, and messages that are lost, late, repeated or
// damaged.
#include <algorithm>

#include "replication/hash.h"
#include "replication/peer.pb.h"
#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

constexpr size_t old_messages_max = 32;
constexpr size_t small_message_bytes = 100;

}  // namespace

void World::connect(size_t a, size_t b) {
  queue_.after(random_.between(1'000, 50'000), [this, a, b] {
    if (!machines_[a].up || !machines_[b].up) return;
    if (link(a, b).cut || link(b, a).cut || link(a, b).up) return;
    for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      link(from, to).up = true;
      link(from, to).bytes = 0;
      ++link(from, to).connection;
    }
    tell_link(a, b, true);
    tell_link(b, a, true);
  });
}

void World::disconnect(size_t a, size_t b) {
  for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    bool stood = link(from, to).up;
    link(from, to).up = false;
    ++link(from, to).connection;
    if (stood) tell_link(from, to, false);
  }
}

void World::tell_link(size_t node, size_t peer, bool up) {
  Machine& machine = machines_[node];
  when_running(machine, [this, &machine, peer, up] {
    for (ShardState& shard : machine.shards) {
      const auto tell = [&](Core& core, Now time) { core.link(time, machines_[peer].id, up); };
      // Requests of the pass may be on their way to that peer and not have left.
      up ? input(machine, shard, tell) : input_at_once(machine, shard, tell);
    }
  });
}

void World::reset_connection(Machine& a, Machine& b) {
  if (!link(a.index, b.index).up) return;
  totals.add("fault: connection reset");
  disconnect(a.index, b.index);
  connect(a.index, b.index);
}

// Messages from one to the other vanish. `noticed`: the connection breaks at once; else it just falls silent.
void World::cut(Machine& from, Machine& to, bool noticed) {
  if (link(from.index, to.index).cut) return;
  totals.add("fault: link cut");
  link(from.index, to.index).cut = true;
  if (noticed) disconnect(from.index, to.index);
}

void World::mend(Machine& from, Machine& to) {
  Link& one = link(from.index, to.index);
  if (!one.cut) return;
  one.cut = false;
  if (link(to.index, from.index).cut) return;
  // What was sent meanwhile is gone: the connection is made anew.
  disconnect(from.index, to.index);
  connect(from.index, to.index);
}

void World::mend_all() {
  for (Machine& from : machines_) {
    for (Machine& to : machines_) {
      if (from.index == to.index) continue;
      link(from.index, to.index).slow_us = 0;
      mend(from, to);
    }
  }
}

void World::slow_link(Machine& from, Machine& to, uint64_t delay_us) {
  totals.add("fault: slow link");
  link(from.index, to.index).slow_us = delay_us;
}

// As the server has it (PeerLink::send): one that is larger than all the room goes when it is the only one,
// and there is some more for small ones.
bool World::has_room(const Link& way, size_t bytes) const {
  if (rules.room_bytes == 0 || way.bytes == 0) return true;
  const uint64_t more = bytes <= small_message_bytes ? rules.room_bytes / 16 : 0;
  return way.bytes + bytes <= rules.room_bytes + more;
}

bool World::send(Machine& from, Output::Send& send) {
  size_t to = machine(send.to.name).index;
  std::string bytes = send.message->SerializeAsString();
  ++messages_by_kind_[std::to_string(send.message->body_case())];
  totals.add("messages");
  Link& way = link(from.index, to);
  if (!way.up) return true;
  if (!has_room(way, bytes.size())) {
    totals.add("fault: no room for a message");
    return false;
  }
  if (rules.replay_ppm > 0 && random_.chance_ppm(20'000)) {
    OldMessage old{from.index, to, from.run, bytes};
    if (old_messages_.size() < old_messages_max)
      old_messages_.push_back(std::move(old));
    else
      old_messages_[random_.below(old_messages_max)] = std::move(old);
  }
  if (!old_messages_.empty() && random_.chance_ppm(rules.replay_ppm)) {
    const OldMessage old = random_.pick(old_messages_);
    if (machines_[old.from].run != old.run && link(old.from, old.to).up) {
      totals.add("fault: message of an ended life");
      transmit(old.from, old.to, old.bytes);
    }
  }
  if (random_.chance_ppm(rules.loss_ppm)) {
    totals.add("fault: message lost");
    return true;
  }
  if (random_.chance_ppm(rules.corrupt_ppm)) {
    totals.add("fault: corrupt frame");
    reset_connection(from, machines_[to]);
    return true;
  }
  if (random_.chance_ppm(rules.garbage_ppm)) {
    totals.add("fault: garbage message");
    transmit(from.index, to, damaged(bytes));
  }
  if (random_.chance_ppm(rules.duplicate_ppm)) {
    totals.add("fault: message repeated");
    transmit(from.index, to, bytes);
  }
  transmit(from.index, to, bytes);
  return true;
}

void World::transmit(size_t from, size_t to, const std::string& bytes) {
  Link& way = link(from, to);
  way.bytes += bytes.size();
  if (way.cut) return;
  uint64_t arrival = now_us() + random_.between(rules.delay_min_us, rules.delay_max_us) + way.slow_us;
  if (rules.ordered) arrival = std::max(arrival, way.last_arrival_us);
  way.last_arrival_us = std::max(way.last_arrival_us, arrival);
  queue_.at(arrival,
            [this, from, to, connection = way.connection, bytes] { arrive(from, to, connection, bytes); });
}

void World::arrive(size_t from, size_t to, uint64_t connection, const std::string& bytes) {
  Machine& receiver = machines_[to];
  Link& way = link(from, to);
  if (way.connection == connection) way.bytes -= bytes.size();
  if (!receiver.up || way.cut || way.connection != connection) return;
  auto handle = [this, from, &receiver, bytes] {
    peer::Envelope message;
    mix(hash_bytes(bytes, now_us() * nodes_max + receiver.index));
    if (message.ParseFromString(bytes))
      dispatch(receiver, machines_[from].id, message);
    else
      totals.add("sometimes: a message could not be parsed");
  };
  if (receiver.slow_us == 0) {
    when_running(receiver, handle);
    return;
  }
  queue_.after(receiver.slow_us, [this, &receiver, run = receiver.run, handle] {
    if (receiver.run == run) when_running(receiver, handle);
  });
}

// Whether a later start of the sender has greeted this core.
bool World::is_of_ended_life(ShardState& shard, const NodeId& from, const peer::Envelope& message) {
  if (message.body_case() != peer::Envelope::kHello) {
    auto known = shard.incarnations.find({from, message.shard()});
    return known != shard.incarnations.end() && message.incarnation() < known->second;
  }
  const auto& hello = message.hello();
  if (hello.shard() >= hello.shards() || hello.actors_size() == 0) return false;
  uint64_t& newest = shard.incarnations[{from, hello.shard()}];
  newest = std::max(newest, message.incarnation());
  return false;
}

// It changes nothing and says nothing.
void World::receive_from_ended_life(Machine& to, ShardState& shard, const NodeId& from,
                                    const peer::Envelope& message) {
  if (shard.fed) after_input(to, shard);
  shard.core->receive(now(to), from, message);
  const Output output = shard.core->drain();
  require(output.sends.empty() && output.answers.empty() && shard.watched->take_changes().empty(),
          to.id.name + " has acted on a message of an earlier life of " + from.name);
}

// As the server does it: by partition, by the number of the operation that is answered, or to all shards.
void World::dispatch(Machine& to, const NodeId& from, const peer::Envelope& message) {
  using Body = peer::Envelope::BodyCase;
  auto by_partition = [&](uint32_t partition) { return static_cast<size_t>(partition % to.shards.size()); };
  auto by_operation = [&](uint64_t operation) { return static_cast<size_t>(operation % to.shards.size()); };
  std::optional<size_t> target;
  std::optional<TableKey> staged;
  const ClientOperation* operation = nullptr;
  switch (message.body_case()) {
    case Body::kHello:
    case Body::kWelcome:
    case Body::kDigest:
    case Body::kTables:
    case Body::kAggregateAsk:  // servers' own: a core sends none
    case Body::kAggregateReply:
    case Body::kAggregateMore:
    case Body::BODY_NOT_SET:
      break;
    case Body::kDetection:
      target = 0;
      break;
    case Body::kClockTell:
      target = by_partition(message.clock_tell().partition());
      break;
    case Body::kPush:
      target = by_partition(message.push().partition());
      break;
    case Body::kReplicate:
      target = by_partition(message.replicate().partition());
      staged = {message.replicate().item().table(), message.replicate().item().key()};
      break;
    case Body::kFetch:
      target = by_partition(message.fetch().partition());
      break;
    case Body::kScan:
      target = by_partition(message.scan().partition());
      break;
    case Body::kRepairOpen:
      target = by_partition(message.repair_open().partition());
      break;
    case Body::kRepairNext:
      target = by_partition(message.repair_next().partition());
      break;
    case Body::kRepairChunk:
      target = by_partition(message.repair_chunk().partition());
      break;
    case Body::kForward: {
      const auto& forward = message.forward();
      target = by_partition(partition_of(forward.table(), forward.key(), setup_.partitions).value);
      staged = {forward.table(), forward.key()};
      operation = tagged(forward.content_type());
      break;
    }
    case Body::kReplicateAck:
      target = by_operation(message.replicate_ack().operation());
      break;
    case Body::kFetchReply:
      target = by_operation(message.fetch_reply().operation());
      break;
    case Body::kScanReply:
      target = by_operation(message.scan_reply().operation());
      break;
    case Body::kForwardReply:
      target = by_operation(message.forward_reply().operation());
      break;
  }
  auto kind = message.body_case();
  bool answers = kind == Body::kReplicateAck || kind == Body::kForwardReply;
  bool reads = kind == Body::kFetch || kind == Body::kScan;
  for (size_t i = 0; i < to.shards.size(); ++i) {
    if (target && *target != i) continue;
    ShardState& shard = to.shards[i];
    if (is_of_ended_life(shard, from, message)) {
      receive_from_ended_life(to, shard, from, message);
      continue;
    }
    auto receive = [&](Core& core, Now time) { core.receive(time, from, message); };
    if (staged) stage(to, shard, *staged, operation);
    if (staged || answers) {
      input_of_pass(to, shard, receive);
    } else if (reads) {
      input_at_once(to, shard, receive);
    } else {
      input(to, shard, receive);
    }
  }
}

// What a decoder must refuse: the message cut short, or one of its fields with its end cut off.
std::string World::damaged(const std::string& bytes) {
  peer::Envelope message;
  if (random_.one_in(2) || !message.ParseFromString(bytes))
    return bytes.substr(0, random_.below(bytes.size() + 1));
  auto cut_short = [&](std::string* field) {
    if (field->empty())
      field->push_back('\xff');
    else
      field->pop_back();
  };
  using Body = peer::Envelope::BodyCase;
  switch (message.body_case()) {
    case Body::kClockTell:
      cut_short(message.mutable_clock_tell()->mutable_clock());
      break;
    case Body::kPush:
      cut_short(message.mutable_push()->mutable_base());
      break;
    case Body::kReplicate:
      cut_short(message.mutable_replicate()->mutable_item()->mutable_object());
      break;
    case Body::kFetchReply:
      cut_short(message.mutable_fetch_reply()->mutable_object());
      break;
    case Body::kScanReply:
      cut_short(message.mutable_scan_reply()->mutable_base());
      break;
    case Body::kRepairChunk:
      cut_short(message.mutable_repair_chunk()->mutable_clock());
      break;
    default:
      return bytes.substr(0, bytes.size() / 2);
  }
  return message.SerializeAsString();
}

}  // namespace covey::sim
