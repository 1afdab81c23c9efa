// What truly happened: every write that any replica accepted, what its client had seen, where it was made
// durable and which disks were lost since. It judges each answer and each replica's state against that.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replication/core.h"
#include "replication/object.h"
#include "replication/request.h"
#include "replication/types.h"
#include "tests/sim/setup.h"
#include "tests/sim/totals.h"

namespace covey::sim {

using NodeMask = uint32_t;  // bit i: node i

// What a client asked for.
struct ClientOperation {
  size_t number = 0;
  Request request;
  size_t node = 0;
  uint64_t submitted = 0;  // the oracle's count of things that happened
  uint64_t deadline_us = 0;
  uint64_t wall_ms = 0;  // its node's clock when it was submitted
  bool reply_lost = false;
  bool old_owners = false;  // its node had not heard yet of who the owners are
  bool done = false;
  bool stale = false;    // a read that misses what was acknowledged before it began
  bool gave_up = false;  // its node crashed before it answered
  Response response;
  std::string token_name;  // the client keeps the context under this name
  std::string shown;       // the answer as a scenario states it
};

// One accepted write.
struct Event {
  // touch: the core wrote an object once more under a new dot and changed none of its versions
  enum class Kind : uint8_t { put, erase, expiry, touch };
  size_t id = 0;
  std::optional<size_t> operation;  // none: the expiry of a value
  TableKey key;
  PartitionId partition;
  Dot dot;
  Kind kind = Kind::put;
  DotSet overwrites;                // what its client had seen
  std::vector<size_t> overwriters;  // events that had seen this one
  Hlc time;
  uint64_t expires_ms = 0;
  std::string value;
  VersionKind version_kind = VersionKind::value;
  std::string name;           // of an element, a field, a token
  int64_t sum = 0;            // of an increment: what its version counts, with what it has replaced
  std::set<size_t> counted;   // the increments, as events, of which it is the sum
  bool has_version = false;   // its version was seen, so `time` is known
  NodeMask held = 0;          // had it at some time
  NodeMask durable = 0;       // had it on a disk at some time
  NodeMask holders = 0;       // have it on a disk that was not lost since
  NodeMask wiped = 0;         // of `durable`: lost the disk since
  NodeMask rolled_back = 0;   // of `held`: had an older disk put in since, or lost it in a crash
  NodeMask came_back = 0;     // of those some that have it again
  uint64_t came_back_at = 0;  // the last of them
  bool acknowledged = false;
  uint64_t acknowledged_at = 0;
  uint64_t batch = 0;                   // in which it was stored first
  std::pair<size_t, uint64_t> done_by;  // of a client's: the node, and which run of it
  uint32_t needed = 0;                  // W
  bool strict = false;
  bool voided = false;  // closed as a hole: nobody had received it
};

class Oracle {
 public:
  Oracle(const Setup& setup, std::vector<NodeId> nodes);

  // Other members from now on. Partitions that get other owners move, until the world says that they are
  // settled: all nodes see the new owners.
  void members_changed(const std::vector<Member>& members);
  bool moves(PartitionId partition) const { return moves_[partition.value].now; }
  // Whether what the partition's owners are may look otherwise to the node: while it moves; and to one that
  // is no owner, since it moved: it may have owned it before, and does again while a new owner's disk is
  // refilled.
  bool may_see_others(size_t node, PartitionId partition) const {
    const Moves& moves = moves_[partition.value];
    return moves.now || (moves.ever && (owners_[partition.value] & NodeMask{1} << node) == 0);
  }
  void settled(PartitionId partition);

  // Tables of the run. REQUIRES: before the first write.
  void table(const std::string& name, Conflicts conflicts) { conflicts_[name] = conflicts; }
  Conflicts conflicts(const std::string& name) const;

  uint64_t next_moment() { return ++moment_; }
  void next_batch() { ++batch_; }
  void saw_wall(uint64_t wall_ms) { latest_wall_ms_ = std::max(latest_wall_ms_, wall_ms); }  // of any node
  uint64_t base_wall_ms() const { return 1'700'000'000'000; }

