#include "server/resp_connection.h"

#include <boost/asio/post.hpp>

#include "replication/hash.h"
#include "server/connect.h"
#include "server/resp_commands.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr size_t commands_max = 128;
constexpr size_t request_bytes_max = 4 * 1024 * 1024;
constexpr size_t unsent_bytes_max = 4 * 1024 * 1024;
constexpr size_t held_bytes_max = 4 * 1024 * 1024;
constexpr size_t input_bytes_first = 16 * 1024;  // more once a line needs it
constexpr size_t kept_bytes_max = 256 * 1024;
constexpr uint64_t silence_us_max = 30'000'000;
constexpr uint64_t drain_silence_us_max = 500'000;
constexpr uint64_t linger_us_max = 2'000'000;

RespLimits limits_of(const Config& config) {
  RespLimits limits;
  // So that a key that is too long, or a value a little over its limit, is told what is wrong with it.
  limits.word_bytes = std::max(config.value_bytes_max, limits.word_bytes_before_authentication);
  limits.command_bytes = config.batch_bytes_max + limits.word_bytes;
  return limits;
}

std::string text_of(const asio::ip::tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

}  // namespace

RespConnection::RespConnection(ShardLoop& shard, asio::ip::tcp::socket socket, std::atomic<size_t>& count)
    : shard_(shard),
      socket_(std::move(socket)),
      count_(count),
      parser_(limits_of(shard.node().config)),
      input_(input_bytes_first) {}

RespConnection::~RespConnection() = default;

void RespConnection::begin() {
  boost::system::error_code error;
  set_no_delay(socket_);
  // It may rest for days: the system finds out when its client's machine is gone.
  socket_.set_option(asio::socket_base::keep_alive(true), error);
  socket_.non_blocking(true, error);
  touch();
  session_.id = ++shard_.node().resp_connections;
  session_.begun_us = last_progress_us_;
  reset_session();
  ++shard_.metrics().connections_open;
  shard_.add_connection(this);
}

void RespConnection::start() {
  ++shard_.metrics().connections_accepted;
  begin();
  read();
}

void RespConnection::refuse() {
  ++shard_.metrics().connections_refused;
  begin();
  refuse_with("ERR max number of clients reached");
}

void RespConnection::reset_session() {
  const Config& config = shard_.node().config;
  RespSession fresh;
  fresh.id = session_.id;
  fresh.begun_us = session_.begun_us;
  fresh.authenticated = config.resp_password.empty();
  fresh.read_level = config.read_level;
  fresh.write_level = config.write_level;
  session_ = std::move(fresh);
}

std::string RespConnection::peer_address() const {
  boost::system::error_code error;
  const auto endpoint = socket_.remote_endpoint(error);
  return error ? "" : text_of(endpoint);
}

std::string RespConnection::own_address() const {
  boost::system::error_code error;
  const auto endpoint = socket_.local_endpoint(error);
  return error ? "" : text_of(endpoint);
}

void RespConnection::touch() { last_progress_us_ = now().tick_us; }

size_t RespConnection::unsent() const { return out_.size() + writing_.size() - written_; }

bool RespConnection::blocked() const {
  return slots_.size() >= commands_max || unsent() >= unsent_bytes_max ||
         request_bytes_ >= request_bytes_max || held_bytes_ >= held_bytes_max;
}

void RespConnection::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  // What is still under way is answered to a slot that does not exist any more.
  first_slot_ += slots_.size();
  slots_.clear();
  waiting_.reset();
  out_.clear();
  --shard_.metrics().connections_open;
  --count_;
  shard_.remove_connection(this);
}

// A connection that rests is not closed at once: a command may be on its way. The next one is the last, and
// silence ends it (check_time).
void RespConnection::drain() {
  if (!slots_.empty() || waiting_) end_after_this();
}

void RespConnection::end_after_this() {
  last_command_seen_ = true;
  waiting_.reset();
}

