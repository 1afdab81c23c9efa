#include "server/http_connection.h"

#include <boost/asio/post.hpp>

#include "server/connect.h"
#include "server/kv_api.h"
#include "server/router.h"
#include "server/text.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr size_t requests_max = 256;
constexpr size_t unsent_bytes_max = 4 * 1024 * 1024;
constexpr size_t body_bytes_max = 4 * 1024 * 1024;
constexpr size_t held_bytes_max = 4 * 1024 * 1024;
constexpr size_t input_bytes_first = 16 * 1024;  // more once a header needs it
constexpr size_t stream_pause_bytes = 256 * 1024;
constexpr size_t kept_bytes_max = 256 * 1024;
constexpr uint64_t header_us_max = 10'000'000;
constexpr uint64_t silence_us_max = 30'000'000;
constexpr uint64_t drain_silence_us_max = 500'000;
constexpr uint64_t linger_us_max = 2'000'000;

HttpLimits limits_of(const Config& config) {
  HttpLimits limits;
  limits.value_bytes = config.value_bytes_max;
  limits.batch_bytes = config.batch_bytes_max;
  return limits;
}

}  // namespace

HttpConnection::HttpConnection(ShardLoop& shard, asio::ip::tcp::socket socket, std::atomic<size_t>& count)
    : shard_(shard),
      socket_(std::move(socket)),
      count_(count),
      parser_(limits_of(shard.node().config)),
      input_(input_bytes_first) {}

HttpConnection::~HttpConnection() = default;

void HttpConnection::begin() {
  boost::system::error_code error;
  set_no_delay(socket_);
  socket_.non_blocking(true, error);
  touch();
  ++shard_.metrics().connections_open;
  shard_.add_connection(this);
}

void HttpConnection::start() {
  ++shard_.metrics().connections_accepted;
  begin();
  read();
}

void HttpConnection::refuse() {
  ++shard_.metrics().connections_refused;
  begin();
  refuse_with(overloaded("The node has its limit of connections: close one, or try again later."));
}

void HttpConnection::touch() { last_progress_us_ = now().tick_us; }

size_t HttpConnection::unsent() const { return out_.size() + writing_.size() - written_; }

bool HttpConnection::blocked() const {
  return slots_.size() >= requests_max || unsent() >= unsent_bytes_max || body_bytes_ >= body_bytes_max ||
         held_bytes_ >= held_bytes_max;
}

void HttpConnection::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  // What is still asked for is answered to a slot that does not exist any more.
  first_slot_ += slots_.size();
  slots_.clear();
  held_bytes_ = 0;
  out_.clear();
  --shard_.metrics().connections_open;
  --count_;
  shard_.remove_connection(this);
}

// A connection that rests is not closed at once: a request may be on its way. The next one is the last, and
// silence ends it (check_time).
void HttpConnection::drain() {
  if (slots_.empty()) return;
  last_request_seen_ = true;
  slots_.back().keep_alive = false;
}

void HttpConnection::read() {
  if (closed_ || reading_ || (blocked() && !lingering_)) return;
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
  } else if (input_begin_ > 0) {
    std::copy(input_.begin() + static_cast<ptrdiff_t>(input_begin_),
              input_.begin() + static_cast<ptrdiff_t>(input_end_), input_.begin());
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  if (input_end_ == input_.size()) {
    const size_t most = limits_of(shard_.node().config).header_bytes + 1024;
    input_.resize(std::min(2 * input_.size(), most));
  }
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
                          [self = shared_from_this()](boost::system::error_code error, size_t count) {
                            self->on_read(error, count);
                          });
}

void HttpConnection::on_read(boost::system::error_code error, size_t count) {
  reading_ = false;
  if (closed_) return;
  if (error) {
    // A client that only ended its sending side still gets what it asked for.
    bool waits = error == asio::error::eof && !lingering_ && (!slots_.empty() || unsent() != 0);
    if (!waits) return close();
    last_request_seen_ = true;
    return;
  }
  shard_.metrics().http_bytes_in += count;
  if (lingering_) {
    input_begin_ = input_end_ = 0;
    return read();
  }
  touch();
  input_end_ += count;
  parse();
  read();
}

void HttpConnection::parse() {
  parsing_ = true;
  while (!closed_ && !last_request_seen_ && !blocked() && input_begin_ < input_end_) {
    std::string_view bytes(input_.data() + input_begin_, input_end_ - input_begin_);
    size_t before = bytes.size();
    HttpParser::Event event = parser_.parse(bytes);
    input_begin_ += before - bytes.size();
    if (event == HttpParser::Event::need_more) {
      bool in_header = input_begin_ < input_end_ || parser_.in_header();
      if (!in_header) header_since_us_ = 0;
      if (in_header && header_since_us_ == 0) header_since_us_ = last_progress_us_;
      break;
    }
    header_since_us_ = 0;
    if (event == HttpParser::Event::header) {
      // Only where no other answer is before it; any other client sends the body after a short wait.
      if (slots_.empty()) out_.append("HTTP/1.1 100 Continue\r\n\r\n");
      if (slots_.empty()) flush();
    } else if (event == HttpParser::Event::complete) {
      take_request();
      parser_.next();
    } else {
      fail_request();
    }
  }
  parsing_ = false;
}

