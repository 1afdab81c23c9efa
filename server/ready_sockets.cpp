#include "server/ready_sockets.h"

#include <sys/epoll.h>

#include <array>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <utility>

namespace covey::server {
namespace {

constexpr size_t told_at_once = 128;

int new_epoll() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) throw boost::system::system_error(errno, boost::system::system_category(), "epoll");
  return epoll;
}

}  // namespace

ReadySockets::ReadySockets(boost::asio::io_context& io) : epoll_(io, new_epoll()) {}

void ReadySockets::stop() {
  boost::system::error_code ignored;
  epoll_.cancel(ignored);
}

std::optional<uint64_t> ReadySockets::watch(int socket, Watcher& watcher) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(places_.size()));
    places_.emplace_back();
  }
  const uint32_t at = free_.back();
  const uint64_t ticket = static_cast<uint64_t>(places_[at].uses + 1) << 32 | at;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = ticket;
  if (epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket, &event) != 0) return std::nullopt;
  free_.pop_back();
  Place& place = places_[at];
  place.watcher = &watcher;
  place.socket = socket;
  ++place.uses;
  if (!std::exchange(waiting_, true)) wait();
  return ticket;
}

void ReadySockets::forget(uint64_t ticket) {
  const auto at = static_cast<uint32_t>(ticket);
  Place& place = places_[at];
  epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, place.socket, nullptr);
  place.watcher = nullptr;
  free_.push_back(at);
}

void ReadySockets::wait() {
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](boost::system::error_code error) {
                      if (error) return;
                      tell();
                      wait();
                    });
}

// What is left over when there are more is told after the others' turn.
void ReadySockets::tell() {
  std::array<epoll_event, told_at_once> events;
  const int count = epoll_wait(epoll_.native_handle(), events.data(), told_at_once, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const Place& place = places_[static_cast<uint32_t>(event.data.u64)];
    if (place.watcher == nullptr || place.uses != event.data.u64 >> 32) continue;
    const bool ended = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    place.watcher->socket_ready({.to_read = ended || (event.events & EPOLLIN) != 0,
                                 .to_write = (event.events & EPOLLOUT) != 0,
                                 .ended = ended});
  }
}

}  // namespace covey::server
