// Runs clients' requests: on this replica, with the other owners and stand-ins, or by forwarding. One write
// path and one read path for all levels: the level decides only when to answer.
//
// Writes of clients and of peers are staged and go into the store together, in one batch: a batch costs as
// much as two or three of the writes in it. All else that looks at the replica calls write_staged() first.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <tuple>

#include "replication/asked.h"
#include "replication/lives.h"
#include "replication/pool.h"
#include "replication/read_state.h"
#include "replication/shard.h"

namespace covey {

class Coordinator {
 public:
  // Operation numbers begin anywhere: a late answer to an earlier life of this node must not meet its own
  // number.
  Coordinator(Shard& shard, Lives& lives)
      : shard_(shard), lives_(lives), next_operation_(shard.random.next() >> 24), group_(shard.replica) {}

  void request(Now now, RequestId client, Request&& request);
  void tick(Now now);
  void durable();

  // A message of this core was not sent for lack of room.
  void unsent(Now now, const NodeId& to, const peer::Envelope& message);
  // REQUIRES: the members know of it. `unsent`: what has certainly not left this node.
  void link_lost(Now now, const NodeId& peer, std::vector<Output::Send> unsent);
  // The node's process is gone, as far as is known. Nothing waits for its answers any more: what can't be
  // reached without them is answered now. `state`: of it.
  void give_up(Now now, const NodeId& node, const std::string& state);

  // from_shard: of the sender's, which is answered.
  void receive(Now now, const NodeId& from, const peer::Replicate& message, uint32_t from_shard);
  void receive(Now now, const NodeId& from, const peer::ReplicateAck& message);
  void receive(Now now, const NodeId& from, const peer::Fetch& message);
  void receive(Now now, const NodeId& from, const peer::FetchReply& message);
  void receive(Now now, const NodeId& from, const peer::Scan& message);
  void receive(Now now, const NodeId& from, const peer::ScanReply& message);
  using PeerShard = std::pair<NodeId, uint32_t>;
  void receive(Now now, const PeerShard& from, const peer::Forward& message, uint64_t incarnation);
  void receive(Now now, const NodeId& from, const peer::ForwardReply& message);

  // Who takes sloppy writes in place of `absent` owners: those that will own the partition, who take all
  // writes anyway, then other nodes by its preference. At most `absent`.
  std::vector<NodeId> stand_ins(Now now, PartitionId id, size_t absent) const;

  // A delete by this node itself (expiry, a dropped table), of what it sees; replicated like any other.
  void erase_own(Now now, PartitionId id, const TableKey& key, const Context& context);

  // Writes what is staged, then sends and answers what follows from it.
  void write_staged();

  size_t unanswered() const { return operations_.size() - trailing_.size() + staged_writes_.size(); }
  bool idle() const { return operations_.empty() && staged_writes_.empty() && staged_merges_.empty(); }

 private:
  // Who asked: a client here, or a peer that forwarded.
  struct Asker {
    std::optional<RequestId> client;
    NodeId peer;
    uint64_t peer_operation = 0;
  };
  struct OperationState {
    enum class Kind : uint8_t { write, read, scan, forward };
    Kind kind = Kind::write;
    Asker asker;
    Request request;
    PartitionId partition;
    uint64_t deadline_us = 0;
    bool answered = false;
    Asked asked;
    bool alone = false;       // Kind::write: it concerns no other node; none is asked
    size_t stand_ins = 0;     // Kind::write: asked in place of absent owners
    DotSet dots;              // Kind::write: that it gave out
    Response response;        // filled in as things happen
    ReadState read;           // Kind::read, Kind::scan
    uint64_t read_bytes = 0;  // that its answers hold
    bool queued = false;      // a read that waits for its turn
    uint32_t times_busy = 0;  // answers to a read that said so
    bool reads() const { return kind == Kind::read || kind == Kind::scan; }
  };
  // Made once: it is too large to be moved from list to list.
  using OperationPointer = Pool<OperationState>::Pointer;
  using Operations = std::map<uint64_t, OperationPointer>;
  struct Targets {
    std::vector<NodeId> owners;     // that may be asked, self among them
    std::vector<NodeId> filling;    // that will own it and take its writes already
    std::vector<NodeId> stand_ins;  // for the owners that may not, also of those that will own it
    std::vector<NodeId> holders;    // other nodes known to hold the partition (reads ask them too)
    std::vector<OwnerOutcome> absent;
    size_t counted(bool sloppy) const { return owners.size() + (sloppy ? stand_ins.size() : 0); }
  };

