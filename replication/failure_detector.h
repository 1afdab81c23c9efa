// Who is alive, as a group of nodes finds out together: SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard
// (Dadgar, Phillips, Currey, DSN-W 2018).
//
// Each interval a node pings one other, in a shuffled order. Without an answer in time it asks some others to
// ping for it, and without an answer by the end of the interval it suspects that node. The suspected one
// hears of it and refutes it by a higher incarnation; if it does not, it is taken for dead when its time is
// over. News goes with every message, and where there is any also to a few nodes at random, several times a
// second.
//
// Lifeguard: a node whose own probes fail, who has to refute, or who hears nothing of those whom it asked is
// likely at fault itself and gives others more time (local health); nodes that have no answer either shorten
// a suspicion's time (replication/suspicion.h); whoever is suspected is told so first. Time during which a
// node did not run (it was paused) does not count against others.
//
// Dead nodes are told now and then that they are: one that was only cut off refutes it and is back.
//
// Pure: the time is given (microseconds, monotonic), messages and verdicts are taken. For one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replication/health.h"
#include "replication/news.h"
#include "replication/peer_messages.h"
#include "replication/random.h"
#include "replication/suspicion.h"

namespace covey {

// On the wire: never renumbered.
enum class DetectionKind : uint32_t {
  ping = 1,  // answered by an ack with its sequence
  ask = 2,   // to ping the subject for the sender; answered by its ack, or by a nack if none comes
  ack = 3,
  nack = 4,  // the asked one is there itself
  news = 5,
  compare = 6,  // a hash over all states: answered, if it differs, by ...
  states = 7    // all states
};

struct DetectorStats {
  uint64_t probes = 0, probes_failed = 0, indirect_probes = 0;
  uint64_t suspicions = 0;   // that this node raised or heard of
  uint64_t refutations = 0;  // of what was said about itself
  uint64_t deaths = 0;       // learned
  uint64_t malformed = 0;
};

class FailureDetector {
 public:
  struct Send {
    NodeId to;
    peer::Detection message;
  };

  // `incarnation`: best higher than that of earlier starts; a node who is remembered with a higher one learns
  // it.
  FailureDetector(NodeId self, const DetectorOptions& options, uint64_t incarnation, uint64_t seed);

  // Of the group: only those are probed and spoken of. At most members_max, others are left out.
  void add(uint64_t now_us, const NodeId& node);
  void remove(const NodeId& node);

  void tick(uint64_t now_us);  // every 10 ms or so
  // Whoever is not of the group is answered, and heard where it accuses this node: one that was removed has
  // to know who is alive while it hands its copies over.
  void receive(uint64_t now_us, const NodeId& from, const peer::Detection& message);
  // A connection to the node was lost: a reason to probe it at once, not a verdict.
  void disconnected(uint64_t now_us, const NodeId& node);
  // One stands again: states are compared at once.
  void connected(uint64_t now_us, const NodeId& node);

  std::vector<Send> take_sends();
  // Of all nodes whose state has changed since; self among them.
  std::vector<Verdict> take_verdicts();

  const Verdict& of(const NodeId& node) const;  // REQUIRES: added, or self
  uint64_t incarnation() const { return self_.incarnation; }
  // 0: well; up to local_health_max.
  uint32_t local_health() const { return local_health_; }
  const DetectorStats& stats() const { return stats_; }
  size_t members() const { return entries_.size() + 1; }
  const std::vector<NodeId>& others() const { return order_; }  // in the order of probing
  // Equal at nodes that hold the same of the same group.
  uint64_t states_hash() const;

  static constexpr size_t members_max = 10'000;
  static constexpr size_t probes_max = 16;  // at once: one by turn, others for a reason
  static constexpr size_t relays_max = 64;  // for others at once; beyond it an ask is not answered
  static constexpr uint64_t incarnation_max = uint64_t{1} << 62;  // one as high is no node's word

 private:
  struct Entry {
    Verdict verdict;
    std::vector<NodeId> accusers;  // suspected: at most confirmations_max + 1
    uint64_t until_us = 0;         // suspected: own time
    uint64_t began_us = 0;
  };
  struct Probe {
    NodeId target;
    uint32_t sequence = 0;
    uint64_t ask_us = 0;  // own time
    uint64_t end_us = 0;
    bool asked = false;
    std::vector<NodeId> helpers;  // of whom no nack has come
  };
  struct Relay {
    NodeId asker;
    uint32_t their_sequence = 0;
    uint32_t sequence = 0;
    uint64_t nack_us = 0;
    uint64_t end_us = 0;
    bool nacked = false;
  };

  void advance(uint64_t now_us);
  SuspicionTimes suspicion_times() const;
  size_t living() const { return members() - dead_; }
  uint64_t stretched(uint64_t us) const { return us * (local_health_ + 1); }
  void feel(int change);

  void probe_next();
  void probe(const NodeId& node);
  void ask_others(Probe& probe);
  void fail(const Probe& probe);
  void run_probes();
  void run_relays();
  void run_suspicions();
  void spread();
  void greet_dead();
  void answer_ask(const NodeId& from, const peer::Detection& message);
  void take_ack(const NodeId& from, uint32_t sequence);
  void take_nack(const NodeId& from, uint32_t sequence);

  void learn(const NodeId& node, Health health, uint64_t incarnation, const std::vector<NodeId>& accusers);
  void learn_of_self(Health health, uint64_t incarnation);
  void set(Entry& entry, Health health, uint64_t incarnation, const std::vector<NodeId>& accusers);
  bool accuse(Entry& entry, const std::vector<NodeId>& accusers);
  void set_deadline(Entry& entry);

  peer::Detection& send(const NodeId& to, DetectionKind kind, uint32_t sequence);
  void add_news(const NodeId& to, peer::Detection& message);
  void fill(peer::NodeNews& news, const NodeId& node) const;
  void send_states(const NodeId& to, bool answer_wanted);
  std::vector<NodeId> choose(size_t count, const NodeId& except);

  DetectorOptions options_;
  Verdict self_;
  Random random_;
  std::map<NodeId, Entry> entries_;
  std::vector<NodeId> order_;  // of probing
  size_t next_ = 0;            // in order_
  size_t dead_ = 0;
  std::set<NodeId> suspected_;
  std::vector<NodeId> urgent_;  // to be probed out of turn; at most probes_max
  std::vector<Probe> probes_;
  std::vector<Relay> relays_;
  News news_;
  std::set<NodeId> changed_;
  std::vector<Send> sends_;
  uint32_t sequence_;
  uint32_t local_health_ = 0;
  uint64_t now_us_ = 0;   // as last given
  uint64_t time_us_ = 0;  // own: without the time that this node did not run
  uint64_t next_probe_us_ = 0, next_news_us_ = 0, next_compare_us_ = 0, next_greeting_us_ = 0;
  DetectorStats stats_;
};

}  // namespace covey
