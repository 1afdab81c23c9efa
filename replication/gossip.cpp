#include "replication/gossip.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/hash.h"

namespace covey {
namespace {

constexpr uint32_t flag_keeper = 1, flag_ready = 2, flag_residual = 4, flag_durable = 8;
constexpr uint64_t push_lost_after_us = 2'000'000;
constexpr uint64_t alarm_interval_us = 10'000'000;
constexpr size_t pushes_a_peer_max = 16;  // partitions at once; the others wait for a later round

}  // namespace

bool Gossip::both_keep(const NodeId& peer, PartitionId id) const {
  return shard_.keeps(id) && shard_.members.keeps(peer, id);
}

uint32_t Gossip::flags_of(const Partition& partition) const {
  return (shard_.keeps(partition.id) ? flag_keeper : 0) | (partition.ready ? flag_ready : 0) |
         (partition.residual > 0 ? flag_residual : 0) |
         (shard_.replica.durable(partition) ? flag_durable : 0);
}

// By class of partitions: those with the same remainder by the common multiple of all nodes' shards, which
// lie in one shard on each node. Not known here: classes of other shards.
std::map<uint32_t, Gossip::Summary> Gossip::summaries_with(const NodeId& peer) const {
  std::map<uint32_t, Summary> out;
  uint32_t classes = shard_.members.lives_classes();
  for (const uint32_t residue : shard_.classes()) out[residue] = {};
  for (const auto& [id, partition] : shard_.replica.partitions()) {
    if (!both_keep(peer, id)) continue;
    Summary& summary = out[id.value % classes];
    summary.hash =
        hash_pair(hash_pair(summary.hash, id.value), hash_pair(partition.clock.hash(), partition.state_hash));
    summary.durable = summary.durable && shard_.replica.durable(partition);
  }
  return out;
}

void Gossip::tick(Now now) {
  if (now.tick_us < next_round_us_) return;
  next_round_us_ = now.tick_us + shard_.options.gossip_interval_us;
  std::erase_if(pushes_, [&](const auto& entry) { return entry.second.until_us <= now.tick_us; });
  // A few peers a round, in turn, so that each hears three times before it would suspect this node. Also
  // those that do not answer: they may hear.
  std::vector<NodeId> peers;
  for (const auto& [node, member] : shard_.members.all()) {
    if (!shard_.members.is_self(node)) peers.push_back(node);
  }
  uint64_t share = 3 * shard_.options.gossip_interval_us;
  uint64_t suspect = std::max<uint64_t>(shard_.options.suspect_after_us, 1);
  size_t count = std::min<size_t>(peers.size(), (peers.size() * share + suspect - 1) / suspect);
  for (size_t i = 0; i < count; ++i) {
    auto next = std::upper_bound(peers.begin(), peers.end(), last_peer_);
    last_peer_ = next == peers.end() ? peers.front() : *next;
    send_digest(now, last_peer_, {.summary_only = true, .answer = false});
  }
}

void Gossip::send_digest(Now now, const NodeId& peer, DigestKind kind) {
  auto& message = *shard_.outbox.to(peer).mutable_digest();
  message.set_wall_ms(now.wall_ms);
  message.set_shard(shard_.options.shard);
  message.set_shards(shard_.options.shards);
  for (const uint32_t residue : shard_.classes()) {
    message.add_lives_hashes(shard_.members.lives_hash(residue));
  }
  message.set_tables_hash(tables_.hash());
  message.set_placement_hash(shard_.members.placement_hash());
  message.set_answer(kind.answer);
  message.set_summary_only(kind.summary_only);
  for (const auto& [id, partition] : shard_.replica.partitions()) {
    bool keeps = shard_.keeps(id);
    bool stands_in = !keeps && !partition.clock.empty();
    if (stands_in) message.add_standing_in(id.value);
    if (keeps && !partition.ready) message.add_filling(id.value);
    if (partition.ready && !shard_.members.is_target(shard_.members.self(), id))
      message.add_departing(id.value);
    if (shard_.members.moves(id)) {
      auto& moving = *message.add_moving();
      moving.set_partition(id.value);
      for (const NodeId& owner : shard_.members.owners(id)) moving.add_owners(owner.name);
    }
    if (!shard_.members.keeps(peer, id) || (!keeps && !stands_in)) continue;
    if (kind.summary_only && !stands_in) continue;
    message.add_partitions(id.value);
    message.add_clock_hashes(partition.clock.hash());
    message.add_state_hashes(partition.state_hash);
    message.add_flags(flags_of(partition));
  }
  // Where there is no entry, the summary stands for it: then its class has to be durable as a whole.
  if (kind.summary_only) {
    for (const auto& [residue, summary] : summaries_with(peer)) {
      message.add_summaries(summary.durable ? summary.hash : 0);
    }
  }
  ++shard_.stats.gossip_digests_sent;
  shard_.stats.gossip_bytes_sent += message.ByteSizeLong();
}

void Gossip::note_holdings(Now now, const NodeId& from, const peer::Digest& message) {
  std::set<uint32_t> holds(message.standing_in().begin(), message.standing_in().end());
  std::set<uint32_t> filling(message.filling().begin(), message.filling().end());
  std::set<uint32_t> departing(message.departing().begin(), message.departing().end());
  const bool agrees = message.placement_hash() == shard_.members.placement_hash();
  for (auto& [id, partition] : shard_.replica.partitions()) {
    if (id.value % message.shards() != message.shard()) continue;
    // What is not told is as the rule says, and whom the rule concerns both have to see alike.
    if (agrees) {
      const bool target = shard_.members.is_target(from, id);
      const bool ready = target ? !filling.contains(id.value) : departing.contains(id.value);
      shard_.members.told_ready(from, id, ready);
      note_heard(from, partition);
      if (!partition.ready) {
        partition.told.insert(from);
        partition.vouched.erase(from);
        if (ready) partition.vouched[from] = owners_in(message, id);
      }
    }
    if (shard_.members.keeps(from, id)) {
      partition.stand_ins.erase(from);
      continue;
    }
    if (holds.contains(id.value)) {
      partition.stand_ins.insert(from);
    } else if (agrees) {  // else it may hold what it takes for its own
      partition.stand_ins.erase(from);
    }
    PeerCopy& copy = partition.copies[from];
    copy.members_hash = lives_hash_in(message, id);
    copy.told_us = now.tick_us;
  }
}

void Gossip::note_heard(const NodeId& from, Partition& partition) {
  const Members& members = shard_.members;
  if (partition.ready && !members.is_target(members.self(), partition.id)) partition.heard.insert(from);
}

// The partition's owners as the sender sees them. REQUIRES: it knows the same members.
std::vector<NodeId> Gossip::owners_in(const peer::Digest& message, PartitionId id) const {
  for (const auto& moving : message.moving()) {
    if (moving.partition() != id.value) continue;
    std::vector<NodeId> owners;
    for (const auto& name : moving.owners()) owners.push_back(NodeId{name});
    return owners;
  }
  return shard_.members.targets(id);
}

// What the sender of the digest knows of the lives that write to the partition. 0: not known.
uint64_t Gossip::lives_hash_in(const peer::Digest& message, PartitionId id) const {
  uint32_t classes = shard_.members.lives_classes();
  if (classes % message.shards() != 0) return 0;
  int count = static_cast<int>(classes / message.shards());
  int index = static_cast<int>(id.value % classes / message.shards());
  return message.lives_hashes_size() == count ? message.lives_hashes(index) : 0;
}

void Gossip::receive(Now now, const NodeId& from, const peer::Digest& message) {
  int entries = message.partitions_size();
  if (message.shards() == 0 || message.shard() >= message.shards() ||
      message.clock_hashes_size() != entries || message.state_hashes_size() != entries ||
      message.flags_size() != entries) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  if (shard_.members.all().contains(from)) {
    const auto alarm = shard_.clocks.told(now, from, message.wall_ms());
    if (alarm && shard_.options.shard == 0) shard_.outbox.alarm(*alarm);
  }
  note_holdings(now, from, message);
  if (message.placement_hash() != shard_.members.placement_hash()) lives_.tell_members(now, from);
  if (message.tables_hash() != tables_.hash()) tables_.tell(from);
  for (int i = 0; i < entries; ++i) compare(now, from, message, i);
  if (!message.summary_only()) return;
  if (!differs_from(now, from, message) || message.answer()) return;
  uint64_t& answered_us = answered_us_[from];
  if (answered_us != 0 && now.tick_us < answered_us + shard_.options.gossip_interval_us / 2) return;
  answered_us = now.tick_us;
  send_digest(now, from, {.summary_only = false, .answer = true});
}

// Whether a class of partitions that this shard has differs, or can't be compared. Takes note of those that
// are equal.
bool Gossip::differs_from(Now now, const NodeId& from, const peer::Digest& message) {
  uint32_t classes = shard_.members.lives_classes();
  bool comparable = classes % message.shards() == 0 &&
                    message.summaries_size() == static_cast<int>(classes / message.shards());
  // While the nodes don't agree on the classes. Another shard's is for that one to answer.
  if (!comparable)
    return message.shards() != shard_.options.shards || message.shard() == shard_.options.shard;
  bool differs = false;
  std::set<uint32_t> equal;
  for (const auto& [residue, summary] : summaries_with(from)) {
    if (residue % message.shards() != message.shard()) continue;
    if (message.summaries(static_cast<int>(residue / message.shards())) == summary.hash) {
      equal.insert(residue);
    } else {
      differs = true;
    }
  }
  for (auto& [id, partition] : shard_.replica.partitions()) {
    if (!equal.contains(id.value % classes) || !both_keep(from, id)) continue;
    note_equal(now, from, partition, true, message);
  }
  return differs;
}

void Gossip::compare(Now now, const NodeId& from, const peer::Digest& message, int index) {
  PartitionId id{message.partitions(index)};
  if (!shard_.mine(id)) return;
  Partition& partition = shard_.replica.at(id);
  if (message.clock_hashes(index) != partition.clock.hash()) {
    if (may_tell(now, from, partition)) tell_clock(from, partition, true, 0);
    return;
  }
  uint32_t flags = message.flags(index);
  note_equal(now, from, partition, (flags & flag_durable) != 0, message);
  // A stand-in waits for this word to drop its copy.
  if ((flags & flag_keeper) == 0) tell_clock(from, partition, false, 0);
  bool comparable = (flags & flag_keeper) != 0 && shard_.keeps(id) && (flags & flag_residual) == 0 &&
                    partition.residual == 0;
  if (comparable && message.state_hashes(index) != partition.state_hash) alarm(now, from, partition);
}

void Gossip::alarm(Now now, const NodeId& peer, Partition& partition) {
  if (partition.alarmed_us != 0 && now.tick_us < partition.alarmed_us + alarm_interval_us) return;
  partition.alarmed_us = now.tick_us;
  ++shard_.stats.state_hash_alarms;
  shard_.outbox.alarm(
      "partition " + std::to_string(partition.id.value) + " and " + peer.name +
      "'s copy have equal clocks and unequal objects: repairing it, keeping what either holds");
  repair_.open(now, peer, partition, {.keep = true});
}

void Gossip::note_equal(Now now, const NodeId& peer, Partition& partition, bool durable,
                        const peer::Digest& message) {
  PeerCopy& copy = partition.copies[peer];
  copy.clock = partition.clock;
  if (durable) copy.durable_clock = partition.clock;
  copy.members_hash = lives_hash_in(message, partition.id);
  copy.told_us = now.tick_us;
  const bool agrees = message.placement_hash() == shard_.members.placement_hash();
  if (!partition.ready && agrees) partition.synced_with.insert(peer);
}

// One exchange about a partition at a time, more or less: several peers that are told the same clock at once
// would all push the same objects, and a link that heals brings many old digests. For a time of random
// length, since rounds are regular: whoever came first would always be first.
bool Gossip::may_tell(Now now, const NodeId& peer, Partition& partition) {
  if (!both_keep(peer, partition.id)) return true;
  if (now.tick_us < partition.clock_told_until_us) return false;
  uint64_t interval_us = std::max<uint64_t>(shard_.options.gossip_interval_us, 1);
  partition.clock_told_until_us = now.tick_us + interval_us / 2 + shard_.random.below(interval_us);
  return true;
}

void Gossip::tell_clock(const NodeId& peer, const Partition& partition, bool answer_wanted,
                        uint64_t push_received) {
  auto& message = *shard_.outbox.to(peer).mutable_clock_tell();
  message.set_partition(partition.id.value);
  message.set_clock(encode(partition.clock));
  if (!shard_.replica.durable(partition) && !bug(Bug::ack_before_sync)) {
    message.set_durable_clock(encode(partition.durable_clock));
  }
  message.set_state_hash(partition.state_hash);
  message.set_flags(flags_of(partition));
  message.set_answer_wanted(answer_wanted);
  message.set_members_hash(lives_.hash(partition.id));
  message.set_push_received(push_received);
  message.set_placement_hash(shard_.members.placement_hash());
  shard_.stats.gossip_bytes_sent += message.ByteSizeLong();
}

void Gossip::tell_filled() {
  for (const auto& [id, peer] : repair_.take_filled()) tell_clock(peer, shard_.replica.at(id), true, 0);
}

void Gossip::receive(Now now, const NodeId& from, const peer::ClockTell& message) {
  PartitionId id{message.partition()};
  auto clock = decode_dot_set(message.clock());
  auto durable = message.durable_clock().empty() ? clock : decode_dot_set(message.durable_clock());
  if (!clock || !durable || !shard_.mine(id)) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  Partition& partition = shard_.replica.at(id);
  // Who does not know yet that this copy is being filled may acknowledge what is not sent here.
  const bool agrees = message.placement_hash() == shard_.members.placement_hash();
  if (!partition.ready && agrees && partition.clock.contains(*clock)) partition.synced_with.insert(from);
  PeerCopy& copy = partition.copies[from];
  copy.clock = std::move(*clock);
  copy.durable_clock = std::move(*durable);
  copy.members_hash = message.members_hash();
  copy.told_us = now.tick_us;
  if (agrees) {
    shard_.members.told_ready(from, id, (message.flags() & flag_ready) != 0);
    note_heard(from, partition);
  }
  if (message.answer_wanted() && may_tell(now, from, partition)) tell_clock(from, partition, false, 0);
  bool goes_on = true;
  if (message.push_received() != 0) {
    auto at = pushes_.find({from, id});
    goes_on = at != pushes_.end() && at->second.number == message.push_received() && at->second.more;
    if (at != pushes_.end() && at->second.number == message.push_received()) pushes_.erase(at);
  }
  if (goes_on) push(now, from, partition);
}

// Adds to the message what the peer lacks, up to the limits. False: there is nothing to say.
bool Gossip::fill_push(Partition& partition, const DotSet& lacking, peer::Push& message, bool& more) {
  constexpr uint64_t dots_max = 20'000;
  std::map<TableKey, DotSet> keys;
  DotSet unlogged;
  uint64_t dots = 0;
  size_t bytes = 0;
  bool failed = false;
  std::map<TableKey, std::string> objects;
  auto walked = shard_.replica.walk_log(
      partition, lacking,
      [&](Dot dot, const TableKey& key) {
        if (bytes >= shard_.options.message_bytes_max || ++dots > dots_max) {
          more = true;
          return false;
        }
        auto [at, is_new] = keys.try_emplace(key);
        at->second.add(dot);
        if (!is_new) return true;
        auto object = shard_.replica.read_stored(partition, key);
        if (!object) {
          shard_.store_failed(object.error());
          failed = true;
          return false;
        }
        bool skipped = bug(Bug::gossip_skips_deletes) && object->versions.empty();
        std::string encoded = skipped ? std::string() : encode(*object);
        bytes += encoded.size() + key.key.size();
        objects.emplace(key, std::move(encoded));
        return true;
      },
      &unlogged);
  if (!walked) shard_.store_failed(walked.error());
  if (!walked || failed) return false;
  ItemKeys writer;
  for (auto& [key, object] : objects) {
    if (object.empty()) continue;
    auto& item = *message.add_items();
    writer.write(key, item);
    // The dots of its versions go without saying.
    DotSet beside = keys.at(key);
    if (auto decoded = decode_object(object)) {
      DotSet own;
      for (const Version& version : decoded->versions) own.add(version.dot);
      beside.subtract(own);
    }
    item.set_object(std::move(object));
    if (!beside.empty()) item.set_dots(encode(beside));
  }
  shard_.stats.gossip_objects_sent += static_cast<uint64_t>(message.items_size());
  DotSet voids = lacking;
  voids.intersect(partition.voids);
  if (!voids.empty()) message.set_voids(encode(voids));
  if (!unlogged.empty()) message.set_unlogged(encode(unlogged));
  return message.items_size() > 0 || !voids.empty() || !unlogged.empty();
}

void Gossip::push(Now now, const NodeId& peer, Partition& partition) {
  if (!shard_.members.keeps(peer, partition.id) || pushes_.contains({peer, partition.id})) return;
  auto under_way =
      std::count_if(pushes_.begin(), pushes_.end(), [&](const auto& p) { return p.first.first == peer; });
  if (static_cast<size_t>(under_way) >= pushes_a_peer_max) return;
  // What was written a moment ago is on its way already.
  DotSet lacking = shard_.keeps(partition.id) ? partition.settled : partition.clock;
  lacking.subtract(partition.copies[peer].clock);
  if (lacking.empty()) return;
  peer::Push filled;
  bool more = false;
  if (!fill_push(partition, lacking, filled, more)) return;
  filled.set_partition(partition.id.value);
  filled.set_base(encode(partition.clock.bases()));
  uint64_t number = next_push_++;
  filled.set_push(number);
  filled.set_more(more);
  shard_.stats.gossip_bytes_sent += filled.ByteSizeLong();
  *shard_.outbox.to(peer).mutable_push() = std::move(filled);
  pushes_[{peer, partition.id}] = {number, now.tick_us + push_lost_after_us, more};
}

void Gossip::receive(Now now, const NodeId& from, const peer::Push& message) {
  PartitionId id{message.partition()};
  auto base = decode_dot_set(message.base());
  auto voids = message.voids().empty() ? std::optional<DotSet>(DotSet{}) : decode_dot_set(message.voids());
  auto unlogged =
      message.unlogged().empty() ? std::optional<DotSet>(DotSet{}) : decode_dot_set(message.unlogged());
  if (!base || !voids || !unlogged || !shard_.mine(id)) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  if (shard_.writes_refused) return;  // full: it comes again
  Partition& partition = shard_.replica.at(id);
  Replica::Edit edit(shard_.replica, partition, shard_.placing(id));
  if (!repair_.merge_items(now, edit, message.items(), *base)) return;
  auto added = lives_.add_voids(edit, partition, *voids);
  Result<bool, StoreError> done = added ? edit.commit() : Result<bool, StoreError>(added.error());
  if (!done) {
    shard_.store_failed(done.error());
    return;
  }
  shard_.stats.gossip_objects_received += static_cast<uint64_t>(message.items_size());
  ++(*done ? shard_.stats.merges_applied : shard_.stats.merges_without_effect);
  unlogged->subtract(partition.clock);
  if (unlogged->empty()) {
    partition.unlogged.erase(from);
  } else {
    auto [at, is_new] = partition.unlogged.try_emplace(from, *unlogged, now.tick_us);
    if (!is_new) at->second.first = *unlogged;
  }
  tell_clock(from, partition, false, message.push());
}

}  // namespace covey
