#include "server/peer_link.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>

#include "replication/peer_messages.h"
#include "server/connect.h"
#include "server/peer_frame.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr auto back_off_least = std::chrono::milliseconds(50);
constexpr auto back_off_most = std::chrono::milliseconds(2000);
constexpr size_t small_message_bytes = 4096;
constexpr size_t pieces_at_once = 64;
constexpr unsigned unacknowledged_ms_max = 10'000;

}  // namespace

PeerLink::PeerLink(ShardLoop& shard, PeerLinks& links, std::string address, std::optional<NodeId> node,
                   Dialing dialing)
    : shard_(shard),
      links_(links),
      address_(std::move(address)),
      node_(std::move(node)),
      socket_(shard.io()),
      deadline_(shard.io()),
      pause_(shard.io()),
      dialing_(dialing) {}

void PeerLink::start() {
  asio::co_spawn(shard_.io(), run(shared_from_this()), [](const std::exception_ptr& failed) {
    if (failed) std::rethrow_exception(failed);  // nothing in run() throws but for lack of memory
  });
}

void PeerLink::stop() {
  stopped_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  pause_.cancel();
  deadline_.cancel();
}

asio::awaitable<void> PeerLink::run(std::shared_ptr<PeerLink> self) {
  auto back_off = back_off_least;
  while (!self->stopped_) {
    uint64_t connections_before = self->connection_;
    std::string reason = co_await connect(self);
    if (self->stopped_) break;
    self->lost(reason);
    if (self->dialing_ == Dialing::once) {
      self->links_.forget_unnamed(self);
      break;
    }
    if (self->refused_ && self->node_) self->shard_.refused(*self->node_);
    if (self->connection_ != connections_before) back_off = back_off_least;
    if (self->node_ && self->links_.moved(self)) break;
    const bool removed = self->node_ && self->links_.is_removed(*self->node_);
    if (removed) back_off = back_off_most;
    // Jitter: half of it fixed, half drawn, so that nodes that lost the same peer do not return as one.
    auto drawn = static_cast<uint64_t>(back_off.count()) / 2 +
                 random_bits() % (static_cast<uint64_t>(back_off.count()) / 2 + 1);
    self->pause_.expires_after(std::chrono::milliseconds(drawn));
    co_await self->pause_.async_wait(as_awaitable);
    back_off = std::min(back_off * 2, back_off_most);
    if (removed && self->links_.forget_removed(self)) break;
  }
}

void PeerLink::set_deadline(std::chrono::milliseconds time) {
  deadline_.expires_after(time);
  deadline_.async_wait([self = shared_from_this(), number = connection_](boost::system::error_code error) {
    if (error || self->up_ || self->connection_ != number) return;
    boost::system::error_code ignored;
    self->socket_.close(ignored);
  });
}

asio::awaitable<std::string> PeerLink::connect(std::shared_ptr<PeerLink> self) {
  auto host_port = parse_host_port(self->address_);
  if (!host_port) co_return "its address \"" + self->address_ + "\" is not one";
  Resolved resolved = co_await resolve(&self->shard_.io(), *host_port);
  if (resolved.error) co_return "its name is not found: " + resolved.error.message();
  self->set_deadline(handshake_time);
  self->refused_ = false;
  boost::system::error_code error = asio::error::host_not_found;
  for (const auto& endpoint : resolved.endpoints) {
    if (self->stopped_) co_return "";
    self->socket_ = Socket(self->shard_.io());
    std::tie(error) = co_await self->socket_.async_connect(endpoint, as_awaitable);
    if (!error) break;
  }
  self->refused_ = error == asio::error::connection_refused;
  if (error) co_return "it can't be connected to: " + error.message();
  set_no_delay(self->socket_);
  set_unacknowledged_limit(self->socket_, unacknowledged_ms_max);
  std::string refused = co_await shake_hands(self);
  if (!refused.empty() || self->stopped_) co_return refused;

  // The acceptor says nothing more: a read only ends when the connection does.
  std::array<char, 64> nothing;
  auto [ended, bytes] = co_await self->socket_.async_read_some(asio::buffer(nothing), as_awaitable);
  co_return ended ? "the connection ended: " + ended.message()
                  : std::string("it sent something that was not asked for");
}