  // A replica accepted a write: its dot is new. Fails if the dot was given before, or was claimed before.
  // `by`: the node, and which run of it; it does a request once.
  Event& minted(std::pair<size_t, uint64_t> by, Dot dot, const TableKey& key, Event::Kind kind,
                const ClientOperation* operation);
  // What it removed beside what its client had seen: expired values, and where the last write wins all that
  // the coordinating replica saw.
  void also_overwrites(Event& event, Dot removed);
  // A change to a counter, a set or a hash, of which this event is one dot: what it added under it, or
  // nothing.
  struct Planned {
    const Request& request;
    PartitionId partition;
    const Object& before;  // as its replica stored it
    const std::vector<Version>& removed;
    uint64_t wall_ms = 0;
  };
  void changed(Event& event, const Planned& planned, const Version* version);
  static constexpr uint64_t token_window_ms = 3'600'000;
  // It says no more than the node knew: `context` without the versions that the object still has.
  void touched(Event& event, const DotSet& context, const Object& object);
  // Whether a node whose disk is as old as that may go on with these lives: of every dot that it gave since,
  // the disk of one of `others` can tell. `minted`: the last that the old disk knows to be given.
  bool others_know(NodeMask others, PartitionId partition, Actor life, uint64_t minted) const;
  Event* find(PartitionId partition, Dot dot);
  // The replica's clock has the dot; with `on_disk` also after a crash.
  void learned(size_t node, Event& event, bool on_disk);
  // It is on the disk at a start. A disk put back after it was lost: others may have become ready without it.
  void found(size_t node, Event& event);
  // A crash took what the replica had not synced: as if an older disk had been put in.
  void forgotten(size_t node, Event& event);
  // A version was seen with this event's dot: all of them must be the same.
  // `read`: as a client is shown it, elements with the key's expiry.
  void saw_version(Event& event, const Version& version, bool read = false);
  // A dot that was never given is in a clock.
  void claimed_without_write(PartitionId partition, Dot dot);
  void voided(PartitionId partition, const DotSet& dots, const std::set<Actor>& running);

  void disk_lost(size_t node, bool wiped, const std::function<bool(const Event&)>& still_there);
  // A crash without loss of the disk. Fails if something durable is gone.
  void restarted(size_t node, const std::function<bool(const Event&)>& still_there);
  // A node dropped its copy of a partition.
  void dropped(size_t node, PartitionId partition, const DotSet& gone);

  // A node gave up a damaged disk because others had all that was in this clock of it.
  void set_aside(size_t node, PartitionId partition, const DotSet& clock);
  // Whether disks of others have all of it.
  bool held_by_others(size_t node, PartitionId partition, const DotSet& clock) const;

  void answered(const ClientOperation& operation, uint64_t wall_ms, Totals& totals);
  // What a replica holds for a key, with all that its clock and the object's context claim (I1).
  void check_object(size_t node, const TableKey& key, const Object& stored, const DotSet& clock);
  // Once all is quiet and whole: exactly the writes that nobody has overwritten.
  void check_final(const TableKey& key, const Object& object, Totals& totals);

  std::vector<TableKey> keys() const;
  NodeMask owners(PartitionId partition) const { return owners_[partition.value]; }
  const std::vector<NodeId>& owner_names(PartitionId partition) const {
    return owner_names_[partition.value];
  }
  Event& event(size_t id) { return events_[id]; }
  const std::deque<Event>& events() const { return events_; }
  std::string describe(const Event& event) const;

 private:
  bool key_expires(const Event& event) const;
  template <class Counts>
  bool gone(const Event& event, Counts counts, bool expiry_counts) const;
  struct Sum {
    int64_t total = 0;
    std::set<size_t> counted;
  };
  Sum sum_of(const Event& event, const Planned& planned, const Version& version,
             const std::set<Dot>& passed) const;
  void judge_token(const Event& event, const Planned& planned, const Version* version,
                   const std::set<Dot>& passed);
  void judge_counter(PartitionId partition, const TableKey& key, const Object& shown) const;
  void judge_write(const ClientOperation& operation, Totals& totals);
  void acknowledged(const ClientOperation& operation, Event& judged);
  void judge_read(const ClientOperation& operation, const TableKey& key, const Object& object,
                  const Context& context, uint64_t wall_ms, Totals& totals);
  void judge_scan(const ClientOperation& operation, uint64_t wall_ms, Totals& totals);
  bool must_be_seen(const Event& event, const ClientOperation& read) const;
  std::optional<std::string> staleness(const std::vector<const Event*>& seen_before,
                                       const Object& object) const;
  // Where the last write wins a reader is not shown what is older than something that it is shown.
  bool hidden_by_newer(const Event& event, const Object& shown) const;
  // Owners were others when the operation began, or may have been.
  bool moved_within(PartitionId partition, const ClientOperation& operation) const;
  const std::vector<size_t>& events_of(const TableKey& key) const;

  Setup setup_;
  std::vector<NodeId> nodes_;
  std::map<std::string, Conflicts> conflicts_;
  std::vector<NodeMask> owners_;
  std::vector<std::vector<NodeId>> owner_names_;
  struct Moves {
    bool now = false;
    bool ever = false;
    uint64_t settled_at = 0;
  };
  std::vector<Moves> moves_;  // by partition
  std::deque<Event> events_;
  std::vector<std::map<Dot, size_t>> by_dot_;  // by partition
  std::vector<DotSet> claimed_;                // by partition: dots in clocks that nobody was given
  std::map<TableKey, std::vector<size_t>> by_key_;
  std::map<size_t, std::vector<size_t>> by_operation_;
  uint64_t latest_wall_ms_ = 0;
  uint64_t moment_ = 0;
  uint64_t batch_ = 0;
};

}  // namespace covey::sim
