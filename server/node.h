// A running node: its data directory, its shards and their threads, its listening sockets; from opening to an
// orderly end.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "replication/result.h"
#include "server/node_context.h"
#include "server/shard_loop.h"
#include "storage/disk_space.h"
#include "storage/identity.h"

namespace covey::server {

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

 private:
  explicit Node(Config config);
  std::optional<std::string> open_directory();
  std::optional<std::string> open_shards();
  std::optional<std::string> listen();
  void accept_http();
  void accept_peer();
  void take_client(boost::asio::ip::tcp::socket socket, ShardLoop& shard);
  void watch_disk();

  using Acceptor = boost::asio::ip::tcp::acceptor;

  NodeContext context_;
  std::unique_ptr<DataDirectory> directory_;
  std::vector<std::unique_ptr<ShardLoop>> shards_;
  std::vector<std::thread> threads_;
  // All on the first shard's thread.
  std::unique_ptr<Acceptor> http_;
  std::unique_ptr<Acceptor> peer_;
  std::unique_ptr<boost::asio::steady_timer> http_pause_, peer_pause_, disk_timer_;
  std::unique_ptr<SpaceFloor> floor_;
  size_t next_shard_ = 0;  // connections are dealt out in turn
};

}  // namespace covey::server
