// Reads the frames of one peer's connection, by the epoll of its shard (server/ready_sockets.h): a call to
// the system for what has come together, and none to be told that there is no more.
//
// Used by one shard's thread. Lives until the connection ends or the shard's context does.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "server/peer_frame.h"
#include "server/ready_sockets.h"

namespace covey::server {

class PeerReader final : public ReadySockets::Watcher, public std::enable_shared_from_this<PeerReader> {
 public:
  struct Events {
    std::function<void(size_t bytes)> read;                  // so many have come
    std::function<bool(std::string_view payload)> received;  // one frame's; false: it is malformed
    std::function<void()> broken;                            // a frame was malformed; the connection ends
  };
  // Takes the socket over. A peer that says nothing for `silence_max` is disconnected.
  PeerReader(boost::asio::io_context& io, ReadySockets& sockets, int socket, Events events,
             std::chrono::milliseconds silence_max);
  ~PeerReader();

  void start();

 private:
  void socket_ready(Ready ready) override;
  void read();
  bool take_frames();
  void watch_silence();
  void close();

  boost::asio::io_context& io_;
  ReadySockets& sockets_;
  int socket_;
  const Events events_;
  const std::chrono::milliseconds silence_max_;
  boost::asio::steady_timer silence_;  // its handler keeps this alive until close()
  std::chrono::steady_clock::time_point heard_;
  std::optional<uint64_t> watched_;
  FrameReader frames_;
  bool ended_ = false;        // behind what has come is the end
  bool turn_posted_ = false;  // reads on after the others' turn: whatever comes until then waits for that
};

}  // namespace covey::server