  // A write of a client, not stored yet.
  struct StagedWrite {
    OperationPointer operation;
    Targets who;
    Object filled;
  };
  // A peer's write, not stored yet.
  struct StagedMerge {
    NodeId from;
    uint32_t from_shard;
    uint64_t operation;  // 0: it asks for no answer
    bool takes_many;     // one answer may speak of several
    PartitionId partition;
  };
  // An answer to a peer's writes that waits to be sent, to which others may be added.
  struct Acknowledgement {
    const StagedMerge* first;
    Lsn lsn;
    peer::ReplicateAck* message;
  };

  Targets targets(Now now, PartitionId id, bool sloppy) const;
  std::vector<NodeId> holders(Now now, const Partition& partition) const;
  void start(Now now, Asker asker, Request&& request);
  void start_write(Now now, OperationPointer begun);
  void forward(Now now, OperationPointer begun, const NodeId& target);
  // Answers the requests that were sent on to the node: nobody knows what became of them.
  void give_up_forwards(const NodeId& node, const std::string& state);
  void forward_unsent(Now now, const NodeId& to, const peer::Forward& message);
  void start_read(Now now, OperationPointer begun);
  bool try_local_read(Now now, OperationState& operation);
  Result<Status, StoreError> stage(Now now, OperationState& operation, bool sends, Object& filled);
  Status put_value(Now now, OperationState& operation, Replica::Edit& edit, Object& filled);
  Status change(Now now, OperationState& operation, Replica::Edit& edit, Object& filled);
  bool is_alone(const Targets& who) const;
  bool may_be_owned_unheard(PartitionId id) const;
  void write_others(StagedWrite&& staged);
  void answer_alone(OperationState& operation);
  bool answer_at_once(OperationState& operation, const std::vector<NodeId>& others,
                      const std::vector<OwnerOutcome>& absent);
  void acknowledge(const std::vector<StagedMerge>& merges, Refusal refusal);
  void staged_one(size_t bytes);
  void replicate(const std::vector<NodeId>& to, uint64_t operation, PartitionId id, const TableKey& key,
                 const std::string& object, const std::string& settled);

  uint64_t begin(OperationPointer operation);
  void acknowledged(const NodeId& from, uint64_t id, Refusal refusal);
  void write_acknowledged(uint64_t id);
  // How many of the nodes count towards W.
  struct Count {
    size_t owners = 0, targets = 0, others = 0, filling = 0;
  };
  void count(PartitionId id, const NodeId& node, Count& count) const;
  size_t counted(const OperationState& operation, const Count& count) const;
  void read_progress(Now now, uint64_t id);
  void answer_read(Now now, OperationState& operation);
  void answer_object(Now now, OperationState& operation, Object merged);
  void repair_readers(OperationState& operation);
  void fail(OperationState& operation, Status status);
  void reply(OperationState& operation);
  void finish_if_done(uint64_t id);
  void expire(Now now, uint64_t id);
  void read_own(OperationState& operation);
  void ask(uint64_t id, const OperationState& operation, const NodeId& node);
  void replicate_again(const OperationState& operation, uint64_t id, const NodeId& node);

  void add_answer(OperationState& operation, ReadAnswer answer);
  void drop(Operations::iterator at);
  OperationPointer take(Operations::iterator at);  // to be begun anew
  void end_oldest_trailing();
  bool room_for_reads();
  void start_queued(Now now);
  void told_busy(Now now, uint64_t id, const NodeId& from);
  void ask_again(Now now);

  Shard& shard_;
  Lives& lives_;
  // A forwarded write that comes twice is done once: the ids that each peer's present life sent of late. The
  // lives of one node's shards may have different incarnations.
  struct Forwarded {
    uint64_t incarnation = 0;
    uint64_t floor = 0;  // ids up to here count as seen
    std::set<uint64_t> seen;
  };
  bool is_repeated(const PeerShard& from, uint64_t incarnation, uint64_t operation);

  std::map<PeerShard, Forwarded> forwarded_;
  uint64_t next_operation_;
  Pool<OperationState> pool_;
  Operations operations_;
  std::set<uint64_t> trailing_;  // of them: reads that are answered and still wait for some replica
  std::deque<uint64_t> queued_;  // of them: reads that wait for their turn
  uint64_t read_bytes_ = 0;      // that all of them hold
  std::set<std::tuple<uint64_t, uint64_t, NodeId>> ask_again_;  // (when us, operation, who was busy)
  std::set<std::pair<uint64_t, uint64_t>> deadlines_;           // (deadline us, operation)
  std::deque<std::pair<Lsn, uint64_t>> own_writes_;  // operations whose own write is not durable yet, by lsn
  Replica::Group group_;                             // the edits of what is staged
  std::vector<StagedWrite> staged_writes_;
  std::vector<StagedMerge> staged_merges_;
  size_t staged_bytes_ = 0;
};

}  // namespace covey
