// A shard of a node: everything that a replicated store decides, as one pure state machine. It is given
// requests, peers' messages, the time and word of durability, and gives messages and answers. Whoever runs it
// (server/ with sockets and threads, the simulator in one thread under a virtual clock) performs them.
//
// Why pure: one seed then repeats a whole cluster's run bit for bit, and each rule of the design can be
// checked after every step. Answers and messages that promise durability are held back inside until the store
// has told it, so a performer can't get the order wrong.
//
// Used by one thread. Call drain() after every input, or after several that came together, and perform all it
// gives, in order. What clients and peers wrote between two drains is one write to the store.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "replication/health.h"
#include "replication/request.h"
#include "replication/store.h"
#include "replication/types.h"

namespace covey::peer {
class Envelope;
}

namespace covey {

class Feed;

// What the cluster has decided about a member. The decision with the latest time holds everywhere.
enum class Standing : uint8_t {
  member = 0,
  leaving = 1,  // owns nothing new, hands over what it holds and is removed then
  removed = 2,  // nobody waits for it; should it come back, it hands over what it holds
};

struct Member {
  NodeId node;
  std::string peer_address;  // opaque to the core
  std::string http_address;  // likewise
  std::string zone;
  double weight = 1.0;  // share of data relative to others, above 0
  Standing standing = Standing::member;
  Hlc decided;        // when its standing and place were
  std::string place;  // the name that it bids for partitions with: of a node that it replaced; empty: its own
  bool operator==(const Member&) const = default;
};

struct CoreOptions {
  Member self;
  uint32_t partitions = 64;  // Q, a power of two, 1 to 65,536, the same on all nodes
  uint32_t replicas = 3;     // N, 1 to 16
  uint32_t shard = 0;        // this core holds the partitions p with p % shards == shard
  uint32_t shards = 1;
  bool wait_for_durable =
      true;           // false (modes interval, none): acknowledge what is written but not yet synced
  uint64_t seed = 1;  // for the choice of peers and session numbers
  uint64_t gossip_interval_us = 200'000;
  uint64_t suspect_after_us = 1'000'000;  // a peer not heard for this long is suspected: not asked first
  uint32_t siblings_max = 100;
  // Of a counter, a set or a hash, 1 to 1,000,000: versions, and bytes of their names and values. A change
  // that goes beyond it is refused; what replicas have taken apart from each other may add up to more.
  uint32_t elements_max = 10'000;
  uint64_t elements_bytes_max = 1024 * 1024;
  // Increments of one counter whose tokens are remembered, and for how long at least.
  uint32_t tokens_max = 1'000;
  uint64_t token_window_ms = 3'600'000;
  // Of all versions of an object; a write that would go beyond it is refused, as one beyond siblings_max.
  uint64_t object_bytes_max = 16 * 1024 * 1024;
  // The same for all nodes together: each may be apart from the others and take its share of this. What they
  // merge then has to find room in a message.
  uint64_t merged_bytes_max = 48 * 1024 * 1024;
  uint32_t operations_max = 20'000;  // requests that are not answered yet; beyond it: Status::overloaded
  uint64_t read_bytes_max =
      64 * 1024 * 1024;                     // what reads in flight hold; beyond it, new ones wait their turn
  uint64_t log_entries_max = 1'000'000;     // dots logged for a partition; beyond it the oldest half is cut
  uint32_t message_bytes_max = 256 * 1024;  // about; pushes, chunks and scan replies keep to it
  // Of keys and values that this shard holds for others, as a stand-in; beyond it, it takes no more of them.
  uint64_t stand_in_bytes_max = UINT64_MAX;
  // At which whole partitions are sent, to all peers together; 0: as fast as they take them. A pace, not a
  // promise: a chunk is not cut.
  uint64_t transfer_bytes_per_second = 0;
  // Of a copy that is filled at once: keys that are written here meanwhile, and objects that expire or have a
  // context. With more of them its objects are merged one by one.
  uint64_t filled_beside_max = 50'000;
  DetectorOptions detector;  // run by the core of shard 0 for the whole node
  Feed* feed = nullptr;      // told of every batch (replication/feed.h); outlives the core
};

// What the data directory says about this node's past (storage/identity).
struct Identity {
  uint64_t life = 1;           // random bits: the life that this start goes on with, if `clean`, or begins
  uint64_t fallback_life = 2;  // fresh random bits: taken if peers do not confirm that `life` forgot nothing
  uint64_t incarnation = 1;    // higher than that of every earlier start, as far as the directory knows
  bool clean = false;          // closed in order, not restored, not copied: `life` may go on
  bool fresh = false;          // the directory was empty
  // Restored from a backup or copied: what was acknowledged since then is not in it. No partition counts as
  // ready until the other owners have filled it. The caller syncs the store after start() and only then
  // forgets this.
  bool restored = false;
};

struct RequestId {
  uint64_t value = 0;
  auto operator<=>(const RequestId&) const = default;
};

struct Table {
  std::string name;
  std::string definition;  // JSON as given, opaque to the core
  Conflicts conflicts = Conflicts::siblings;
};

// What to perform, in order.
struct Output {
  struct Send {
    NodeId to;
    std::shared_ptr<peer::Envelope> message;  // one object for all to whom the same is sent
  };
  struct Answer {
    RequestId id;
    Response response;
  };
  std::vector<Send> sends;
  std::vector<Answer> answers;
  std::vector<std::string> alarms;  // for the log: what an operator must know (unequal state hashes, ...)
  bool members_changed = false;     // ask members(): new ones were heard of (link to them)
  bool tables_changed = false;      // ask tables()
  // Where a member that this node does not reach may be by now, as others tell: worth one attempt, from which
  // the node there is met (add_member) if there is one.
  std::vector<std::string> addresses;
  std::vector<Verdict> verdicts;  // of shard 0, for the node's other cores: learn()
};

// Counts since start, for metrics.
struct CoreStats {
  uint64_t writes_coordinated = 0, reads_coordinated = 0, scans_coordinated = 0, forwarded = 0;
  uint64_t merges_applied = 0, merges_without_effect = 0;
  uint64_t read_repairs = 0, siblings_made = 0;
  uint64_t gossip_digests_sent = 0, gossip_objects_sent = 0, gossip_bytes_sent = 0,
           gossip_objects_received = 0;
  uint64_t repairs_started = 0, repairs_resumed = 0, repairs_finished = 0, copies_filled = 0;
  uint64_t repair_objects_sent = 0, repair_bytes_sent = 0, repair_objects_received = 0;
  uint64_t copies_compared = 0, objects_repaired = 0;  // object by object
  uint64_t state_hash_alarms = 0, log_cuts = 0, stand_in_writes = 0, stand_in_drops = 0,
           stand_ins_refused = 0;
  uint64_t expired = 0, voided_dots = 0, stale_messages_dropped = 0, malformed_messages_dropped = 0;
  uint64_t unavailable = 0, timeouts = 0, overloaded = 0;
  uint64_t reads_queued = 0, busy_replicas = 0;
  uint64_t replicas_given_up = 0;  // awaited for a request when their process ended
  // Of forwarded: answered as of unknown outcome when the way to their owner ended; sent to another owner.
  uint64_t forwards_lost = 0, forwards_moved = 0;
  // Failure detection, at shard 0.
  uint64_t probes = 0, probes_failed = 0, indirect_probes = 0, suspicions = 0, refutations = 0, deaths = 0;
};

// dead: for the cluster. unreachable: not connected to this shard. suspected: by the cluster, or silent here.
enum class MemberState : uint8_t { self, alive, suspected, unreachable, dead };

struct MemberView {
  Member member;
  MemberState state = MemberState::unreachable;
  bool reachable = false;                 // worth asking
  Verdict verdict;                        // the cluster's
  std::optional<int64_t> clock_ahead_ms;  // of this node's wall clock, negative: behind; nullopt: not known
};

struct PartitionView {
  PartitionId partition;
  std::vector<NodeId> owners;   // in order of preference
  std::vector<NodeId> filling;  // members that are to own it and are being filled
  bool owned = false;           // by this node
  bool kept = false;            // owned, or being filled to be
  bool held = false;            // this node has a copy: kept, or to be handed over
  bool stands_in = false;       // it never was an owner: a stand-in
  bool ready = false;
  Clock clock;
  uint64_t state_hash = 0;
  uint64_t objects = 0;            // keys with a version
  uint64_t bytes = 0;              // of keys and values
  uint64_t arrived = 0;            // objects of a copy that is being filled: not counted as held yet
  uint64_t log = 0;                // dots that some owner may lack
  uint64_t residual = 0;           // objects stored with a context
  std::vector<NodeId> diverged;    // owners whose clock, as last told, differs
  uint64_t diverged_since_us = 0;  // tick; 0: equal to all
};

// How this node's copy of a partition compares with another's, by all objects as they are stored.
struct CopyCheck {
  enum class State : uint8_t {
    waiting,
    running,
    equal,
    differing,  // in what was being written, or in what the other one lacks; nothing was lacking here
    repaired,   // objects that had to be here were missing or damaged, and were taken from the other one
    failed,
  };
  PartitionId partition;
  NodeId with;  // empty: there is nobody to compare with, and this copy was only read
  State state = State::waiting;
  uint64_t objects = 0;    // of this copy
  uint32_t buckets = 0;    // of repair_buckets: those that differed
  uint64_t received = 0;   // objects of these that the other one sent
  uint64_t bytes = 0;      // and their size
  uint64_t under_way = 0;  // of those received: were being written, and are left to the ordinary exchange
  std::map<std::string, uint64_t> repaired;  // objects, by table
  bool recounted = false;  // the kept state hash was not that of the stored objects; it was corrected
  std::string reason;      // failed: why
};

struct OwnerView {
  NodeId node;
  MemberState state = MemberState::unreachable;
  bool ready = false;      // as it told last
  bool reachable = false;  // worth asking
};

struct ExplainView {
  PartitionId partition;
  std::vector<OwnerView> owners;
  std::vector<NodeId> stand_ins;  // that a sloppy request would use now
};

class Core {
 public:
  // The store must outlive the core.
  Core(CoreOptions options, Store& store);
  ~Core();

