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

// A share travels in pieces, each asked for when the one before it has come. How long shares may be the
// configuration says (too_large); a shard keeps up to two of the longest until they are fetched, one more is
// busy.
inline constexpr size_t share_piece_bytes = 1 << 20;
// What is asked of a node (the queries, the ranges of exact quantiles): too_large.
inline constexpr size_t ask_bytes_max = 8 << 20;

class AggregatePeers {
 public:
  explicit AggregatePeers(ShardLoop& shard);

  struct Ask {
    std::string queries;  // TableQueries::text
    agg::Siblings siblings = agg::Siblings::kLatest;
    uint32_t timeout_ms = 0;
    std::shared_ptr<size_t> gathered;  // bytes of all shares of the request
  };
  using Done = std::function<void(PartitionsAnswer&&)>;
  // The number under which the answer is awaited; `done` is called at most once, on this thread. 0: there is
  // no connection, or no room for the message.
  uint64_t ask(const NodeId& node, const PartitionsAsk& ask, const Ask& more, Done done);
  // The answer is not wanted any more.
  void forget(uint64_t operation) { awaited_.erase(operation); }

  // Sends replies that wait for a connection, asks again for pieces that have not come, forgets shares that
  // nobody fetches.
  void tick();

  void receive(const NodeId& from, const peer::AggregateAsk& message);
  void receive(const NodeId& from, const peer::AggregateReply& message);
  void receive(const NodeId& from, const peer::AggregateMore& message);

 private:
  struct Awaited {
    NodeId node;
    Done done;
    std::shared_ptr<size_t> gathered;
    // Of a share that comes in pieces.
    PartitionsAnswer answer;
    uint64_t ticket = 0;
    uint64_t total_bytes = 0;
    double asked_us = 0;  // for the next piece
  };
  // A share that is longer than a piece.
  struct Kept {
    NodeId to;
    std::string bytes;
    double until_us = 0;
  };
  // A reply whose receiver this node has no connection to just now: it has started again a moment ago.
  struct Unsent {
    NodeId to;
    std::unique_ptr<peer::Envelope> envelope;
    double until_us = 0;
  };
  void reply(const NodeId& to, uint64_t operation, PartitionsAnswer&& answer, double until_us);
  void send_reply(const NodeId& to, std::unique_ptr<peer::Envelope> envelope);
  bool take_piece(Awaited& awaited, const peer::AggregateReply& message);
  void ask_more(uint64_t operation, Awaited& awaited, size_t offset);
  void end(uint64_t operation, PartitionsAnswer&& answer);
  void refuse(const NodeId& to, const peer::AggregateAsk& message, const std::string& reason);

  ShardLoop& shard_;
  std::map<uint64_t, Awaited> awaited_;
  std::vector<Unsent> unsent_;
  std::map<uint64_t, Kept> kept_;  // by ticket
  size_t kept_bytes_ = 0;
  uint64_t last_ = 0;  // random at first: an answer to an earlier process finds nothing
};

}  // namespace covey::server
