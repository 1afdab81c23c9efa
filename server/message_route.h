// Which of this node's shards a peer's message is for.
#pragma once

#include <cstdint>

namespace covey::peer {
class Envelope;
}

namespace covey::server {

struct Route {
  bool everywhere = false;
  uint32_t shard = 0;  // unless everywhere
};

// Messages about a partition go to its shard, answers to the shard whose number its operation ids carry, and
// what speaks of the whole node to all. partitions and shards: this node's.
Route route_of(const peer::Envelope& message, uint32_t partitions, uint32_t shards);

}  // namespace covey::server