asio::awaitable<std::string> PeerLink::shake_hands(std::shared_ptr<PeerLink> self) {
  NodeContext& node = self->shard_.node();
  Introduction mine = node.introduction(self->shard_.index());
  std::string frame;
  append_frame(frame, encode_introduction(mine));
  auto [write_error, written] = co_await asio::async_write(self->socket_, asio::buffer(frame), as_awaitable);
  if (write_error) co_return "the handshake failed: " + write_error.message();
  FrameReader reader;
  std::array<char, 4096> bytes;
  std::optional<std::string_view> payload;
  while (!payload) {
    auto [error, count] = co_await self->socket_.async_read_some(asio::buffer(bytes), as_awaitable);
    if (error) co_return "the handshake failed: " + error.message();
    reader.feed({bytes.data(), count});
    payload = reader.next();
    if (reader.failed() != FrameReader::Failure::none)
      co_return std::string("it does not speak the peer protocol");
  }
  auto answer = decode_answer(*payload);
  if (!answer) co_return std::string("its answer to the handshake can't be read");
  if (!answer->accepted) co_return "it refused this node: " + answer->refused;
  Judgement judgement = judge(mine, *answer->accepted, node.token);
  if (judgement.compatibility == Compatibility::myself) {
    self->stop();  // a seed that is this node
    co_return std::string();
  }
  if (judgement.compatibility == Compatibility::differs) co_return judgement.reason;
  if (self->node_ && *self->node_ != answer->accepted->member.node) {
    self->shard_.met(answer->accepted->member);
    co_return "another node answers there: " + answer->accepted->member.node.name;
  }
  if (!self->accept(*answer->accepted)) self->stop();
  co_return std::string();
}

bool PeerLink::accept(const Introduction& theirs) {
  shard_.met(theirs.member);
  if (!links_.claim(shared_from_this(), theirs.member.node)) return false;
  node_ = theirs.member.node;
  dialing_ = Dialing::for_ever;
  ++connection_;
  up_ = true;
  deadline_.cancel();
  pending_ = {};
  writing_bytes_ = 0;
  ++shard_.metrics().peer_connects;
  if (shard_.index() == 0) spdlog::info("peer connected peer={} address={}", node_->name, address_);
  shard_.link(*node_, true, {});
  return true;
}

void PeerLink::lost(const std::string& reason) {
  bool was_up = std::exchange(up_, false);
  boost::system::error_code ignored;
  socket_.close(ignored);
  deadline_.cancel();
  std::string name = node_ ? node_->name : "?";
  std::string message =
      "peer not connected peer=" + name + " address=" + address_ + " reason=\"" + reason + "\"";
  if (shard_.index() == 0 && shard_.log_gate().open(message)) {
    spdlog::warn("{} held_back={}", message, shard_.log_gate().held_back(message));
  }
  if (!was_up) return;
  ++shard_.metrics().peer_losses;
  shard_.link(*node_, false, take_unsent());
}

// What was not yet given to the socket.
std::vector<Output::Send> PeerLink::take_unsent() {
  FrameReader frames;
  const OutgoingFrames pending = std::exchange(pending_, {});
  std::vector<Output::Send> unsent;
  for (const auto& piece : pending.buffers()) {
    frames.feed({static_cast<const char*>(piece.data()), piece.size()});
    while (auto payload = frames.next()) {
      auto message = std::make_unique<peer::Envelope>();
      if (message->ParseFromArray(payload->data(), static_cast<int>(payload->size())))
        unsent.push_back({*node_, std::move(message)});
    }
  }
  return unsent;
}

bool PeerLink::send(peer::Envelope& message) {
  Metrics& metrics = shard_.metrics();
  if (!up_) {
    ++metrics.peer_messages_dropped_unlinked;
    return true;
  }
  size_t size = message.ByteSizeLong();
  size_t room = shard_.node().config.peer_buffer_bytes_max;
  if (size <= small_message_bytes) room += room / 16;  // acknowledgements and refusals get through
  // One message that is larger than the whole buffer goes when it is the only one.
  bool fits = size <= frame_payload_bytes_max && (buffered_bytes() == 0 || buffered_bytes() + size <= room);
  if (!fits) {
    ++metrics.peer_messages_dropped_full;
    return false;
  }
  pending_.add(message, size);
  ++metrics.peer_messages_out;
  metrics.peer_bytes_out += frame_header_bytes + size;
  if (!flush_asked_) {
    flush_asked_ = true;
    shard_.flush_later(shared_from_this());
  }
  return true;
}

void PeerLink::flush() {
  flush_asked_ = false;
  if (!up_ || writing_bytes_ != 0 || pending_.empty()) return;
  const std::optional<size_t> sent = send_now();
  if (!sent) {
    boost::system::error_code ignored;
    socket_.close(ignored);  // the reader notices and says so
  } else if (*sent == pending_.bytes()) {
    pending_.clear();
  } else {
    write_rest(*sent);
  }
}

