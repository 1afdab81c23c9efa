// Bucketed comparison of two copies of a partition, for what the dot logs can't tell: a log that was cut, a
// new or restored replica, or equal clocks over unequal objects. One mechanism for all: to an empty copy
// every bucket differs, so it is sent whole.
//
// The copy that lacks something asks (a pull): it sends a hash for each bucket of keys; the other walks a
// snapshot and sends the objects of differing buckets in key order, chunk by chunk, each wanted by its
// number; with the last one the asker takes over the clock of the snapshot. A chunk speaks of every key in
// its range, also of those the sender no longer holds. A session that was interrupted goes on, with whichever
// peer has all that the first one had, behind the last chunk that arrived (repair_resume.cpp).
//
// A copy with hardly any objects is sent all, and has them at the end, all at once (repair_fill.cpp).
//
// Chunks are sent ahead of what the asker has said to have, at the pace of
// CoreOptions::transfer_bytes_per_second. Who waits for one is told every second that there is more to come.
//
// With `keep` stored objects themselves are compared, whatever the clocks say: one of two copies that know
// the same dots has lost something, nobody can tell which, and both keep what either holds. What is being
// written meanwhile is left alone: of a key that changed here since the other one's snapshot theirs is the
// older object, and of a version that this clock lacks theirs is the newer one.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replication/lives.h"
#include "replication/shard.h"

namespace covey {

constexpr uint32_t repair_buckets = 256;
constexpr size_t pulls_max = 2;                 // of a shard at once
constexpr size_t arrived_max = 2;               // and so many of which everything has come
constexpr size_t slice_keys = 2'000;            // looked at without a pause
constexpr uint64_t idle_after_us = 5'000'000;   // a session of which nothing is heard
constexpr size_t chunks_ahead_max = 12;         // about so many, of CoreOptions::message_bytes_max
constexpr uint64_t settled_dots_max = 100'000;  // of one item: what would be more is not from a covey

// The keys of a list of items, of which each names its table only if the one before has another.
class ItemKeys {
 public:
  // Valid until the next call. An item that names none, and has none before, has the empty table.
  const TableKey& read(const peer::Item& item);
  void write(const TableKey& key, peer::Item& item);

 private:
  TableKey last_;
};

class Repair {
 public:
  Repair(Shard& shard, Lives& lives) : shard_(shard), lives_(lives) {}

  struct Kind {
    bool keep = false;      // nothing is removed: for unequal objects, where one side is wrong
    bool ask_back = false;  // with keep: the other one is to do the same if anything differs
    bool check = false;     // with keep: take_checked() tells how it ended. No peer: only reads this copy
  };
  // Begins a session, unless one for the partition is under way or too many are: then false.
  bool open(Now now, const NodeId& peer, Partition& partition, Kind kind);
  // Since the last call a session has ended, and there is room for another.
  bool take_ended() { return std::exchange(ended_, false); }
  // The same of a session that came to its end: then the next one may begin at once. After one that did not,
  // it would fail again as fast as messages go.
  bool take_finished() { return std::exchange(finished_, false); }
  // Copies that are not ready and have taken all of a peer's since the last call.
  std::vector<std::pair<PartitionId, NodeId>> take_filled() { return std::exchange(filled_, {}); }
  // The copy was dropped, or is ready: what has arrived is no more, or of no use.
  void forget(Partition& partition);
  void tick(Now now);
  // Objects of a copy that is filled at once, by a session under way or interrupted.
  uint64_t arrived(PartitionId id) const;
  // Copies of which everything has come, and that the store has to write first.
  bool has_arrived() const;
  // Those of them that are written are taken in.
  void take_in_written();

  void receive(Now now, const NodeId& from, const peer::RepairOpen& message);
  void receive(Now now, const NodeId& from, const peer::RepairNext& message);
  void receive(Now now, const NodeId& from, const peer::RepairChunk& message);