  // Reads partitions, members and tables back from the store and begins a life. `members`: those the
  // configuration knows beside self (may be empty: they are met by hello).
  [[nodiscard]] Result<Done, StoreError> start(Now now, const Identity& identity,
                                               const std::vector<Member>& members);

  void tick(Now now);     // call at least every 10 ms of tick time
  void durable(Now now);  // the store's durable() may have risen, or a load of it become ready
  void request(Now now, RequestId id, Request request);
  // A message from the peer that this link was authenticated for. Malformed ones are counted and dropped.
  void receive(Now now, const NodeId& from, const peer::Envelope& message);
  // A connection to the peer stands or was lost. Silence has the same effect, later. `unsent`: of the
  // messages of earlier drains those that have certainly not left this node, and won't; none if not given.
  void link(Now now, const NodeId& peer, bool up);
  void link(Now now, const NodeId& peer, bool up, std::vector<Output::Send> unsent);
  // A lost connection to the peer was to be made again, and nobody listens there: its process has ended.
  void refused(Now now, const NodeId& peer);
  // A message of the last drain() was not sent for lack of room, and won't be.
  void unsent(Now now, const NodeId& to, const peer::Envelope& message);
  // A member that was met, as it told of itself.
  void add_member(Now now, const Member& member);
  // What shard 0 of this node has given out.
  void learn(Now now, const Verdict& verdict);
  // Decides about a known member: its standing and place. `decided` absent (0): now. The answer is what holds
  // by then, to be given to the node's other shards.
  [[nodiscard]] Result<Member, StoreError> decide(Now now, const Member& member);
  // Below the free-space floor: writes are refused with Status::disk_full, reads go on.
  void refuse_writes(bool refuse);