// How much of what is pending the system has taken; nullopt: the connection has failed.
std::optional<size_t> PeerLink::send_now() {
  std::array<iovec, pieces_at_once> pieces;
  size_t count = 0;
  for (const auto& piece : pending_.buffers()) {
    if (count == pieces.size()) break;
    pieces[count++] = {const_cast<void*>(piece.data()), piece.size()};
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  return std::nullopt;
}

// As the peer makes room.
void PeerLink::write_rest(size_t sent) {
  auto frames = std::make_shared<OutgoingFrames>(std::exchange(pending_, {}));
  writing_bytes_ = frames->bytes() - sent;
  std::vector<asio::const_buffer> rest;
  for (const asio::const_buffer piece : frames->buffers()) {
    if (piece.size() > sent) rest.push_back(piece + sent);
    sent -= std::min(sent, piece.size());
  }
  asio::async_write(
      socket_, rest,
      [self = shared_from_this(), frames, number = connection_](boost::system::error_code error, size_t) {
        if (self->connection_ != number || !self->up_) return;
        self->writing_bytes_ = 0;
        if (error) {
          boost::system::error_code ignored;
          self->socket_.close(ignored);
        } else {
          self->flush();
        }
      });
}

PeerLinks::PeerLinks(ShardLoop& shard) : shard_(shard) {}

void PeerLinks::start() {
  started_ = true;
  members_changed();
  const NodeContext& node = shard_.node();
  for (const std::string& seed : node.config.seeds) {
    bool known = seed == node.self.peer_address;
    for (const auto& [id, link] : by_node_) known = known || link->address() == seed;
    if (known) continue;
    seeds_.push_back(std::make_shared<PeerLink>(shard_, *this, seed, std::nullopt));
    seeds_.back()->start();
  }
}

void PeerLinks::stop() {
  started_ = false;
  for (auto& [node, link] : by_node_) link->stop();
  for (auto& link : seeds_) link->stop();
  by_node_.clear();
  seeds_.clear();
}

void PeerLinks::members_changed() {
  if (!started_) return;
  for (const MemberView& view : shard_.core().members(now())) {
    const Member& member = view.member;
    // Who was removed is spoken to when it comes by itself (send).
    if (view.state == MemberState::self || member.standing == Standing::removed) continue;
    if (member.peer_address.empty()) continue;
    auto found = by_node_.find(member.node);
    if (found != by_node_.end()) {
      // A link that stands is left alone, by whatever address it was found.
      if (found->second->address() == member.peer_address || found->second->up()) continue;
      found->second->stop();
      by_node_.erase(found);
    }
    auto link = std::make_shared<PeerLink>(shard_, *this, member.peer_address, member.node);
    by_node_.emplace(member.node, link);
    link->start();
  }
}

void PeerLink::hurry() {
  if (pause_.cancel() > 0) ++shard_.metrics().peer_pauses_cut;
}

void PeerLinks::hurry(const NodeId& node) {
  const auto found = by_node_.find(node);
  if (found != by_node_.end()) found->second->hurry();
}

void PeerLinks::dial_once(const std::string& address) {
  const auto leads_there = [&](const auto& link) { return link->address() == address; };
  const bool is_dialed = std::any_of(seeds_.begin(), seeds_.end(), leads_there) ||
                         std::any_of(by_node_.begin(), by_node_.end(),
                                     [&](const auto& entry) { return leads_there(entry.second); });
  if (is_dialed || !started_) return;
  seeds_.push_back(std::make_shared<PeerLink>(shard_, *this, address, std::nullopt, PeerLink::Dialing::once));
  seeds_.back()->start();
}

bool PeerLinks::claim(const std::shared_ptr<PeerLink>& link, const NodeId& node) {
  auto found = by_node_.find(node);
  bool taken = found != by_node_.end() && found->second != link;
  if (!taken) by_node_[node] = link;
  std::erase(seeds_, link);
  return !taken;
}

bool PeerLinks::is_removed(const NodeId& node) const {
  const Member* member = shard_.core().find_member(node);
  return member != nullptr && member->standing == Standing::removed;
}

bool PeerLinks::moved(const std::shared_ptr<PeerLink>& link) {
  const auto found = by_node_.find(*link->node());
  const Member* member = shard_.core().find_member(*link->node());
  if (found == by_node_.end() || found->second != link || member == nullptr) return false;
  if (member->peer_address.empty() || member->peer_address == link->address()) return false;
  by_node_.erase(found);
  members_changed();
  return true;
}

bool PeerLinks::forget_removed(const std::shared_ptr<PeerLink>& link) {
  const auto found = by_node_.find(*link->node());
  if (found == by_node_.end() || found->second != link || !is_removed(*link->node())) return false;
  by_node_.erase(found);
  return true;
}

bool PeerLinks::send(const NodeId& to, peer::Envelope& message) {
  auto found = by_node_.find(to);
  if (found == by_node_.end() && started_ && is_removed(to)) {
    // It has sent something that is to be answered: it has come back, and may have something to hand over.
    const std::string& address = shard_.core().find_member(to)->peer_address;
    found = by_node_.emplace(to, std::make_shared<PeerLink>(shard_, *this, address, to)).first;
    found->second->start();
  }
  if (found == by_node_.end()) {
    ++shard_.metrics().peer_messages_dropped_unlinked;
    return true;
  }
  return found->second->send(message);
}

size_t PeerLinks::buffered_bytes() const {
  size_t bytes = 0;
  for (const auto& [node, link] : by_node_) bytes += link->buffered_bytes();
  return bytes;
}

bool PeerLinks::up(const NodeId& node) const {
  auto found = by_node_.find(node);
  return found != by_node_.end() && found->second->up();
}

size_t PeerLinks::up() const {
  size_t count = 0;
  for (const auto& [node, link] : by_node_) count += link->up() ? 1 : 0;
  return count;
}

}  // namespace covey::server