void RespConnection::read() {
  if (closed_ || reading_ || ((blocked() || waiting_) && !lingering_)) return;
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
  } else if (input_begin_ > 0) {
    std::copy(input_.begin() + static_cast<ptrdiff_t>(input_begin_),
              input_.begin() + static_cast<ptrdiff_t>(input_end_), input_.begin());
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  // A line that is longer than the parser's limit fails before there is no room.
  if (input_end_ == input_.size()) input_.resize(2 * input_.size());
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
                          [self = shared_from_this()](boost::system::error_code error, size_t count) {
                            self->on_read(error, count);
                          });
}

void RespConnection::on_read(boost::system::error_code error, size_t count) {
  reading_ = false;
  if (closed_) return;
  if (error) {
    // A client that only ended its sending side still gets what it asked for.
    const bool waits = error == asio::error::eof && !lingering_ && (!slots_.empty() || unsent() != 0);
    if (!waits) return close();
    last_command_seen_ = true;
    return;
  }
  shard_.metrics().resp_bytes_in += count;
  if (lingering_) {
    input_begin_ = input_end_ = 0;
    return read();
  }
  touch();
  input_end_ += count;
  parse();
  read();
}

void RespConnection::parse() {
  parsing_ = true;
  while (!closed_ && !last_command_seen_ && !blocked()) {
    if (!waiting_ && !parse_command()) break;
    if (!may_begin(*waiting_)) break;
    begin_command();
  }
  parsing_ = false;
}

// true: waiting_ is the next one.
bool RespConnection::parse_command() {
  std::string_view bytes(input_.data() + input_begin_, input_end_ - input_begin_);
  if (bytes.empty()) return false;
  const size_t before = bytes.size();
  const RespParser::Event event = parser_.parse(bytes, session_.authenticated);
  input_begin_ += before - bytes.size();
  if (event == RespParser::Event::need_more) return false;
  if (event == RespParser::Event::failed) {
    ++shard_.metrics().bad_resp;
    refuse_with("ERR " + parser_.error());
    return false;
  }
  Waiting next;
  next.words = parser_.take_words();
  for (const std::string& word : next.words) next.bytes += word.size();
  next.command = find_resp_command(next.words.front());
  if (next.command != nullptr && next.command->one_key() && next.words.size() > 1)
    next.key_hash = hash_bytes(next.words[1], 0) | 1;
  waiting_ = std::move(next);
  return true;
}

bool RespConnection::may_begin(const Waiting& waiting) const {
  if (under_way_ == 0) return true;
  const bool alone = waiting.command != nullptr && waiting.command->runs_alone();
  if (alone) return false;
  for (const Slot& slot : slots_) {
    if (slot.complete || slot.command == nullptr) continue;
    if (slot.command->runs_alone()) return false;
    if (waiting.key_hash == 0 || slot.key_hash != waiting.key_hash) continue;
    if (slot.command->writes || waiting.command->writes) return false;
  }
  return true;
}

void RespConnection::begin_command() {
  Waiting command = std::move(*waiting_);
  waiting_.reset();
  if (shard_.node().draining) last_command_seen_ = true;
  Slot& slot = slots_.emplace_back();
  slot.command = command.command;
  slot.key_hash = command.key_hash;
  slot.begun_us = now().tick_us;
  slot.request_bytes = command.bytes;
  request_bytes_ += command.bytes;
  ++under_way_;
  ++shard_.metrics().resp_commands;
  const uint64_t number = first_slot_ + slots_.size() - 1;
  auto refused = check_resp_words(command.command, command.words, session_.authenticated);
  if (refused) {
    RespReply answer(session_.protocol);
    answer.error(*refused);
    return reply(number, std::move(answer));
  }
  auto call = std::make_shared<RespCall>(shared_from_this(), number, std::move(command.words));
  command.command->run(*call);
}

// The last answer of this connection.
void RespConnection::refuse_with(std::string_view error) {
  end_after_this();
  slots_.emplace_back().begun_us = last_progress_us_;
  ++under_way_;
  RespReply answer(session_.protocol);
  answer.error(error);
  reply(first_slot_ + slots_.size() - 1, std::move(answer));
}

