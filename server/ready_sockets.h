// The sockets that clients and peers send on to one shard, watched by an epoll of their own.
//
// Asio reads once more after each read, only to be told that nothing is there yet: a call to the system for
// each request, and its own bookkeeping. Here a socket is read when the system says so, and a read that did
// not fill its buffer has emptied it (epoll(7), edge-triggered).
//
// Used by the shard's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <optional>
#include <vector>

namespace covey::server {

class ReadySockets {
 public:
  class Watcher {
   public:
    struct Ready {
      bool to_read = false;   // bytes have come, or the end
      bool to_write = false;  // there is room again
      bool ended = false;     // the other side sends no more, or the connection has failed
    };
    virtual void socket_ready(Ready ready) = 0;

   protected:
    ~Watcher() = default;
  };

  // Throws boost::system::system_error where the system has no room for an epoll, as io_context does.
  explicit ReadySockets(boost::asio::io_context& io);

  void stop();

  // Tells the watcher of what becomes ready from now on and of what is. nullopt: the system has no room.
  // Borrows both until forget(), which comes before the socket is closed.
  std::optional<uint64_t> watch(int socket, Watcher& watcher);
  void forget(uint64_t ticket);

 private:
  struct Place {
    Watcher* watcher = nullptr;  // nullptr: free
    int socket = -1;
    uint32_t uses = 0;  // so that word of an earlier socket finds nothing
  };
  void wait();
  void tell();

  boost::asio::posix::stream_descriptor epoll_;
  bool waiting_ = false;  // since the first socket
  std::vector<Place> places_;
  std::vector<uint32_t> free_;
};

}  // namespace covey::server