HttpConnection::Slot& HttpConnection::add_slot() {
  Slot& slot = slots_.emplace_back();
  slot.begun_us = last_progress_us_;
  return slot;
}

void HttpConnection::take_request() {
  HttpRequest& request = parser_.request();
  Slot& slot = add_slot();
  slot.head_only = request.method == Method::head;
  slot.chunked = request.http_1_1;
  slot.keep_alive = request.keep_alive && !shard_.node().draining;
  if (!slot.keep_alive) last_request_seen_ = true;
  slot.body_bytes = request.body.size();
  body_bytes_ += slot.body_bytes;
  route_request(shared_from_this(), first_slot_ + slots_.size() - 1, request);
}

void HttpConnection::fail_request() {
  ++shard_.metrics().bad_http;
  refuse_with(parser_.error());
}

// The last answer of this connection.
void HttpConnection::refuse_with(const ErrorAnswer& error) {
  last_request_seen_ = true;
  Slot& slot = add_slot();
  slot.keep_alive = false;
  slot.head_only = parser_.request().method == Method::head;
  reply(first_slot_ + slots_.size() - 1, error);
}

HttpConnection::Slot* HttpConnection::find(uint64_t slot) {
  if (slot < first_slot_ || slot - first_slot_ >= slots_.size()) return nullptr;
  return &slots_[slot - first_slot_];
}

const HttpConnection::Slot* HttpConnection::find(uint64_t slot) const {
  return const_cast<HttpConnection*>(this)->find(slot);
}

bool HttpConnection::gone(uint64_t slot) const { return find(slot) == nullptr; }

KeyCall* HttpConnection::key_call(uint64_t slot) {
  Slot* found = find(slot);
  return found == nullptr ? nullptr : &found->call;
}

void HttpConnection::answered(uint64_t slot, Response&& response) {
  Slot* found = find(slot);
  if (found == nullptr) return;
  if (has_no_room(slot, found->call, response)) {
    found->again = true;
    return;
  }
  reply_to_key_call(*this, slot, found->call, response);
}

bool HttpConnection::has_no_room(uint64_t slot, const KeyCall& call, const Response& response) const {
  if (slot == first_slot_ || call.operation != Operation::get) return false;
  size_t bytes = held_bytes_;
  for (const Version& version : response.object.versions) bytes += version.value.size();
  return bytes > held_bytes_max;
}

void HttpConnection::count_held(uint64_t number) {
  Slot* slot = find(number);
  if (slot == nullptr || number == first_slot_) return;
  held_bytes_ += slot->bytes.size() - slot->held_bytes;
  slot->held_bytes = slot->bytes.size();
}

// The first slot writes straight into the connection's buffer, later ones wait in their own.
std::string& HttpConnection::sink(uint64_t slot) { return slot == first_slot_ ? out_ : find(slot)->bytes; }

void HttpConnection::write_head(std::string& out, const Slot& slot, const ReplyHead& head) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<uint64_t>(head.status));
  out.push_back(' ');
  out.append(reason_phrase(head.status)).append("\r\nDate: ").append(shard_.date());
  out.append("\r\nContent-Type: ").append(head.content_type).append("\r\n").append(head.headers);
  if (!slot.keep_alive) {
    out.append("Connection: close\r\n");
  } else if (!slot.chunked) {
    out.append("Connection: keep-alive\r\n");  // HTTP/1.0 must be told
  }
}

void HttpConnection::reply(uint64_t number, const ReplyHead& head, std::string_view body) {
  Slot* slot = find(number);
  if (slot == nullptr) return;
  slot->status = head.status;
  std::string& out = sink(number);
  write_head(out, *slot, head);
  out.append("Content-Length: ");
  append_number(out, body.size());
  out.append("\r\n\r\n");
  if (!slot->head_only) out.append(body);
  count_held(number);
  complete(number);
}

void HttpConnection::reply(uint64_t slot, const ErrorAnswer& error, std::string_view headers) {
  std::string all(headers);
  if (error.status == 429) all.append("Retry-After: 1\r\n");
  reply(slot, {.status = error.status, .headers = all}, error_body(error));
}

void HttpConnection::begin_stream(uint64_t number, const ReplyHead& head) {
  Slot* slot = find(number);
  if (slot == nullptr) return;
  slot->status = head.status;
  if (!slot->chunked) {
    slot->keep_alive = false;  // the end of the connection is the end of the answer
    last_request_seen_ = true;
  }
  std::string& out = sink(number);
  write_head(out, *slot, head);
  if (slot->chunked) out.append("Transfer-Encoding: chunked\r\n");
  out.append("\r\n");
  count_held(number);
}

void HttpConnection::write_stream(uint64_t number, std::string_view bytes) {
  Slot* slot = find(number);
  if (slot == nullptr || slot->head_only || bytes.empty()) return;
  std::string& out = sink(number);
  if (slot->chunked) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    out.append(size).append(bytes).append("\r\n");
  } else {
    out.append(bytes);
  }
  count_held(number);
  if (flush_asked_ || number != first_slot_) return;
  flush_asked_ = true;
  shard_.flush_later(shared_from_this());
}

