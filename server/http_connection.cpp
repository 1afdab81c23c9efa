#include "server/http_connection.h"

#include <boost/asio/post.hpp>

#include "server/kv_api.h"
#include "server/router.h"
#include "server/text.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr size_t requests_max = 256;
constexpr size_t body_bytes_max = 4 * 1024 * 1024;
constexpr size_t held_answers_max = 4 * 1024 * 1024;
constexpr size_t stream_pause_bytes = 256 * 1024;
constexpr uint64_t header_us_max = 10'000'000;

HttpLimits http_limits_of(const Config& config) {
  HttpLimits limits;
  limits.value_bytes = config.value_bytes_max;
  limits.batch_bytes = config.batch_bytes_max;
  return limits;
}

}  // namespace

HttpConnection::HttpConnection(ShardLoop& shard, asio::ip::tcp::socket socket, std::atomic<size_t>& count)
    : ClientConnection(shard, std::move(socket), count,
                       {.bytes_in = shard.metrics().http_bytes_in,
                        .bytes_out = shard.metrics().http_bytes_out,
                        .input_bytes_max = http_limits_of(shard.node().config).header_bytes + 1024}),
      parser_(http_limits_of(shard.node().config)) {}

HttpConnection::~HttpConnection() = default;

std::shared_ptr<HttpConnection> HttpConnection::self() {
  return std::static_pointer_cast<HttpConnection>(shared_from_this());
}

void HttpConnection::refuse() {
  ++shard().metrics().connections_refused;
  join_shard();
  refuse_with(overloaded("The node has its limit of connections: close one, or try again later."));
}

bool HttpConnection::has_room() const {
  return !output_full() && slots_.size() < requests_max && body_bytes_ < body_bytes_max &&
         held_bytes_ < held_answers_max;
}

void HttpConnection::forget_requests() {
  // What is still asked for is answered to a slot that does not exist any more.
  first_slot_ += slots_.size();
  slots_.clear();
  held_bytes_ = 0;
}

// A connection that rests is not closed at once: a request may be on its way. The next one is the last, and
// silence ends it (check_time).
void HttpConnection::drain() {
  if (slots_.empty()) return;
  end_after_answers();
  slots_.back().keep_alive = false;
}

void HttpConnection::parse_input() {
  while (!closed() && !ending() && has_room() && !input().empty()) {
    std::string_view bytes = input();
    const size_t before = bytes.size();
    HttpParser::Event event = parser_.parse(bytes);
    took(before - bytes.size());
    if (event == HttpParser::Event::need_more) {
      const bool in_header = !input().empty() || parser_.in_header();
      if (!in_header) header_since_us_ = 0;
      if (in_header && header_since_us_ == 0) header_since_us_ = last_progress_us();
      break;
    }
    header_since_us_ = 0;
    if (event == HttpParser::Event::header) {
      // Only where no other answer is before it; any other client sends the body after a short wait.
      if (slots_.empty()) output().append("HTTP/1.1 100 Continue\r\n\r\n");
      if (slots_.empty()) flush();
    } else if (event == HttpParser::Event::complete) {
      take_request();
      parser_.next();
    } else {
      fail_request();
    }
  }
}

HttpConnection::Slot& HttpConnection::add_slot() {
  Slot& slot = slots_.emplace_back();
  slot.begun_us = last_progress_us();
  return slot;
}

void HttpConnection::take_request() {
  HttpRequest& request = parser_.request();
  Slot& slot = add_slot();
  slot.head_only = request.method == Method::head;
  slot.chunked = request.http_1_1;
  slot.keep_alive = request.keep_alive && !shard().node().draining;
  if (!slot.keep_alive) end_after_answers();
  slot.body_bytes = request.body.size();
  body_bytes_ += slot.body_bytes;
  route_request(self(), first_slot_ + slots_.size() - 1, request);
}