  // Merges items as peers send them into an edit. False: malformed or the store failed; nothing may be
  // committed.
  template <class Items>
  bool merge_items(Now now, Replica::Edit& edit, const Items& items, const DotSet& base);

  bool has_room() const;
  std::vector<CopyCheck> take_checked() { return std::exchange(checked_, {}); }
  // Partitions whose copies differ from a peer's that wants to be asked for its one.
  std::vector<std::pair<PartitionId, NodeId>> take_asked_back() { return std::exchange(asked_back_, {}); }
  // The log of such a partition is to be kept: it tells which keys have changed since.
  bool keeps_what_either_holds(PartitionId id) const {
    auto at = pulls_.find(id);
    return at != pulls_.end() && at->second.keep;
  }

  bool quiet() const { return pulls_.empty() && serves_.empty(); }

 private:
  using Hashes = std::array<uint64_t, repair_buckets>;
  // A walk over a partition's objects in slices, that adds up bucket hashes.
  struct Hashing {
    std::unique_ptr<StoreSnapshot> snapshot;
    std::unique_ptr<StoreCursor> cursor;
    Hashes hashes{};
    Counts found, kept;  // as added up; as the snapshot's record tells them
  };
  // Of a copy that is sent everything: what has come (repair_fill.cpp).
  struct Filling {
    Clock clock;  // that the objects were stripped by, and that all sessions' snapshots had
    ObjectLoad load;
    uint64_t objects = 0;  // that have come
    std::string last_key;  // of the load
    std::string prefix;    // of all its storage keys
    std::string key;       // of the one that is read
    ObjectView object;
    DotSet beyond;  // dots of their versions that the clock lacks
    // Of the sessions that went on: the storage key behind which each began, and its snapshot's clock.
    std::vector<std::pair<std::string, Clock>> later;
    std::set<TableKey> known;  // keys of versions whose dots this copy knew: it may have seen them replaced
    bool arrived = false;      // everything has come; the load has ended
    std::string voids;         // RepairChunk.voids of the last
  };
  struct Pull {
    NodeId peer;
    uint64_t session = 0;
    bool keep = false;
    bool ask_back = false;
    std::optional<CopyCheck> check;
    std::optional<Hashing> hashing;  // still adding up; else waiting for chunk `index`
    Hashes hashes{};
    uint64_t index = 0;
    std::string from;              // storage key behind which it began
    std::string position;          // storage key up to which chunks have come
    std::optional<Clock> earlier;  // what may be taken over at the end
    Clock known_before;            // this copy's, when it began
    std::unique_ptr<Filling> filling;
    uint64_t objects = 0;  // of this copy, as far as they are spoken of
    uint64_t until_us = 0;
    bool arrived() const { return filling && filling->arrived; }
  };
  struct Interrupted {
    std::string position;
    Clock clock;  // that may be taken over for what has come
    Clock known_before;
    std::unique_ptr<Filling> filling;
  };
  struct Serve {
    NodeId peer;
    PartitionId partition;
    uint64_t session = 0;
    bool keep = false;
    bool ask_back = false;
    bool as_records = false;  // everything, and as it is stored
    Hashing hashing;
    bool hashed = false;
    Hashes theirs{};
    std::string differing;  // bits
    Clock clock;            // of the snapshot
    DotSet voids;
    std::optional<DotSet> since;  // RepairChunk.since
    uint64_t index = 0;           // of the chunk told last, from 1
    std::string from, to;         // its range
    bool last = false;
    std::deque<size_t> ahead;  // sizes of those told that the asker has not said to have
    size_t ahead_bytes = 0;
    uint64_t told_us = 0;  // when the asker last heard of it
    uint64_t until_us = 0;
  };

  using Serves = std::map<std::pair<NodeId, uint64_t>, Serve>;