bool RespConnection::gone(uint64_t slot) const {
  return slot < first_slot_ || slot - first_slot_ >= slots_.size();
}

void RespConnection::reply(uint64_t number, RespReply&& answer) {
  if (gone(number)) return;
  Slot& slot = slots_[number - first_slot_];
  slot.complete = true;
  --under_way_;
  Metrics& metrics = shard_.metrics();
  if (answer.failed()) ++metrics.resp_errors;
  const MeteredOperation operation =
      slot.command == nullptr ? MeteredOperation::other : slot.command->operation;
  metrics.observe(operation, now().tick_us - std::min(now().tick_us, slot.begun_us));
  std::string bytes = answer.take();
  if (number == first_slot_) {
    out_.append(bytes);
    do {
      request_bytes_ -= slots_.front().request_bytes;
      slots_.pop_front();
      ++first_slot_;
      if (slots_.empty() || !slots_.front().complete) break;
      out_.append(slots_.front().bytes);
      held_bytes_ -= slots_.front().bytes.size();
    } while (true);
    ask_to_flush();
  } else {
    held_bytes_ += bytes.size();
    slot.bytes = std::move(bytes);
  }
  // What waited for this one may begin now.
  if (!parsing_ && (waiting_ || input_begin_ < input_end_)) resume_parsing();
}

void RespConnection::ask_to_flush() {
  if (flush_asked_) return;
  flush_asked_ = true;
  shard_.flush_later(shared_from_this());
}

void RespConnection::resume_parsing() {
  if (resuming_) return;
  resuming_ = true;
  asio::post(shard_.io(), [self = shared_from_this()] {
    self->resuming_ = false;
    if (self->closed_ || self->parsing_) return;
    self->parse();
    self->read();
  });
}

void RespConnection::flush() {
  flush_asked_ = false;
  if (closed_ || !writing_.empty()) return;
  if (!out_.empty()) {
    boost::system::error_code error;
    size_t count = socket_.write_some(asio::buffer(out_), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) return close();
    if (error) count = 0;
    shard_.metrics().resp_bytes_out += count;
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

void RespConnection::write_rest() {
  socket_.async_write_some(asio::buffer(writing_.data() + written_, writing_.size() - written_),
                           [self = shared_from_this()](boost::system::error_code error, size_t count) {
                             if (self->closed_) return;
                             if (error) return self->close();
                             self->touch();
                             self->shard_.metrics().resp_bytes_out += count;
                             self->written_ += count;
                             if (self->written_ < self->writing_.size()) return self->write_rest();
                             self->writing_ = {};
                             self->written_ = 0;
                             self->flush();
                           });
}

// All that there was is with the system now.
void RespConnection::wrote() {
  touch();
  if (slots_.empty() && last_command_seen_) return linger();
  if (!reading_ && !parsing_ && !last_command_seen_) resume_parsing();
}

// Closing with unread input would make the system tell the client "reset", perhaps before it has read its
// answer.
void RespConnection::linger() {
  if (lingering_) return;
  lingering_ = true;
  boost::system::error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error) return close();
  input_begin_ = input_end_ = 0;
  read();
}

void RespConnection::check_time(uint64_t now_us) {
  if (closed_) return;
  const uint64_t silence = now_us > last_progress_us_ ? now_us - last_progress_us_ : 0;
  if (lingering_) {
    if (silence > linger_us_max) close();
    return;
  }
  const bool idle = slots_.empty() && unsent() == 0;
  if (shard_.node().draining && idle && silence > drain_silence_us_max) return close();
  const bool waits_for_core = !slots_.empty() && unsent() == 0;
  const bool rests =
      idle && session_.authenticated && !parser_.within_command() && input_begin_ == input_end_;
  if (waits_for_core || rests || silence <= silence_us_max) return;
  ++shard_.metrics().connections_timed_out;
  close();
}

}  // namespace covey::server
