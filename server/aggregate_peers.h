// Aggregates between nodes: asks other nodes for their share and answers theirs. One for each shard, used by
// its thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "replication/peer_messages.h"
#include "server/aggregate_scan.h"

namespace covey::server {

// A share beyond it can't travel in one message: too_large.
inline constexpr size_t share_bytes_max = 8 * 1024 * 1024;

class AggregatePeers {
 public:
  explicit AggregatePeers(ShardLoop& shard);

  struct Ask {
    std::string queries;  // TableQueries::text
    agg::Siblings siblings = agg::Siblings::kLatest;
    uint32_t timeout_ms = 0;
  };
  using Done = std::function<void(PartitionsAnswer&&)>;
  // The number under which the answer is awaited; `done` is called at most once, on this thread. 0: there is
  // no connection, or no room for the message.
  uint64_t ask(const NodeId& node, const PartitionsAsk& ask, const Ask& more, Done done);
  // The answer is not wanted any more.
  void forget(uint64_t operation) { awaited_.erase(operation); }

  // Sends replies that wait for a connection.
  void tick();

  void receive(const NodeId& from, const peer::AggregateAsk& message);
  void receive(const NodeId& from, const peer::AggregateReply& message);

 private:
  struct Awaited {
    NodeId node;
    Done done;
  };
  // A reply whose receiver this node has no connection to just now: it has started again a moment ago.
  struct Unsent {
    NodeId to;
    std::unique_ptr<peer::Envelope> envelope;
    double until_us = 0;
  };
  void reply(const NodeId& to, uint64_t operation, const PartitionsAnswer& answer);
  void refuse(const NodeId& to, const peer::AggregateAsk& message, const std::string& reason);

  ShardLoop& shard_;
  std::map<uint64_t, Awaited> awaited_;
  std::vector<Unsent> unsent_;
  uint64_t last_ = 0;  // random at first: an answer to an earlier process finds nothing
};

}  // namespace covey::server
