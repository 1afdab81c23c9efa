// What all shards of a node share. Filled before their threads start and not changed afterwards, but for the atomics.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "replication/context_token.h"
#include "replication/core.h"
#include "server/config.h"
#include "server/handshake.h"

namespace covey {
class Database;
}

namespace covey::server {

class ShardLoop;

struct NodeContext {
  Config config;
  Member self;         // with the addresses that others are told
  TokenKey token;      // seals clients' contexts
  std::string instance;
  uint64_t seed = 1;   // random, another one for each process
  uint64_t started_us = 0;
  std::vector<ShardLoop*> shards;
  Database* database = nullptr;

  std::atomic<bool> draining{false};       // no new requests: the node is closing
  std::atomic<bool> writes_refused{false};
  std::atomic<uint64_t> disk_free_bytes{0};
  std::atomic<size_t> connections{0};      // of clients, over all shards

  Introduction introduction(uint32_t shard) const;
};

Now now();               // both clocks of this machine
uint64_t random_bits();  // from the system

}  // namespace covey::server