  Hashing begin_hashing(PartitionId id, const std::string& from);
  enum class Progress { more, done, failed };
  Progress hash_slice(Hashing& hashing);
  void ask(const NodeId& peer, PartitionId id, Pull& pull);
  void tick_pulls(Now now);
  using Pulls = std::map<PartitionId, Pull>;
  Pulls::iterator hash_on(Now now, Pulls::iterator at);
  // Ends a session; `reason`: why it did not come to its end.
  Pulls::iterator end_pull(Pulls::iterator at, const std::string& reason, bool resumable);
  bool correct_counts(Partition& partition, const Hashing& hashing, CopyCheck& check);
  bool is_due(const Serve& serve) const;  // its next chunk is wanted
  void begin_sending(Serve& serve);
  void send_due(Now now);
  void tell_waiting(Now now, Serve& serve);
  static uint32_t bucket_of(const TableKey& key);
  static bool has_bit(const std::string& bits, uint32_t bucket);
  static std::string behind(PartitionId id, const std::string& from);
  void tick_serves(Now now);
  void refuse(const NodeId& peer, PartitionId id, uint64_t session, Refusal refusal);
  void send_chunk(Now now, Serve& serve);
  // What the next chunk has room for; answers how many objects.
  size_t add_objects(Serve& serve, peer::RepairChunk& message);
  bool apply_chunk(Now now, Partition& partition, const peer::RepairChunk& message, const Clock& clock,
                   const Pull& pull);
  // The same of a chunk whose objects come as they are stored.
  bool apply_records(Now now, Partition& partition, const peer::RepairChunk& message, const Clock& clock,
                     const Pull& pull);
  bool look_at_written(Replica::Edit& edit, Partition& partition, const Clock& clock,
                       const Clock& known_before);
  // The voids that come with the last chunk.
  bool join_end(Replica::Edit& edit, Partition& partition, const std::string& voids);
  // Of a session that goes on behind an earlier one (repair_resume.cpp).
  void ask_to_resume(const Partition& partition, const Pull& pull, peer::RepairOpen& message) const;
  bool serve_resumed(const Partition& partition, const peer::RepairOpen& message, Serve& serve);
  bool resume(const peer::RepairChunk& message, const Clock& clock, Pull& pull);
  bool may_fill(const Partition& partition, const Pull& pull, const peer::RepairChunk& message) const;
  std::unique_ptr<Filling> begin_filling(Partition& partition, const Clock& clock);
  bool fill_chunk(Now now, Partition& partition, const peer::RepairChunk& message, const Clock& clock,
                  Filling& filling);
  bool fill_record(Now now, Partition& partition, std::string_view key, std::string_view bytes,
                   const Clock& clock, Filling& filling);
  bool may_fill_on(const Partition& partition, const Filling& filling);
  bool end_filling(Partition& partition, Filling& filling);
  Pulls::iterator finish_pull(Pulls::iterator at);
  bool merge_loaded(Replica::Edit& edit, const TableKey& key, Filling& filling);
  bool keep_chunk(Partition& partition, const peer::RepairChunk& message, const Clock& clock,
                  CopyCheck& check);
  bool cover_absent(Replica::Edit& edit, Partition& partition, const peer::RepairChunk& message,
                    const Clock& clock);
  bool merge_item(Now now, Replica::Edit& edit, const TableKey& key, const peer::Item& item,
                  const DotSet& base);

  Shard& shard_;
  Lives& lives_;
  Pulls pulls_;
  std::map<PartitionId, Interrupted> interrupted_;
  std::set<PartitionId> merged_alone_;  // too much to be filled at once
  bool ended_ = false;
  bool finished_ = false;
  Serves serves_;
  std::vector<CopyCheck> checked_;
  std::vector<std::pair<PartitionId, NodeId>> asked_back_, filled_;
  std::pair<NodeId, uint64_t> last_served_;  // who comes last in the next turn
  uint64_t sends_again_us_ = 0;              // the pace allows no chunk before
};

template <class Items>
bool Repair::merge_items(Now now, Replica::Edit& edit, const Items& items, const DotSet& base) {
  ItemKeys keys;
  for (const auto& item : items) {
    if (!merge_item(now, edit, keys.read(item), item, base)) return false;
  }
  return true;
}

}  // namespace covey
