#include "server/peer_session.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/write.hpp>
#include <vector>

#include "replication/peer_messages.h"
#include "server/connect.h"
#include "server/peer_frame.h"
#include "server/peer_reader.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto silence_max = std::chrono::seconds(60);  // digests come several times a second
constexpr uint64_t presence_us = 3'000'000;             // a process that was heard this recently still lives

// Closes a socket when a time is over. Shared with its timer's handler.
class Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  explicit Watchdog(tcp::socket taken) : socket(std::move(taken)), timer_(socket.get_executor()) {}
  void allow(std::chrono::seconds time) {
    timer_.expires_after(time);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      boost::system::error_code ignored;
      if (!error) self->socket.close(ignored);
    });
  }
  void done() { timer_.cancel(); }
  tcp::socket socket;

 private:
  asio::steady_timer timer_;
};

void log_refusal(ShardLoop& shard, const std::string& from, const std::string& reason) {
  ++shard.metrics().peer_handshakes_refused;
  std::string message = "peer refused from=" + from + " reason=\"" + reason + "\"";
  if (shard.log_gate().open(reason))
    spdlog::warn("{} held_back={}", message, shard.log_gate().held_back(reason));
}

void rethrow(std::exception_ptr failed) {
  if (failed) std::rethrow_exception(failed);  // only for lack of memory
}

// The presence of this process of the node; nullptr: another process that uses its id is here.
std::shared_ptr<PeerPresence> enter(NodeContext& node, const Introduction& theirs) {
  auto& known = node.presences[theirs.member.node];
  std::erase_if(known, [](const auto& one) { return one.expired(); });
  uint64_t time = now().tick_us;
  for (const auto& one : known) {
    auto other = one.lock();
    if (other && other->instance != theirs.instance && other->heard_us + presence_us > time) return nullptr;
  }
  auto presence = std::make_shared<PeerPresence>();
  presence->instance = theirs.instance;
  presence->heard_us = time;
  known.push_back(presence);
  return presence;
}

// Gives each message to the shard that it is for.
void read_messages(ShardLoop& shard, int socket, const NodeId& from,
                   const std::shared_ptr<PeerPresence>& presence) {
  const auto read = [&shard, presence](size_t bytes) {
    presence->heard_us = now().tick_us;
    shard.metrics().peer_bytes_in += bytes;
  };
  const auto received = [&shard, from](std::string_view payload) {
    auto message = std::make_shared<peer::Envelope>();
    if (!message->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return false;
    ++shard.metrics().peer_messages_in;
    shard.dispatch(from, std::move(message));
    return true;
  };
  const auto broken = [&shard, from] {
    ++shard.metrics().peer_frames_bad;
    const std::string what = "peer sent a broken frame and is disconnected peer=" + from.name;
    if (shard.log_gate().open(what)) spdlog::warn("{}", what);
  };
  std::make_shared<PeerReader>(shard.io(), shard.sockets(), socket,
                               PeerReader::Events{read, received, broken}, silence_max)
      ->start();
}

asio::awaitable<std::optional<Introduction>> read_introduction(std::shared_ptr<Watchdog> connection) {
  FrameReader reader;
  std::vector<char> bytes(4096);
  while (true) {
    auto [error, count] = co_await connection->socket.async_read_some(asio::buffer(bytes), as_awaitable);
    if (error) co_return std::nullopt;
    reader.feed({bytes.data(), count});
    auto payload = reader.next();
    if (payload) co_return reader.empty() ? decode_introduction(*payload) : std::nullopt;
    // A stranger is not given the memory that a frame may take.
    if (reader.failed() != FrameReader::Failure::none || reader.buffered() > handshake_bytes_max)
      co_return std::nullopt;
  }
}

asio::awaitable<void> welcome(ShardLoop* shard, std::shared_ptr<Watchdog> connection, std::string address) {
  connection->allow(handshake_time);
  auto theirs = co_await read_introduction(connection);
  NodeContext& node = shard->node();
  Introduction mine = node.introduction(shard->index());
  std::string reply;
  std::string refused;
  if (!theirs) {
    refused = "its first bytes are not a handshake";
  } else {
    Judgement judgement = judge(mine, *theirs, node.token);
    if (judgement.compatibility == Compatibility::differs) refused = judgement.reason;
  }
  std::shared_ptr<PeerPresence> presence;
  if (refused.empty()) presence = enter(node, *theirs);
  if (refused.empty() && !presence) {
    refused = "another process uses the node id \"" + theirs->member.node.name + "\": give each node its own";
  }
  if (refused.empty()) {
    append_frame(reply, encode_introduction(mine));
  } else {
    log_refusal(*shard, (theirs ? theirs->member.node.name + "@" : std::string()) + address, refused);
    append_frame(reply, encode_refusal(refused));
  }
  auto [error, written] = co_await asio::async_write(connection->socket, asio::buffer(reply), as_awaitable);
  connection->done();
  if (error || !refused.empty() || theirs->member.node == node.self.node) co_return;
  shard->met(theirs->member);

  ShardLoop& reader = *node.shards[theirs->shard % node.shards.size()];
  NodeId from = theirs->member.node;
  boost::system::error_code failed;
  const int socket = connection->socket.release(failed);
  if (failed) co_return;
  asio::post(reader.io(),
             [&reader, socket, from, presence] { read_messages(reader, socket, from, presence); });
}

}  // namespace

void start_peer_session(ShardLoop& shard, tcp::socket socket) {
  set_no_delay(socket);
  boost::system::error_code error;
  auto endpoint = socket.remote_endpoint(error);
  std::string address = error ? "?" : endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
  auto connection = std::make_shared<Watchdog>(std::move(socket));
  asio::co_spawn(shard.io(), welcome(&shard, connection, std::move(address)), rethrow);
}

}  // namespace covey::server
