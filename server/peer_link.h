// Connections to other nodes. Every shard dials every peer; messages flow only from the dialer to the
// acceptor, so a link is one way and its loss says nothing about the other direction. A lost link is dialed
// again, for ever, with exponential back-off and jitter. What there is no room for is dropped and counted;
// the core is told, and answers whoever waits for it. With the end of a connection it is told what had not
// left by it.
//
// Used by one shard's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/handshake.h"
#include "server/outgoing_frames.h"
#include "server/shard_loop.h"

namespace covey::server {

class PeerLinks;

class PeerLink : public Flushable, public std::enable_shared_from_this<PeerLink> {
 public:
  enum class Dialing : uint8_t { for_ever, once };
  // node: whom the address is expected to lead to; nullopt where its name is not known yet.
  PeerLink(ShardLoop& shard, PeerLinks& links, std::string address, std::optional<NodeId> node,
           Dialing dialing = Dialing::for_ever);

  void start();
  void stop();
  // The node has shown that it is there: it is dialed now, if it was to be dialed later.
  void hurry();
  // false: there is no room for it, and it is as it was. Where the link is down, which the core knows, it is
  // dropped without a word.
  bool send(peer::Envelope& message);
  void flush() override;

  bool up() const { return up_; }
  size_t buffered_bytes() const { return pending_.bytes() + writing_bytes_; }
  const std::string& address() const { return address_; }
  const std::optional<NodeId>& node() const { return node_; }

 private:
  using Socket = boost::asio::ip::tcp::socket;

  static boost::asio::awaitable<void> run(std::shared_ptr<PeerLink> self);
  // One connection from dialing to its end; answers why it ended.
  static boost::asio::awaitable<std::string> connect(std::shared_ptr<PeerLink> self);
  static boost::asio::awaitable<std::string> shake_hands(std::shared_ptr<PeerLink> self);
  bool accept(const Introduction& theirs);  // false: this link is not needed
  void set_deadline(std::chrono::milliseconds time);
  void lost(const std::string& reason);
  std::optional<size_t> send_now();
  void write_rest(size_t sent);
  std::vector<Output::Send> take_unsent();

  ShardLoop& shard_;
  PeerLinks& links_;
  const std::string address_;
  std::optional<NodeId> node_;
  Socket socket_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer pause_;
  Dialing dialing_;
  bool stopped_ = false;
  bool up_ = false;
  bool refused_ = false;  // nobody listened at its address at the last attempt
  bool flush_asked_ = false;
  uint64_t connection_ = 0;  // counts them: a write's end is known to belong to an earlier one
  OutgoingFrames pending_;   // whole ones only
  size_t writing_bytes_ = 0;
};

class PeerLinks {
 public:
  explicit PeerLinks(ShardLoop& shard);

  void start();  // dials the seeds and the members that the core remembers
  void stop();
  void hurry(const NodeId& node);                        // as PeerLink's, if there is one
  void dial_once(const std::string& address);            // some node may be there
  void members_changed();                                // dials those that are new or have moved
  bool send(const NodeId& to, peer::Envelope& message);  // as PeerLink's; dials one that was removed

  size_t buffered_bytes() const;
  size_t up() const;
  bool up(const NodeId& node) const;  // a message to it would be sent, not dropped

 private:
  friend class PeerLink;
  // A seed's link has learned whom it leads to. false: another link goes there already.
  bool claim(const std::shared_ptr<PeerLink>& link, const NodeId& node);
  bool is_removed(const NodeId& node) const;
  // The link has ended, and its node has told another address while it stood: it is dialed there.
  bool moved(const std::shared_ptr<PeerLink>& link);
  // The link has nowhere to go: its node was removed and is not there. false: it was taken back meanwhile.
  bool forget_removed(const std::shared_ptr<PeerLink>& link);
  void forget_unnamed(const std::shared_ptr<PeerLink>& link) { std::erase(seeds_, link); }

  ShardLoop& shard_;
  bool started_ = false;
  std::map<NodeId, std::shared_ptr<PeerLink>> by_node_;
  std::vector<std::shared_ptr<PeerLink>> seeds_;  // and others of unknown name so far
};

}  // namespace covey::server
