#include "server/client_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "server/connect.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr size_t unsent_bytes_max = 4 * 1024 * 1024;
constexpr size_t input_bytes_first = 16 * 1024;  // more once a line needs it
constexpr size_t kept_answer_bytes_max = 256 * 1024;
constexpr uint64_t silence_us_max = 30'000'000;
constexpr uint64_t drain_silence_us_max = 500'000;
constexpr uint64_t linger_us_max = 2'000'000;

}  // namespace

ClientConnection::ClientConnection(ShardLoop& shard, asio::ip::tcp::socket socket, std::atomic<size_t>& count,
                                   Traits traits)
    : shard_(shard), accepted_(std::move(socket)), count_(count), traits_(traits), input_(input_bytes_first) {
  boost::system::error_code error;
  set_no_delay(accepted_);
  // It may rest for days: the system finds out when its client's machine is gone.
  accepted_.set_option(asio::socket_base::keep_alive(true), error);
  accepted_.non_blocking(true, error);
}

ClientConnection::~ClientConnection() {
  if (socket_ >= 0) ::close(socket_);
}

void ClientConnection::join_shard() {
  self_ = shared_from_this();
  boost::system::error_code error;
  socket_ = accepted_.release(error);
  touch();
  ++shard_.metrics().connections_open;
  shard_.add_connection(this);
  if (!error) watched_ = shard_.sockets().watch(socket_, *this);
}

void ClientConnection::start() {
  ++shard_.metrics().connections_accepted;
  join_shard();
  if (!watched_) close();
}

void ClientConnection::touch() { last_progress_us_ = now().tick_us; }

namespace {

// Of one end of the socket, as `ask` tells it.
template <class Ask>
std::optional<asio::ip::tcp::endpoint> endpoint_of(int socket, Ask ask) {
  asio::ip::tcp::endpoint endpoint;
  auto bytes = static_cast<socklen_t>(endpoint.capacity());
  if (socket < 0 || ask(socket, endpoint.data(), &bytes) != 0) return std::nullopt;
  endpoint.resize(bytes);
  return endpoint;
}

}  // namespace

std::optional<asio::ip::tcp::endpoint> ClientConnection::peer_endpoint() const {
  return endpoint_of(socket_, ::getpeername);
}

std::optional<asio::ip::tcp::endpoint> ClientConnection::own_endpoint() const {
  return endpoint_of(socket_, ::getsockname);
}

bool ClientConnection::output_full() const { return unsent() >= unsent_bytes_max; }

void ClientConnection::close() {
  if (closed_) return;
  closed_ = true;
  if (watched_) shard_.sockets().forget(*watched_);
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  forget_requests();
  out_.clear();
  --shard_.metrics().connections_open;
  --count_;
  shard_.remove_connection(this);
  asio::post(shard_.io(), [self = std::move(self_)] {});  // whoever called goes on in it
}

void ClientConnection::socket_ready(Ready ready) {
  const auto self = shared_from_this();
  if (ready.to_read) readable_ = true;
  if (ready.ended) input_ended_ = true;
  if (ready.to_write && !writing_.empty()) write_rest();
  if (ready.to_read) read();
}

void ClientConnection::read() {
  if (closed_) return;
  stalled_ = (!has_room() || ending_) && !lingering_;
  if (stalled_ || !readable_) return;
  if (input_begin_ > 0) {
    std::copy(input_.begin() + static_cast<ptrdiff_t>(input_begin_),
              input_.begin() + static_cast<ptrdiff_t>(input_end_), input_.begin());
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  if (input_end_ == input_.size()) input_.resize(std::min(2 * input_.size(), traits_.input_bytes_max));
  const size_t room = input_.size() - input_end_;
  const ssize_t count = room == 0 ? 0 : ::recv(socket_, input_.data() + input_end_, room, 0);
  if (count == 0) return input_ended();
  if (count < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return close();
    readable_ = errno == EINTR;
  } else {
    const auto bytes = static_cast<size_t>(count);
    if (bytes < room && !input_ended_) readable_ = false;
    traits_.bytes_in += bytes;
    if (!lingering_) {
      touch();
      input_end_ += bytes;
      parse();
      stalled_ = !has_room();
    }
  }
  if (readable_ && !stalled_ && !closed_) resume_parsing();
}

// A client that only ended its sending side still gets what it asked for.
void ClientConnection::input_ended() {
  readable_ = false;
  const bool waits = !lingering_ && (!idle() || unsent() != 0);
  if (!waits) return close();
  ending_ = true;
}

void ClientConnection::parse() {
  parsing_ = true;
  parse_input();
  parsing_ = false;
}

void ClientConnection::resume_parsing() {
  if (resuming_) return;
  resuming_ = true;
  asio::post(shard_.io(), [self = shared_from_this()] {
    self->resuming_ = false;
    if (self->closed_ || self->parsing_) return;
    self->touch();
    if (!self->lingering_) self->parse();
    self->read();
  });
}

void ClientConnection::flush_soon() {
  if (flush_asked_) return;
  flush_asked_ = true;
  shard_.flush_later(shared_from_this());
}

// -1: the connection has failed.
ssize_t ClientConnection::send(std::string_view bytes) {
  const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
  traits_.bytes_out += static_cast<size_t>(count);
  return count;
}

void ClientConnection::flush() {
  flush_asked_ = false;
  if (closed_ || !writing_.empty()) return;
  if (!out_.empty()) {
    const ssize_t count = send(out_);
    if (count < 0) return close();
    if (static_cast<size_t>(count) < out_.size()) {
      writing_.swap(out_);
      written_ = static_cast<size_t>(count);
      return;  // to be told when there is room
    }
    out_.clear();
    if (out_.capacity() > kept_answer_bytes_max) out_.shrink_to_fit();
  }
  wrote();
}

void ClientConnection::write_rest() {
  const ssize_t count = send(std::string_view(writing_).substr(written_));
  if (count < 0) return close();
  if (count > 0) touch();
  written_ += static_cast<size_t>(count);
  if (written_ < writing_.size()) return;
  writing_ = {};
  written_ = 0;
  flush();
}

// All that there was is with the system now.
void ClientConnection::wrote() {
  touch();
  sent_all();
  if (idle() && ending_) return linger();
  if (stalled_ && !parsing_ && !ending_) resume_parsing();
}

// Closing with unread input would make the system tell the client "reset", perhaps before it has read its
// answer.
void ClientConnection::linger() {
  if (lingering_) return;
  lingering_ = true;
  if (::shutdown(socket_, SHUT_WR) != 0) return close();
  input_begin_ = input_end_ = 0;
  read();
}

void ClientConnection::check_time(uint64_t now_us) {
  if (closed_) return;
  const uint64_t silence = now_us > last_progress_us_ ? now_us - last_progress_us_ : 0;
  if (lingering_) {
    if (silence > linger_us_max) close();
    return;
  }
  const bool rests = idle() && unsent() == 0;
  if (shard_.node().draining && rests && silence > drain_silence_us_max) return close();
  const bool waits_for_core = !idle() && unsent() == 0;
  if (waits_for_core || (rests && may_rest()) || silence <= silence_us_max) return;
  ++shard_.metrics().connections_timed_out;
  close();
}

}  // namespace covey::server
