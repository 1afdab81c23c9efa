// A running node: its data directory, its shards and their threads, its listening sockets; from opening to an
// orderly end.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "replication/result.h"
#include "server/aggregator.h"
#include "server/backups.h"
#include "server/node_context.h"
#include "server/shard_loop.h"
#include "storage/disk_space.h"
#include "storage/identity.h"

namespace covey::server {

// Word of damaged storage, from whichever thread met it.
class Damage {
 public:
  void tell(const std::string& what) {
    std::lock_guard lock(mutex_);
    what_ = what;
  }
  std::string what() const {  // empty: none
    std::lock_guard lock(mutex_);
    return what_;
  }

 private:
  mutable std::mutex mutex_;
  std::string what_;
};

class Node {
 public:
  // Opens the directory, the shards and the listening sockets. The error is a sentence for the operator.
  [[nodiscard]] static Result<std::unique_ptr<Node>, std::string> open(Config config);
  ~Node();

  void start();  // the threads
  std::string ready_line() const;
  // Stops accepting, lets requests in flight end (at most 5 s), syncs, marks the directory as closed in
  // order. Blocks. false: something of that failed; it is in the log.
  bool close();

  // Bytes of a table have turned out to be damaged, and with the word of a ready replica elsewhere that it
  // has all that this node has, the database can be set aside. Asked by the thread that called start(), now
  // and then.
  bool may_be_set_aside();
  // This node leaves or was removed, nothing is left here that others need, and they know that it goes. For
  // the main thread, now and then; then close().
  bool departed();
  // Ends as close() does, sets the database aside and answers the configuration to open() again with, at the
  // same addresses: the node then begins a new life and is filled by the others. The error: why it can't.
  [[nodiscard]] Result<Config, std::string> set_aside();

 private:
  using Acceptor = boost::asio::ip::tcp::acceptor;
  struct ClientPort {
    std::unique_ptr<Acceptor> acceptor;  // nullptr: not listened to
    std::unique_ptr<boost::asio::steady_timer> pause;
  };

  explicit Node(Config config);
  void drain_connections();
  void stop_shards();
  void ask_each_shard(const std::function<void(ShardLoop&, size_t)>& question);  // on its own thread
  bool held_elsewhere();
  std::optional<std::string> open_directory();
  std::optional<std::string> keep_damaged(const std::string& what);
  std::optional<StoreError> open_shards();
  std::optional<std::string> listen();
  void accept_client(ClientPort& port);
  void accept_peer();
  void take_client(ClientPort& port, boost::asio::ip::tcp::socket socket, ShardLoop& shard);
  void take_waiting(ClientPort& port);
  void watch_disk();

  NodeContext context_;
  Damage damage_;  // before the directory, which tells it
  std::unique_ptr<DataDirectory> directory_;
  std::vector<std::unique_ptr<ShardLoop>> shards_;
  std::unique_ptr<Aggregator> aggregator_;  // ends after the shards' threads and before their stores
  std::unique_ptr<Backups> backups_;        // likewise before the database closes
  std::vector<std::thread> threads_;
  // All on the first shard's thread.
  ClientPort http_, resp_;
  std::unique_ptr<Acceptor> peer_;
  std::unique_ptr<boost::asio::steady_timer> peer_pause_, disk_timer_;
  std::unique_ptr<SpaceFloor> floor_;
  std::optional<std::chrono::steady_clock::time_point> departed_;
  std::vector<std::map<PartitionId, Clock>>
      at_damage_;          // by shard, for its thread: what is to be held elsewhere
  size_t next_shard_ = 0;  // connections are dealt out in turn
};

}  // namespace covey::server
