// A whole cluster in one thread under a virtual clock: the very cores of the server, simulated disks, clocks
// and network, clients, and an oracle that watches. Everything follows from the setup and the steps.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "replication/context_token.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/machine.h"
#include "tests/sim/oracle.h"
#include "tests/sim/random.h"
#include "tests/sim/setup.h"
#include "tests/sim/totals.h"

namespace covey::sim {

// What the network does to each message, in parts per million, and how long one takes.
struct NetworkRules {
  uint64_t loss_ppm = 0;
  uint64_t duplicate_ppm = 0;
  uint64_t corrupt_ppm = 0;  // the frame is dropped by its checksum, and the connection with it
  uint64_t garbage_ppm = 0;  // besides, a damaged message reaches the core
  uint64_t replay_ppm = 0;   // besides, a message of a life that is over arrives
  uint64_t delay_min_us = 200;
  uint64_t delay_max_us = 2'000;
  uint64_t room_bytes = 0;  // on the way from one node to another; beyond it none is sent; 0: any number
  bool ordered = true;
};

struct SyncRules {
  uint64_t delay_min_us = 100;
  uint64_t delay_max_us = 2'000;
};

class World {
 public:
  World(const Setup& setup, bool traced);
  ~World();

  // Time.
  uint64_t now_us() const { return queue_.now_us(); }
  void run_for(uint64_t duration_us);
  // False: the limit came first.
  bool run_until(const std::function<bool()>& done, uint64_t limit_us);

  // Machines. Each of these does nothing where it makes no sense (a crash of what is down ...).
  Machine& machine(const std::string& name);  // throws ScenarioError
  Machine& serving(const std::string& name);  // or a member, if that one is gone or has not joined
  void start(Machine& machine);
  void end_pending(Machine& machine, ShardState& shard, Lsn kept);
  void crash(Machine& machine, bool keeps_some);  // some of the writes that were not synced may survive
  void stop(Machine& machine);                    // in order
  void pause(Machine& machine);
  void resume(Machine& machine);
  void wipe(Machine& machine);
  void back_up(Machine& machine);
  void restore(Machine& machine,
               bool noticed);  // the directory says that it was restored, or seems untouched
  void set_stalled(Machine& machine, bool stalled);
  void set_full(Machine& machine, bool full);
  void fail_next_write(Machine& machine);
  void fail_next_sync(Machine& machine);
  void rot(Machine& machine);        // a bit of its disk flips; a node that runs crashes first
  void rot_table(Machine& machine);  // ... of a table, while the process goes on
  void heal(Machine& machine);       // ends its faults; does not start it
  void set_slow(Machine& machine, uint64_t delay_us);
  uint64_t wall_ms(const Machine& machine) const { return now(machine).wall_ms; }
  uint64_t received(const Machine& machine) const;  // objects of whole transfers, since it runs
  void step_clock(Machine& machine, int64_t step_ms);
  void drift_clock(Machine& machine, int64_t rate_ppm);
  void freeze_clock(Machine& machine);
  void set_clock_right(Machine& machine);

  // Membership. Each does nothing where too few members would be left, or nobody could be told.
  void join(Machine& machine);
  void leave(Machine& machine);
  void remove(Machine& machine);  // and its disk is lost

  void compare_copies(Machine& machine);  // an operator asks it to; nothing if it can't

  // Network.
  NetworkRules rules;
  SyncRules sync_rules;
  void cut(Machine& from, Machine& to, bool noticed);
  void mend(Machine& from, Machine& to);
  void mend_all();
  void reset_connection(Machine& a, Machine& b);
  void slow_link(Machine& from, Machine& to, uint64_t delay_us);

  // Clients. The request's context is taken from the named token; "forged" makes one up.
  // Returns the operation's number.
  size_t submit(ClientOperation operation, const std::string& context_name);
  const ClientOperation& operation(size_t number) const { return operations_[number]; }

  // Checks of all replicas against their stores, each other and the oracle.
  void check_everything();
  // Ends all faults, waits for convergence and quiet, and checks that what is left is exactly right.
  void heal_everything();
  void converge(uint64_t limit_us);
  // Ends all faults of these nodes and of the links among them, cuts them off from the others, and waits
  // until they agree on every partition that they keep: who can talk must become equal, whoever is missing.
  void converge_group(std::vector<size_t> members, uint64_t limit_us);
  // nullopt: all owners are equal and nothing is left over.
  std::optional<std::string> not_converged();
  DotSet to_be_settled(Machine& machine, const DotSet& dots);
  bool is_stripped(Machine& machine, ShardState& shard, PartitionId partition);

  // Adds what the cores counted.
  void finish();
  Totals totals;
  uint64_t digest() const { return digest_; }
  const std::vector<std::string>& trace() const { return trace_; }
  void note(const std::string& line);
  void note_state();  // what every replica holds
  bool traced() const { return traced_; }
  const Setup& setup() const { return setup_; }
  std::vector<Machine>& machines() { return machines_; }
  Random& random() { return random_; }

 private:
  struct Link {
    bool cut = false;
    bool up = false;          // the connection stands
    uint64_t connection = 0;  // which one: messages of an earlier one never arrive
    uint64_t slow_us = 0;
    uint64_t last_arrival_us = 0;
    uint64_t bytes = 0;  // on the way, on this connection
  };
  struct OldMessage {
    size_t from, to;
    uint64_t run;
    std::string bytes;
  };

