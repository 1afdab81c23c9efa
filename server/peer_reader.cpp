#include "server/peer_reader.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

namespace covey::server {

PeerReader::PeerReader(boost::asio::io_context& io, ReadySockets& sockets, int socket, Events events,
                       std::chrono::milliseconds silence_max)
    : io_(io),
      sockets_(sockets),
      socket_(socket),
      events_(std::move(events)),
      silence_max_(silence_max),
      silence_(io) {}

PeerReader::~PeerReader() {
  if (socket_ >= 0) ::close(socket_);
}

void PeerReader::start() {
  heard_ = std::chrono::steady_clock::now();
  watched_ = sockets_.watch(socket_, *this);
  if (!watched_) return close();
  watch_silence();
}

void PeerReader::watch_silence() {
  silence_.expires_at(heard_ + silence_max_);
  silence_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (error || self->socket_ < 0) return;
    if (std::chrono::steady_clock::now() - self->heard_ >= self->silence_max_) return self->close();
    self->watch_silence();
  });
}

void PeerReader::socket_ready(Ready ready) {
  if (ready.ended) ended_ = true;
  if (!ready.to_read || turn_posted_) return;
  const auto self = shared_from_this();
  read();
}

// A read that does not fill its room has emptied the socket, unless the end is behind it.
void PeerReader::read() {
  const std::span<char> room = frames_.room();
  const ssize_t count = ::recv(socket_, room.data(), room.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  const bool interrupted = count < 0 && errno == EINTR;
  if (count == 0 || (count < 0 && !interrupted)) return close();
  if (count > 0) {
    heard_ = std::chrono::steady_clock::now();
    frames_.filled(static_cast<size_t>(count));
    events_.read(static_cast<size_t>(count));
    if (!take_frames()) {
      events_.broken();
      return close();
    }
  }
  if (!interrupted && !ended_ && static_cast<size_t>(count) < room.size()) return;
  turn_posted_ = true;  // after the others' turn
  boost::asio::post(io_, [self = shared_from_this()] {
    self->turn_posted_ = false;
    if (self->socket_ >= 0) self->read();
  });
}

bool PeerReader::take_frames() {
  while (const auto payload = frames_.next()) {
    if (!events_.received(*payload)) return false;
  }
  return frames_.failed() == FrameReader::Failure::none;
}

void PeerReader::close() {
  if (socket_ < 0) return;
  if (watched_) sockets_.forget(*watched_);
  ::close(std::exchange(socket_, -1));
  silence_.cancel();
}

}  // namespace covey::server