  // The newest definition wins everywhere; a dropped table's keys are erased in the background.
  [[nodiscard]] Result<Done, StoreError> put_table(Now now, const Table& table);
  // A table that the configuration names: made unless any definition of it is known, older than every other.
  [[nodiscard]] Result<Done, StoreError> declare_table(const Table& table);
  [[nodiscard]] Result<Done, StoreError> drop_table(Now now, const std::string& name);

  Output drain();
  // Of values in the answers that the next drain gives: whoever waits with it bounds them.
  uint64_t answer_bytes() const;

  // Compares each copy that this shard keeps with those of all other members that keep it, but for those
  // named, and repairs it. `except` is for a round over all nodes: a pair need be compared once, since who
  // turns out to lack something asks back. Reads all objects of both; goes on by itself, a few partitions at
  // a time. False: one is under way.
  bool check_copies(const std::set<NodeId>& except);
  std::vector<CopyCheck> copy_checks() const;  // of the last time
  bool checking_copies() const;

  // Views for status pages, metrics and the simulator's checks.
  std::vector<Table> tables() const;                    // those not dropped, by name
  bool purging(const std::string& table) const;         // dropped, and this shard still erases its keys
  std::vector<MemberView> members(Now now) const;       // also those removed
  Standing standing() const;                            // this node's
  const Member* find_member(const NodeId& node) const;  // nullptr: not known; removed ones are
  // This node is leaving or removed, and holds nothing any more.
  bool departed() const;
  // Another member has told that it knows this node as removed: it may end without being waited for.
  bool removal_known() const;
  PartitionView partition(Now now, PartitionId partition) const;  // REQUIRES: of this shard
  std::vector<PartitionView> partitions(Now now) const;           // of this shard
  // Whether another owner that is ready has told that it has all of `clock`, an earlier one of this copy, on
  // its disk; or all have, and this copy was dropped since. REQUIRES: of this shard
  bool held_elsewhere(PartitionId partition, const Clock& clock) const;
  std::vector<OwnerView> owners(Now now, PartitionId partition) const;  // in order of preference
  ExplainView explain(Now now, const std::string& table, const std::string& key) const;
  const CoreStats& stats() const;
  // Of failure detection, at shard 0: 0, or how many times more time this node gives others because it seems
  // to be at fault itself.
  uint32_t local_health() const;
  Actor actor() const;    // that the next write would use
  uint64_t life() const;  // to be kept for the next clean start
  // Whether that may go on is not decided: some member has not said what it knows of it.
  bool unconfirmed() const;
  uint64_t incarnation() const;
  size_t operations_in_flight() const;  // requests that are not answered yet
  // No request in flight, no push or repair under way.
  bool quiet() const;
  // "n1.7f3a:42" where the actor's node is known; else the tag in hexadecimal.
  std::string dot_text(Dot dot) const;
  std::optional<Dot> parse_dot(std::string_view text) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// "owner" order for a partition: weighted rendezvous hashing, spread over zones (replication/placement.h).
std::vector<NodeId> owners_of(PartitionId partition, const std::vector<Member>& members, uint32_t replicas);

}  // namespace covey