  bool in_cluster(const Machine& machine) const { return !machine.outside && !machine.gone; }
  bool stays(const Machine& machine) const {
    return in_cluster(machine) && machine.standing == Standing::member;
  }
  bool may_go(const Machine& machine) const;
  bool decide(const NodeId& node, Standing standing);
  bool decide_at(Machine& machine, Member decision);
  void decide_again();  // what only disks knew that are lost
  void members_changed();
  void look_at_departure(Machine& machine);
  bool are_owners(const PartitionView& view) const;
  bool is_settled(PartitionId partition);
  bool sees_old_owners(const Machine& machine, const Request& request);
  void look_whether_settled();
  std::optional<std::string> group_differs(const std::vector<size_t>& members);
  std::optional<std::string> misjudged(const std::vector<bool>& running);
  Now now(const Machine& machine) const;
  CoreOptions core_options(const Machine& machine, uint32_t shard);
  void take_down(Machine& machine);
  void end_by_itself(Machine& machine);
  void lose_disk(Machine& machine);  // REQUIRES: it is down
  void mend_tables(Machine& machine);
  void meet_damage(Machine& machine);
  void look_at_damage(Machine& machine);
  bool held_elsewhere(const Machine& machine, const std::vector<std::map<PartitionId, Clock>>& clocks) const;
  std::vector<std::map<PartitionId, Clock>> clocks_of(const Machine& machine) const;
  void set_aside(Machine& machine);
  bool give_up_damaged();  // true: a disk was replaced
  void schedule_tick(Machine& machine, uint64_t delay_us);
  void check_deadlines(Machine& machine);
  void schedule_sync(Machine& machine, ShardState& shard);
  void finish_sync(Machine& machine, ShardState& shard, Lsn lsn);
  // Runs now, or once the machine is no longer paused; not at all if it ends before.
  void when_running(Machine& machine, std::function<void()> action);
  // Gives the core an input, after those of the pass have been dealt with.
  template <class Action>
  void input(Machine& machine, ShardState& shard, Action action);
  // One that is dealt with together with those of the pass, at its end or at once.
  template <class Action>
  void input_at_once(Machine& machine, ShardState& shard, Action action);
  template <class Action>
  void input_of_pass(Machine& machine, ShardState& shard, Action action);
  // A write of the key. Two of one key do not meet in a pass: the oracle could not tell them apart.
  void stage(Machine& machine, ShardState& shard, const TableKey& key, const ClientOperation* operation);
  void end_pass_later(Machine& machine, ShardState& shard);
  void after_input(Machine& machine, ShardState& shard);

  void observe(Machine& machine, ShardState& shard);
  // Answers the keys of which the clock has learned something.
  std::set<TableKey> observe_change(Machine& machine, ShardState& shard, const WatchedStore::Change& change);
  void observe_collected(Machine& machine, const WatchedStore::Change& change);
  const ClientOperation* tagged(const std::string& content_type) const;
  Event* attribute(Machine& machine, PartitionId partition, Dot dot, const WatchedStore::Change& change,
                   const DotSet& known);
  bool others_know_its_past(const Machine& machine);
  bool asks_for_its_past(const Machine& except) const;
  void look_again(Machine& machine);  // after a start: what came back
  std::set<Actor> running_actors() const;
  void count_stats(const Core& core);

  Link& link(size_t from, size_t to) { return links_[from * machines_.size() + to]; }
  void connect(size_t a, size_t b);
  void disconnect(size_t a, size_t b);
  void tell_link(size_t node, size_t peer, bool up);
  bool send(Machine& from, Output::Send& send);  // false: there was no room
  bool has_room(const Link& way, size_t bytes) const;
  void transmit(size_t from, size_t to, const std::string& bytes);
  void arrive(size_t from, size_t to, uint64_t connection, const std::string& bytes);
  void dispatch(Machine& to, const NodeId& from, const peer::Envelope& message);
  bool is_of_ended_life(ShardState& shard, const NodeId& from, const peer::Envelope& message);
  void receive_from_ended_life(Machine& to, ShardState& shard, const NodeId& from,
                               const peer::Envelope& message);
  std::string damaged(const std::string& bytes);

  void answer(Machine& machine, Output::Answer& answer);
  std::string shown(const ClientOperation& operation) const;
  std::optional<Context> open_token(ClientOperation& operation, const std::string& name, bool& refused);

  void check_copy(Machine& machine, ShardState& shard, const PartitionView& view);
  void check_columns();
  void check_pairs();
  void check_algebra();
  std::optional<std::string> leftovers(Machine& machine, ShardState& shard);
  void check_final_state();
  void mix(uint64_t value);

  Setup setup_;
  bool traced_;
  Random random_;
  EventQueue queue_;
  std::vector<Machine> machines_;
  std::vector<Member> members_;
  std::vector<Link> links_;
  Oracle oracle_;
  std::vector<OldMessage> old_messages_;
  std::deque<ClientOperation> operations_;
  struct Token {
    TableKey key;
    std::string text;
  };
  std::map<std::string, Token> tokens_;
  TokenKey token_key_;
  std::map<std::string, uint64_t> messages_by_kind_;
  std::vector<std::string> trace_;
  uint64_t digest_ = 0;
  uint64_t steps_ = 0;
  uint64_t settled_looked_us_ = 0;
  std::set<size_t> apart_;  // the machines of the last converge_group(), until all faults end
};

template <class Action>
void World::input(Machine& machine, ShardState& shard, Action action) {
  if (shard.fed) after_input(machine, shard);
  input_at_once(machine, shard, action);
}

template <class Action>
void World::input_at_once(Machine& machine, ShardState& shard, Action action) {
  action(*shard.core, now(machine));
  after_input(machine, shard);
}

template <class Action>
void World::input_of_pass(Machine& machine, ShardState& shard, Action action) {
  shard.fed = true;
  action(*shard.core, now(machine));
  end_pass_later(machine, shard);
}

}  // namespace covey::sim
