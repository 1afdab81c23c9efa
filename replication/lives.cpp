#include "replication/lives.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/hash.h"
#include "replication/peer_messages.h"

namespace covey {
namespace {

constexpr uint64_t hello_interval_us = 500'000;
constexpr uint64_t members_interval_us = 100'000;  // between two hellos to one who knows other members
// Holes are closed only when a life has been over for longer than any request can be under way: a coordinator
// may still hold what it read from that life, and repair others with it.
constexpr uint64_t close_after_us = 15'000'000;
constexpr size_t residual_searched_max = 1'000;

}  // namespace

void Lives::start(const Identity& identity) {
  const std::string& name = shard_.members.self().name;
  main_ = make_actor(name, identity.life);
  fallback_ = make_actor(name, identity.fallback_life);
  needs_confirmation_ = identity.clean;
  incarnation_ = identity.incarnation;
  if (bug(Bug::reuse_dot_after_crash)) needs_confirmation_ = false;
  shard_.outbox.set_incarnation(incarnation_);
  shard_.members.set_own_life({main_, fallback_});
}

bool Lives::confirmed_or_new() const {
  if (!needs_confirmation_) return true;
  if (shard_.members.all().size() == 1) return false;  // nobody could tell
  for (const auto& [node, member] : shard_.members.all()) {
    if (shard_.members.is_self(node)) continue;
    auto welcomed = welcomed_.find(node);
    auto shards = shards_of_.find(node);
    if (welcomed == welcomed_.end() || shards == shards_of_.end() ||
        welcomed->second.size() < shards->second) {
      return false;
    }
  }
  return true;
}

Actor Lives::mint_actor() {
  if (!settled_ && !confirmed_or_new()) fall_back();
  settled_ = true;
  return main_;
}

// Ends the life that was to go on. To the peers it is a later start, so that they know that it is over.
void Lives::fall_back() {
  main_ = fallback_;
  needs_confirmation_ = false;
  shard_.members.set_own_life({main_});
  exceed(incarnation_);
}

void Lives::exceed(uint64_t incarnation) {
  incarnation_ = incarnation + 1;
  shard_.outbox.set_incarnation(incarnation_);
  welcomed_.clear();
  say_hello_to_all();
}

void Lives::say_hello(const NodeId& peer) {
  auto& hello = *shard_.outbox.to(peer).mutable_hello();
  hello.set_shard(shard_.options.shard);
  hello.set_shards(shard_.options.shards);
  hello.add_actors(main_.value);
  if (fallback_ != main_) hello.add_actors(fallback_.value);
  for (const auto* members : {&shard_.members.all(), &shard_.members.removed()}) {
    for (const auto& [node, member] : *members) MemberSet::write(member, *hello.add_members());
  }
}

void Lives::tell_members(Now now, const NodeId& peer) {
  uint64_t& last = hello_at_us_[peer];
  if (last != 0 && now.tick_us < last + members_interval_us) return;
  last = now.tick_us;
  say_hello(peer);
}

void Lives::say_hello_to_all() {
  for (const auto& [node, member] : shard_.members.all()) {
    if (!shard_.members.is_self(node)) say_hello(node);
  }
}

void Lives::link_up(const NodeId& peer) {
  welcomed_.erase(peer);
  hello_at_us_.erase(peer);
  say_hello(peer);
}

void Lives::tick(Now now) {
  for (const auto& [node, member] : shard_.members.all()) {
    if (shard_.members.is_self(node)) continue;
    if (!shard_.members.linked(node)) continue;
    auto shards = shards_of_.find(node);
    bool done = shards != shards_of_.end() && welcomed_[node].size() >= shards->second;
    if (shard_.members.own().standing == Standing::removed && !removal_known()) done = false;
    uint64_t& last = hello_at_us_[node];
    // Also now and then when all is known: members that were met since then are told on.
    uint64_t interval = done ? hello_interval_us * 20 : hello_interval_us;
    if (last != 0 && now.tick_us < last + interval) continue;
    last = now.tick_us;
    say_hello(node);
  }
  uint64_t lives = 0;
  for (const uint32_t residue : shard_.classes()) {
    lives = hash_pair(lives, shard_.members.lives_hash(residue));
  }
  if (lives != lives_hash_seen_) {
    lives_hash_seen_ = lives;
    lives_hash_since_us_ = now.tick_us;
  }
}

void Lives::receive(Now now, const NodeId& from, uint64_t incarnation, const peer::Hello& hello) {
  if (hello.shards() == 0 || hello.shard() >= hello.shards() || hello.actors_size() == 0) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  for (const auto& told : hello.members()) {
    Member member = MemberSet::read(told);
    members_.add(now, member, member.node == from);
  }
  PeerLife life{incarnation, {}};
  for (uint64_t actor : hello.actors()) life.actors.insert(Actor{actor});
  auto refused = shard_.members.begin_life(from, hello.shard(), hello.shards(), std::move(life));
  shard_.members.heard(now, from);
  auto& welcome = *shard_.outbox.to(from).mutable_welcome();
  welcome.set_known_incarnation(refused.value_or(incarnation));
  welcome.set_shard(shard_.options.shard);
  welcome.set_shards(shard_.options.shards);
  welcome.set_hello_shard(hello.shard());
  const Member* sender = shard_.members.find(from);
  if (sender != nullptr && sender->standing == Standing::removed)
    welcome.set_removed_at(sender->decided.value);
  Actor asked{hello.actors(0)};
  welcome.set_actor(asked.value);
  for (const auto& [id, partition] : shard_.replica.partitions()) {
    uint64_t highest = partition.clock.highest(asked);
    if (highest == 0) continue;
    welcome.add_partitions(id.value);
    welcome.add_highest(highest);
  }
}

void Lives::receive(const NodeId& from, const peer::Welcome& welcome) {
  if (welcome.shards() == 0 || welcome.partitions_size() != welcome.highest_size()) {
    ++shard_.stats.malformed_messages_dropped;
    return;
  }
  if (welcome.hello_shard() != shard_.options.shard) return;
  if (welcome.removed_at() != 0) known_removed_at_ = Hlc{welcome.removed_at()};
  if (welcome.known_incarnation() > incarnation_) {
    // A start that this directory has forgotten: be later than that one.
    exceed(welcome.known_incarnation());
    return;
  }
  if (welcome.known_incarnation() != incarnation_ || Actor{welcome.actor()} != main_) return;
  bool forgot = false;
  for (int i = 0; i < welcome.partitions_size(); ++i) {
    PartitionId id{welcome.partitions(i)};
    if (!shard_.mine(id)) continue;
    Partition& partition = shard_.replica.at(id);
    uint64_t own = partition.clock.highest(main_);
    if (partition.minted_actor == main_) own = std::max(own, partition.minted);
    if (welcome.highest(i) > own) forgot = true;
  }
  if (forgot && !forgot_) {
    forgot_ = true;
    fall_back();
    shard_.outbox.alarm("peer " + from.name +
                        " knows writes of this node's past that its data directory has forgotten: "
                        "it goes on with a new actor and is refilled");
    auto done = refill_all();
    if (!done) shard_.store_failed(done.error());
  }
  if (forgot) return;
  shards_of_[from] = welcome.shards();
  welcomed_[from].insert(welcome.shard());
}

// One that fails must not leave those behind it ready: all are tried, and the first error is told.
Result<Done, StoreError> Lives::refill_all() {
  Result<Done, StoreError> all = Done{};
  for (auto& [id, partition] : shard_.replica.partitions()) {
    partition.forget_told();
    Replica::Edit edit(shard_.replica, partition, shard_.placing(id));
    edit.set_ready(false);
    auto done = edit.commit();
    shard_.told_ready(partition);
    if (!done && all) all = done.error();
  }
  return all;
}

// Whether every other member has told, at this time or later, that it has the same dots of the actor.
bool Lives::all_tell_the_same(const Partition& partition, Actor actor, uint64_t since_us) const {
  const auto* mine = partition.clock.find(actor);
  uint64_t lives = hash(partition.id);
  for (const auto& [node, member] : shard_.members.all()) {
    if (shard_.members.is_self(node)) continue;
    if (bug(Bug::void_running_life) && shard_.members.node_of(actor) == node) continue;
    auto copy = partition.copies.find(node);
    if (copy == partition.copies.end()) return false;
    const bool early = copy->second.told_us < std::max(since_us, lives_hash_since_us_ + close_after_us) &&
                       !bug(Bug::void_running_life);
    if (copy->second.members_hash != lives || early) return false;
    if (partition.stand_ins.contains(node)) return false;
    if (!shard_.members.keeps(node, partition.id)) continue;
    const auto* theirs = copy->second.durable_clock.find(actor);
    bool same = mine == nullptr ? theirs == nullptr : theirs != nullptr && *theirs == *mine;
    if (!same) return false;
    if (bug(Bug::void_without_all)) return true;
  }
  return true;
}

// For each life of a known node the highest counter that anything here names: the clock, or a stored context.
std::map<Actor, uint64_t> Lives::highest_named(const Partition& partition) const {
  std::map<Actor, uint64_t> highest;
  auto add = [&](const DotSet& dots) {
    for (const auto& entry : dots.entries()) {
      uint64_t& known = highest[entry.actor];
      known = std::max(known, entry.highest());
    }
  };
  add(partition.clock);
  if (partition.residual > 0) {
    std::string prefix = partition_key(partition.id);
    auto cursor = shard_.store.cursor(Column::residual, prefix, after_prefix(prefix));
    for (size_t seen = 0; cursor->valid() && seen < residual_searched_max; cursor->next(), ++seen) {
      auto key = decode_object_key(cursor->key());
      if (!key) break;
      auto object = shard_.replica.read_stored(partition, *key);
      if (object) add(object->context);
    }
  }
  std::erase_if(highest, [&](const auto& known) { return !shard_.members.node_of(known.first); });
  return highest;
}

// Since when (tick us) the clock has had the same dots of the actor, and none higher than `highest` was
// named.
uint64_t Lives::same_since(Now now, const Partition& partition, Actor actor, uint64_t highest) {
  const auto* entry = partition.clock.find(actor);
  const uint64_t dots =
      hash_pair(highest, entry == nullptr ? 0 : hash_pair(entry->count(), entry->highest()));
  auto [at, is_new] = still_.try_emplace({partition.id, actor}, dots, now.tick_us);
  if (at->second.first != dots) at->second = {dots, now.tick_us};
  return at->second.second;
}

void Lives::close_holes(Now now, Partition& partition) {
  if (!shard_.owns(partition.id) || hash(partition.id) == 0) return;
  if (!bug(Bug::void_without_all) && !bug(Bug::void_running_life) &&
      (now.tick_us < lives_hash_since_us_ + close_after_us || !shard_.replica.durable(partition))) {
    return;
  }
  if (!partition.clock.has_gaps() && partition.residual == 0) {
    still_.erase(still_.lower_bound({partition.id, Actor{0}}),
                 still_.upper_bound({partition.id, Actor{UINT64_MAX}}));
    return;
  }
  DotSet all;
  for (const auto& [actor, highest] : highest_named(partition)) {
    bool hurried = bug(Bug::void_without_all) || bug(Bug::void_running_life);
    const uint64_t since_us = hurried ? 0 : same_since(now, partition, actor, highest) + close_after_us;
    if (now.tick_us >= since_us && all_tell_the_same(partition, actor, since_us))
      all.add(actor, {1, highest});
  }
  all.subtract(partition.clock);
  if (all.empty()) return;
  Replica::Edit edit(shard_.replica, partition, shard_.placing(partition.id));
  auto added = add_voids(edit, partition, all);
  Result<bool, StoreError> done = added ? edit.commit() : Result<bool, StoreError>(added.error());
  if (!done) shard_.store_failed(done.error());
}

Result<Done, StoreError> Lives::add_voids(Replica::Edit& edit, Partition& partition, const DotSet& voids) {
  DotSet fresh = voids;
  fresh.subtract(partition.clock);
  if (fresh.empty()) return Done{};
  std::vector<TableKey> concerned;
  std::string prefix = partition_key(partition.id);
  auto cursor = shard_.store.cursor(Column::residual, prefix, after_prefix(prefix));
  for (; cursor->valid(); cursor->next()) {
    auto key = decode_object_key(cursor->key());
    if (!key) return StoreError{StoreError::Kind::corruption, "an entry of the residual index is unreadable"};
    auto object = shard_.replica.read_stored(partition, *key);
    if (!object) return object.error();
    object->context.intersect(fresh);
    if (!object->context.empty()) concerned.push_back(std::move(*key));
  }
  if (auto error = cursor->error()) return *error;
  cursor.reset();
  edit.join_voids(fresh);
  for (const TableKey& key : concerned) {
    auto object = edit.read(key);
    if (!object) return object.error();
    Dot dot = edit.mint(mint_actor());
    object->context.add(dot);
    edit.put(key, std::move(*object), DotSet{dot});
  }
  return Done{};
}

}  // namespace covey