void HttpConnection::fail_request() {
  ++shard().metrics().bad_http;
  refuse_with(parser_.error());
}

// The last answer of this connection.
void HttpConnection::refuse_with(const ErrorAnswer& error) {
  end_after_answers();
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
  if (call.operation != Operation::get || response.object.versions.empty()) return false;
  if (slot == first_slot_) return is_full(slot);
  return held_bytes_ + value_bytes(response.object) > held_answers_max;
}

void HttpConnection::count_held(uint64_t number) {
  Slot* slot = find(number);
  if (slot == nullptr || number == first_slot_) return;
  held_bytes_ += slot->bytes.size() - slot->held_bytes;
  slot->held_bytes = slot->bytes.size();
}

// The first slot writes straight into the connection's buffer, later ones wait in their own.
std::string& HttpConnection::sink(uint64_t slot) {
  return slot == first_slot_ ? output() : find(slot)->bytes;
}

void HttpConnection::write_head(std::string& out, const Slot& slot, const ReplyHead& head) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<uint64_t>(head.status));
  out.push_back(' ');
  out.append(reason_phrase(head.status)).append("\r\nDate: ").append(shard().date());
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
    end_after_answers();
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
  if (number == first_slot_) flush_soon();
}

void HttpConnection::end_stream(uint64_t number) {
  Slot* slot = find(number);
  if (slot == nullptr) return;
  if (slot->chunked && !slot->head_only) sink(number).append("0\r\n\r\n");
  complete(number);
}

bool HttpConnection::is_full(uint64_t slot) const {
  return slot == first_slot_ ? output_full() : held_bytes_ >= held_answers_max;
}

bool HttpConnection::should_pause(uint64_t number, std::function<void()> resume) {
  Slot* slot = find(number);
  if (slot == nullptr) return false;
  const bool is_first = number == first_slot_;
  const size_t held = is_first ? unsent() : slot->bytes.size();
  if (held < stream_pause_bytes && (is_first || held_bytes_ < held_answers_max)) return false;
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
  Metrics& metrics = shard().metrics();
  ++metrics.requests_by_status[slot->status];
  uint64_t taken_us = now().tick_us - slot->begun_us;
  if (slot->has_level) {
    metrics.observe(slot->operation, slot->level, taken_us);
  } else {
    metrics.observe(slot->operation, taken_us);
  }
  if (number != first_slot_) return;
  const bool was_full = !has_room();
  while (!slots_.empty() && slots_.front().complete) {
    body_bytes_ -= slots_.front().body_bytes;
    slots_.pop_front();
    ++first_slot_;
    if (slots_.empty()) break;
    Slot& first = slots_.front();
    output().append(first.bytes);
    held_bytes_ -= std::exchange(first.held_bytes, 0);
    first.bytes = {};
  }
  ask_for_first_again();
  flush_soon();
  if (was_full) resume_parsing();
}

// When there is no room for its answer: once all that is before it has been taken (sent_all).
void HttpConnection::ask_for_first_again() {
  if (slots_.empty() || !slots_.front().again || output_full()) return;
  slots_.front().again = false;
  ask_again(self(), first_slot_, slots_.front().call);
}

void HttpConnection::sent_all() {
  ask_for_first_again();
  if (slots_.empty()) return;
  auto resume = std::exchange(slots_.front().resume, nullptr);
  if (resume) asio::post(shard().io(), std::move(resume));
}

void HttpConnection::check_time(uint64_t now_us) {
  const bool is_late =
      header_since_us_ != 0 && now_us - std::min(now_us, header_since_us_) > header_us_max && slots_.empty();
  if (!is_late || closed() || lingering()) return ClientConnection::check_time(now_us);
  ++shard().metrics().connections_timed_out;
  header_since_us_ = 0;
  refuse_with(
      {408, "request_timeout", "The request's header did not arrive within 10 seconds: send it faster.", {}});
}

}  // namespace covey::server