void HttpConnection::end_stream(uint64_t number) {
  Slot* slot = find(number);
  if (slot == nullptr) return;
  if (slot->chunked && !slot->head_only) sink(number).append("0\r\n\r\n");
  complete(number);
}

bool HttpConnection::should_pause(uint64_t number, std::function<void()> resume) {
  Slot* slot = find(number);
  if (slot == nullptr) return false;
  const bool is_first = number == first_slot_;
  const size_t held = is_first ? unsent() : slot->bytes.size();
  if (held < stream_pause_bytes && (is_first || held_bytes_ < held_bytes_max)) return false;
  slot->resume = std::move(resume);
  return true;
}

void HttpConnection::meter(uint64_t number, MeteredOperation operation, Level level) {
  Slot* slot = find(number);
  if (slot == nullptr) return;
  slot->operation = operation;
  slot->level = level;
  slot->has_level = true;
}

void HttpConnection::meter(uint64_t number, MeteredOperation operation) {
  if (Slot* slot = find(number)) slot->operation = operation;
}

void HttpConnection::complete(uint64_t number) {
  Slot* slot = find(number);
  slot->complete = true;
  Metrics& metrics = shard_.metrics();
  ++metrics.requests_by_status[slot->status];
  uint64_t taken_us = now().tick_us - slot->begun_us;
  if (slot->has_level) {
    metrics.observe(slot->operation, slot->level, taken_us);
  } else {
    metrics.observe(slot->operation, taken_us);
  }
  if (number != first_slot_) return;
  bool was_blocked = blocked();
  while (!slots_.empty() && slots_.front().complete) {
    body_bytes_ -= slots_.front().body_bytes;
    slots_.pop_front();
    ++first_slot_;
    if (slots_.empty()) break;
    Slot& first = slots_.front();
    out_.append(first.bytes);
    held_bytes_ -= std::exchange(first.held_bytes, 0);
    first.bytes = {};
    if (std::exchange(first.again, false)) ask_again(shared_from_this(), first_slot_, first.call);
  }
  if (!flush_asked_) {
    flush_asked_ = true;
    shard_.flush_later(shared_from_this());
  }
  if (was_blocked) resume_parsing();
}

void HttpConnection::resume_parsing() {
  asio::post(shard_.io(), [self = shared_from_this()] {
    if (self->closed_ || self->parsing_ || self->blocked()) return;
    self->touch();
    self->parse();
    self->read();
  });
}

void HttpConnection::flush() {
  flush_asked_ = false;
  if (closed_ || !writing_.empty()) return;
  if (!out_.empty()) {
    boost::system::error_code error;
    size_t count = socket_.write_some(asio::buffer(out_), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) return close();
    if (error) count = 0;
    shard_.metrics().http_bytes_out += count;
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

void HttpConnection::write_rest() {
  socket_.async_write_some(asio::buffer(writing_.data() + written_, writing_.size() - written_),
                           [self = shared_from_this()](boost::system::error_code error, size_t count) {
                             if (self->closed_) return;
                             if (error) return self->close();
                             self->touch();
                             self->shard_.metrics().http_bytes_out += count;
                             self->written_ += count;
                             if (self->written_ < self->writing_.size()) return self->write_rest();
                             self->writing_ = {};
                             self->written_ = 0;
                             self->flush();
                           });
}

// All that there was is with the system now.
void HttpConnection::wrote() {
  touch();
  if (!slots_.empty()) {
    auto resume = std::exchange(slots_.front().resume, nullptr);
    if (resume) asio::post(shard_.io(), std::move(resume));
  } else if (last_request_seen_) {
    return linger();
  }
  if (!reading_ && !parsing_ && !last_request_seen_) resume_parsing();
}

// Closing with unread input would make the system tell the client "reset", perhaps before it has read its
// answer.
void HttpConnection::linger() {
  if (lingering_) return;
  lingering_ = true;
  boost::system::error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error) return close();
  input_begin_ = input_end_ = 0;
  read();
}

void HttpConnection::check_time(uint64_t now_us) {
  if (closed_) return;
  uint64_t silence = now_us > last_progress_us_ ? now_us - last_progress_us_ : 0;
  if (lingering_) {
    if (silence > linger_us_max) close();
    return;
  }
  if (header_since_us_ != 0 && now_us - std::min(now_us, header_since_us_) > header_us_max &&
      slots_.empty()) {
    ++shard_.metrics().connections_timed_out;
    header_since_us_ = 0;
    return refuse_with({408,
                        "request_timeout",
                        "The request's header did not arrive within 10 seconds: send it faster.",
                        {}});
  }
  bool waits_for_core = !slots_.empty() && unsent() == 0;
  if (shard_.node().draining && slots_.empty() && unsent() == 0 && silence > drain_silence_us_max)
    return close();
  if (waits_for_core || silence <= silence_us_max) return;
  ++shard_.metrics().connections_timed_out;
  close();
}

}  // namespace covey::server
