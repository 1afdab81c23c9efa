// One shard of a running node: a thread's event loop around one replication::Core. Inputs go in, the core
// decides, and perform() does what it says: it is the only place that sends, answers and logs for the core.
//
// All methods are for the shard's own thread unless they say otherwise.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "replication/core.h"
#include "server/column_feed.h"
#include "server/log.h"
#include "server/mailbox.h"
#include "server/metrics.h"
#include "server/node_context.h"
#include "server/rate.h"
#include "server/ready_sockets.h"
#include "server/table_definition.h"

namespace covey::server {

class AggregatePeers;
class ClientConnection;
class PeerLinks;

// Whoever asks the core something. Answered exactly once for each ask(), on the thread of the shard that it
// asked.
class Requester {
 public:
  virtual ~Requester() = default;
  virtual void answered(uint64_t tag, Response&& response) = 0;
};

// Something with bytes to write once the current batch of work is done.
class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual void flush() = 0;
};

class ShardLoop {
 public:
  ShardLoop(NodeContext& node, uint32_t index);
  ~ShardLoop();

  // Before the thread runs. The store is the database's for this shard.
  [[nodiscard]] Result<Done, StoreError> open(Database& database, const Identity& identity);
  void begin();              // starts ticking and dialing; work is done once run() runs
  void run() { io_.run(); }  // the thread's body, until stop()
  void stop();               // any thread
  void close_store();        // after the thread has ended

  boost::asio::io_context& io() { return io_; }
  Mailbox& mailbox() { return mailbox_; }  // any thread
  ReadySockets& sockets() { return sockets_; }
  NodeContext& node() { return node_; }
  uint32_t index() const { return index_; }
  Core& core() { return *core_; }
  Metrics& metrics() { return metrics_; }
  const ClientRates& client_rates() const { return client_rates_; }
  LogGate& log_gate() { return log_gate_; }
  const std::string& date() const { return date_; }  // for HTTP, of this second

  // Asks the shard that holds the key's partition (scan: the request's partition), this one or another.
  // `row`: what the columns of its table are in the value of a put.
  void ask(Request&& request, std::shared_ptr<Requester> requester, uint64_t tag, ReadRow row = {});

  // A message of a peer that some shard's connection received: goes to the shard or shards that it concerns.
  void dispatch(const NodeId& from, std::shared_ptr<const peer::Envelope> message);
  void met(const Member& member);                                            // tells all shards
  void link(const NodeId& peer, bool up, std::vector<Output::Send> unsent);  // as the core's

  void refused(const NodeId& peer);  // as the core's

  // nullptr: no such table.
  const TableDefinition* table(std::string_view name) const;
  const std::map<std::string, TableDefinition, std::less<>>& known_tables() const { return tables_; }
  // A decision about a member, on this shard; the answer is for the others.
  [[nodiscard]] Result<Member, StoreError> decide(const Member& member);
  [[nodiscard]] Result<Done, StoreError> put_table(const Table& table);
  [[nodiscard]] Result<Done, StoreError> drop_table(const std::string& name);

  ColumnFeed& column_feed() { return feed_; }
  AggregatePeers& aggregate_peers() { return *aggregate_peers_; }
  // Sends a message that the server's own parts give, not the core. false: there is no room for it.
  bool send(const NodeId& to, peer::Envelope& message);
  bool linked(const NodeId& to) const;
  bool linked_to_any() const;  // what is sent to the others is lost

  void refuse_writes(bool refuse);
  void flush_later(std::shared_ptr<Flushable> flushable);
  Metrics collect();  // for a scrape

  // Clients' connections, each from its start to its close().
  void add_connection(ClientConnection* connection) { connections_.insert(connection); }
  void remove_connection(ClientConnection* connection) { connections_.erase(connection); }
  void drain_connections();  // ends them as soon as what they asked for is answered
  const std::set<ClientConnection*>& connections() const { return connections_; }

 private:
  struct Pending {
    std::shared_ptr<Requester> requester;
    uint64_t tag = 0;
    uint32_t home = 0;        // the shard whose requester it is
    uint32_t generation = 0;  // of this place, so that an old id finds nothing
    Operation operation = Operation::get;
  };

  struct Input {
    RequestId id;
    Request request;
  };

  template <class Action>
  void step(Action&& action);
  bool perform(Output output);
  void tell(const Verdict& verdict);
  void answer(const Output::Answer& id, Response&& response);
  void deliver(uint32_t home, std::shared_ptr<Requester> requester, uint64_t tag, Response&& response);
  void submit(Request&& request, std::shared_ptr<Requester> requester, uint64_t tag, uint32_t home,
              ReadRow&& row);
  void receive(const NodeId& from, const peer::Envelope& message);
  void drain_core();
  void end_pass_later();
  void end_pass();
  void tick();
  void check_connections(Now time);
  void refresh_tables();
  void durable_event();

  NodeContext& node_;
  const uint32_t index_;
  boost::asio::io_context io_{1};
  Mailbox mailbox_;
  ReadySockets sockets_;
  boost::asio::steady_timer ticker_;
  ColumnFeed feed_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<PeerLinks> links_;
  std::unique_ptr<AggregatePeers> aggregate_peers_;
  std::atomic<bool> durable_posted_{false};

  bool end_posted_ = false;   // end_pass() is to come
  bool fed_ = false;          // the core was given something since its last drain
  bool performing_ = false;   // what it said is being performed
  std::deque<Input> inputs_;  // asked meanwhile; bounded by pending_
  std::vector<Pending> pending_;
  std::vector<uint32_t> pending_free_;
  size_t pending_count_ = 0;
  std::vector<std::shared_ptr<Flushable>> unflushed_;
  std::set<ClientConnection*> connections_;
  uint64_t connections_checked_us_ = 0;

  std::map<std::string, TableDefinition, std::less<>> tables_;
  Metrics metrics_;
  ClientRates client_rates_;
  LogGate log_gate_;
  uint64_t unsynced_since_us_ = 0;
  Lsn durable_;  // as the store told it last
  std::string date_;
  uint64_t date_second_ = 0;
};

// Runs `each` on every shard's thread, then `then` on the caller's with all results in the order of the
// shards.
template <class T>
void gather(ShardLoop& home, std::function<T(ShardLoop&)> each, std::function<void(std::vector<T>&&)> then) {
  struct Gathering {
    std::vector<T> results;
    size_t missing = 0;
    std::function<void(std::vector<T>&&)> then;
  };
  auto gathering = std::make_shared<Gathering>();
  const auto& shards = home.node().shards;
  gathering->results.resize(shards.size());
  gathering->missing = shards.size();
  gathering->then = std::move(then);
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i]->mailbox().post([&home, shard = shards[i], i, each, gathering] {
      auto result = std::make_shared<T>(each(*shard));
      home.mailbox().post([i, gathering, result] {
        gathering->results[i] = std::move(*result);
        if (--gathering->missing == 0) gathering->then(std::move(gathering->results));
      });
    });
  }
}

}  // namespace covey::server
