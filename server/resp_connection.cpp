#include "server/resp_connection.h"

#include <limits>

#include "replication/hash.h"
#include "server/resp_call.h"
#include "server/resp_commands.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr size_t commands_max = 128;
constexpr size_t request_bytes_max = 4 * 1024 * 1024;
constexpr size_t held_replies_max = 4 * 1024 * 1024;

RespLimits resp_limits_of(const Config& config) {
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
    : ClientConnection(shard, std::move(socket), count,
                       {.bytes_in = shard.metrics().resp_bytes_in,
                        .bytes_out = shard.metrics().resp_bytes_out,
                        // A line that is longer than the parser's limit fails long before.
                        .input_bytes_max = std::numeric_limits<size_t>::max()}),
      parser_(resp_limits_of(shard.node().config)) {
  session_.id = ++shard.node().resp_connections;
  session_.begun_us = now().tick_us;
  reset_session();
}

RespConnection::~RespConnection() = default;

std::shared_ptr<RespConnection> RespConnection::self() {
  return std::static_pointer_cast<RespConnection>(shared_from_this());
}

void RespConnection::refuse() {
  ++shard().metrics().connections_refused;
  join_shard();
  refuse_with("ERR max number of clients reached");
}

void RespConnection::reset_session() {
  const Config& config = shard().node().config;
  RespSession fresh;
  fresh.id = session_.id;
  fresh.begun_us = session_.begun_us;
  fresh.authenticated = config.resp_password.empty();
  fresh.read_level = config.read_level;
  fresh.write_level = config.write_level;
  session_ = std::move(fresh);
  if (replies_ == Replies::off) set_replies(Replies::on);
}

void RespConnection::set_replies(Replies replies) {
  const bool stays_off = replies == Replies::skip_next && replies_ == Replies::off;
  if (!stays_off) replies_ = replies;
  if (!slots_.empty()) slots_.back().silent = replies != Replies::on;
}

std::string RespConnection::line() const {
  const auto text = [](const auto& endpoint) { return endpoint ? text_of(*endpoint) : std::string(); };
  const uint64_t now_us = now().tick_us;
  const auto seconds = [now_us](uint64_t since_us) {
    return std::to_string((now_us - std::min(now_us, since_us)) / 1'000'000);
  };
  return "id=" + std::to_string(session_.id) + " addr=" + text(peer_endpoint()) +
         " laddr=" + text(own_endpoint()) + " name=" + session_.name + " age=" + seconds(session_.begun_us) +
         " idle=" + seconds(last_progress_us()) + " flags=N db=0 resp=" + std::to_string(session_.protocol) +
         " lib-name=" + session_.library_name + " lib-ver=" + session_.library_version +
         " covey-table=" + session_.table + "\n";
}

bool RespConnection::is_full() const {
  return output_full() || slots_.size() >= commands_max || request_bytes_ >= request_bytes_max ||
         held_bytes_ >= held_replies_max;
}

bool RespConnection::may_rest() const {
  return session_.authenticated && !parser_.within_command() && input().empty();
}

void RespConnection::forget_requests() {
  // What is still under way is answered to a slot that does not exist any more.
  first_slot_ += slots_.size();
  slots_.clear();
  waiting_.reset();
}

// A connection that rests is not closed at once: a command may be on its way. The next one is the last, and
// silence ends it (check_time).
void RespConnection::drain() {
  if (!slots_.empty() || waiting_) end_after_this();
}

void RespConnection::end_after_this() {
  end_after_answers();
  waiting_.reset();
}

void RespConnection::parse_input() {
  while (!closed() && !ending() && !is_full()) {
    if (!waiting_ && !parse_command()) break;
    if (!may_begin(*waiting_)) break;
    begin_command();
  }
}

// true: waiting_ is the next one.
bool RespConnection::parse_command() {
  std::string_view bytes = input();
  if (bytes.empty()) return false;
  const size_t before = bytes.size();
  const RespParser::Event event = parser_.parse(bytes, session_.authenticated);
  took(before - bytes.size());
  if (event == RespParser::Event::need_more) return false;
  if (event == RespParser::Event::failed) {
    ++shard().metrics().bad_resp;
    refuse_with("ERR " + parser_.error());
    return false;
  }
  Waiting next;
  next.words = parser_.take_words();
  for (const std::string& word : next.words) next.bytes += word.size();
  next.command = find_resp_command(next.words);
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

RespConnection::Slot& RespConnection::add_slot() {
  Slot& slot = slots_.emplace_back();
  slot.begun_us = last_progress_us();
  slot.silent = replies_ != Replies::on;
  if (replies_ == Replies::skip_next) replies_ = Replies::on;
  ++under_way_;
  return slot;
}

void RespConnection::begin_command() {
  Waiting command = std::move(*waiting_);
  waiting_.reset();
  if (shard().node().draining) end_after_answers();
  Slot& slot = add_slot();
  slot.command = command.command;
  slot.key_hash = command.key_hash;
  slot.request_bytes = command.bytes;
  request_bytes_ += command.bytes;
  ++shard().metrics().resp_commands;
  const uint64_t number = first_slot_ + slots_.size() - 1;
  auto refused = check_resp_words(command.command, command.words, session_.authenticated);
  if (refused) {
    RespReply answer(session_.protocol);
    answer.error(*refused);
    return reply(number, std::move(answer));
  }
  auto call = std::make_shared<RespCall>(self(), number, std::move(command.words));
  call->counts_keys = command.command->reads();
  command.command->run(*call);
}

// The last answer of this connection.
void RespConnection::refuse_with(std::string_view error) {
  end_after_this();
  add_slot();
  RespReply answer(session_.protocol);
  answer.error(error);
  reply(first_slot_ + slots_.size() - 1, std::move(answer));
}

bool RespConnection::gone(uint64_t slot) const {
  return slot < first_slot_ || slot - first_slot_ >= slots_.size();
}

bool RespConnection::put_off(uint64_t number, size_t bytes, std::shared_ptr<RespCall> call) {
  if (gone(number)) return false;
  Slot& slot = slots_[number - first_slot_];
  const bool full = number == first_slot_ ? output_full() : held_bytes_ + bytes > held_replies_max;
  if (slot.silent || !full) return false;
  slot.again = std::move(call);
  return true;
}

void RespConnection::let_first_read_again() {
  if (slots_.empty() || output_full()) return;
  if (const auto call = std::exchange(slots_.front().again, nullptr)) call->read_again();
}

void RespConnection::sent_all() { let_first_read_again(); }

void RespConnection::reply(uint64_t number, RespReply&& answer) {
  if (gone(number)) return;
  Slot& slot = slots_[number - first_slot_];
  slot.complete = true;
  --under_way_;
  Metrics& metrics = shard().metrics();
  if (answer.failed()) ++metrics.resp_errors;
  const MeteredOperation operation =
      slot.command == nullptr ? MeteredOperation::other : slot.command->operation;
  const uint64_t now_us = now().tick_us;
  metrics.observe(operation, now_us - std::min(now_us, slot.begun_us));
  std::string bytes = slot.silent ? std::string() : answer.take();
  if (number == first_slot_) {
    output().append(bytes);
    do {
      request_bytes_ -= slots_.front().request_bytes;
      slots_.pop_front();
      ++first_slot_;
      if (slots_.empty() || !slots_.front().complete) break;
      output().append(slots_.front().bytes);
      held_bytes_ -= slots_.front().bytes.size();
    } while (true);
    let_first_read_again();
    flush_soon();
  } else {
    held_bytes_ += bytes.size();
    slot.bytes = std::move(bytes);
  }
  // What waited for this one may begin now.
  if (!parsing() && (waiting_ || !input().empty())) resume_parsing();
}

}  // namespace covey::server
