// What all shards of a node share. Filled before their threads start and not changed afterwards, but for the
// atomics.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "replication/context_token.h"
#include "replication/core.h"
#include "server/config.h"
#include "server/handshake.h"
#include "server/random_bits.h"
#include "server/resp_cursors.h"

namespace covey {
class Database;
}

namespace covey::server {

class Aggregator;
class Backups;
class ShardLoop;

// The process that speaks for a node id, as one of its connections to us knows it.
struct PeerPresence {
  std::string instance;
  std::atomic<uint64_t> heard_us{0};
};

struct NodeContext {
  Config config;
  Member self;     // with the addresses that others are told
  TokenKey token;  // seals clients' contexts
  std::string instance;
  uint64_t seed = 1;  // random, another one for each process
  uint64_t started_us = 0;
  std::vector<ShardLoop*> shards;
  Database* database = nullptr;
  Aggregator* aggregator = nullptr;
  Backups* backups = nullptr;

  std::atomic<bool> departing{false};  // this node leaves or was removed
  std::atomic<bool> draining{false};   // no new requests: the node is closing
  std::atomic<bool> writes_refused{false};
  std::atomic<uint64_t> disk_free_bytes{0};
  std::atomic<size_t> connections{0};          // of clients, over all shards
  std::atomic<uint64_t> resp_connections{0};   // begun so far, of the Redis protocol
  std::atomic<size_t> connections_refused{0};  // beyond the limit, which are being told so

  // By node; expired with their connections. For the first shard's thread alone: it shakes all hands.
  std::map<NodeId, std::vector<std::weak_ptr<PeerPresence>>> presences;

  RespCursors resp_cursors;

  Introduction introduction(uint32_t shard) const;
};

Now now();  // both clocks of this machine

}  // namespace covey::server
