#include "server/client_connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "server/connect.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr size_t unsent_bytes_max = 4 * 1024 * 1024;
constexpr size_t input_bytes_first = 16 * 1024;  // more once a line needs it
constexpr size_t kept_bytes_max = 256 * 1024;
constexpr uint64_t silence_us_max = 30'000'000;
constexpr uint64_t drain_silence_us_max = 500'000;
constexpr uint64_t linger_us_max = 2'000'000;

}  // namespace

ClientConnection::ClientConnection(ShardLoop& shard, asio::ip::tcp::socket socket, std::atomic<size_t>& count,
                                   Traits traits)
    : shard_(shard), socket_(std::move(socket)), count_(count), traits_(traits), input_(input_bytes_first) {}

ClientConnection::~ClientConnection() = default;

void ClientConnection::join_shard() {
  boost::system::error_code error;
  set_no_delay(socket_);
  socket_.non_blocking(true, error);
  touch();
  ++shard_.metrics().connections_open;
  shard_.add_connection(this);
}

void ClientConnection::start() {
  ++shard_.metrics().connections_accepted;
  join_shard();
  read();
}

void ClientConnection::touch() { last_progress_us_ = now().tick_us; }

bool ClientConnection::output_full() const { return unsent() >= unsent_bytes_max; }

void ClientConnection::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  forget_requests();
  out_.clear();
  --shard_.metrics().connections_open;
  --count_;
  shard_.remove_connection(this);
}

void ClientConnection::read() {
  if (closed_ || reading_ || (!has_room() && !lingering_)) return;
  if (input_begin_ > 0) {
    std::copy(input_.begin() + static_cast<ptrdiff_t>(input_begin_),
              input_.begin() + static_cast<ptrdiff_t>(input_end_), input_.begin());
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  if (input_end_ == input_.size()) input_.resize(std::min(2 * input_.size(), traits_.input_bytes_max));
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
                          [self = shared_from_this()](boost::system::error_code error, size_t count) {
                            self->on_read(error, count);
                          });
}

void ClientConnection::on_read(boost::system::error_code error, size_t count) {
  reading_ = false;
  if (closed_) return;
  if (error) {
    // A client that only ended its sending side still gets what it asked for.
    const bool waits = error == asio::error::eof && !lingering_ && (!idle() || unsent() != 0);
    if (!waits) return close();
    ending_ = true;
    return;
  }
  traits_.bytes_in += count;
  if (lingering_) {
    input_begin_ = input_end_ = 0;
    return read();
  }
  touch();
  input_end_ += count;
  parse();
  read();
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
    self->parse();
    self->read();
  });
}

void ClientConnection::flush_soon() {
  if (flush_asked_) return;
  flush_asked_ = true;
  shard_.flush_later(shared_from_this());
}

void ClientConnection::flush() {
  flush_asked_ = false;
  if (closed_ || !writing_.empty()) return;
  if (!out_.empty()) {
    boost::system::error_code error;
    size_t count = socket_.write_some(asio::buffer(out_), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) return close();
    if (error) count = 0;
    traits_.bytes_out += count;
    if (count < out_.size()) {
      writing_.swap(out_);
      written_ = count;
      return write_rest();
    }
    out_.clear();
    if (out_.capacity() > kept_bytes_max) out_.shrink_to_fit();
  }
  wrote();
}

void ClientConnection::write_rest() {
  socket_.async_write_some(asio::buffer(writing_.data() + written_, writing_.size() - written_),
                           [self = shared_from_this()](boost::system::error_code error, size_t count) {
                             if (self->closed_) return;
                             if (error) return self->close();
                             self->touch();
                             self->traits_.bytes_out += count;
                             self->written_ += count;
                             if (self->written_ < self->writing_.size()) return self->write_rest();
                             self->writing_ = {};
                             self->written_ = 0;
                             self->flush();
                           });
}

// All that there was is with the system now.
void ClientConnection::wrote() {
  touch();
  sent_all();
  if (idle() && ending_) return linger();
  if (!reading_ && !parsing_ && !ending_) resume_parsing();
}

// Closing with unread input would make the system tell the client "reset", perhaps before it has read its
// answer.
void ClientConnection::linger() {
  if (lingering_) return;
  lingering_ = true;
  boost::system::error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error) return close();
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
