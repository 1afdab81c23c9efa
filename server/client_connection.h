// What a shard must know of a client's connection, whatever protocol it speaks.
#pragma once

#include <cstdint>
#include <memory>

namespace covey::server {

// Used by one shard's thread.
class ClientConnection {
 public:
  virtual ~ClientConnection() = default;
  virtual std::shared_ptr<ClientConnection> hold() = 0;  // keeps it while it is being told something
  // Closes it as soon as the answers under way are written, or nothing has come for a moment: the node is
  // going down.
  virtual void drain() = 0;
  virtual void close() = 0;
  // Called a few times a second: ends what has waited too long.
  virtual void check_time(uint64_t now_us) = 0;
};

}  // namespace covey::server
