// One client and its connection to a shard, whose work is done by the calls here: real sockets, and the time
// as the shard tells it.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>

#include "server/shard_loop.h"

namespace covey::server {

template <class Connection>
struct ConnectionTalk {
  // The counter of the bytes that came over connections of this kind.
  explicit ConnectionTalk(uint64_t Metrics::*bytes_in)
      : shard(node, 0), client(client_io), bytes_in_(bytes_in) {
    node.shards = {&shard};
  }
  ~ConnectionTalk() {
    connection->close();
    work();
  }
  // Connects, with buffers of so many bytes; 0: the system's own.
  void begin(int buffer_bytes = 0) {
    using boost::asio::ip::tcp;
    tcp::acceptor acceptor(shard.io(), tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    client.open(tcp::v4());
    if (buffer_bytes != 0) client.set_option(tcp::socket::receive_buffer_size(buffer_bytes));
    client.connect(acceptor.local_endpoint());
    tcp::socket accepted = acceptor.accept();
    if (buffer_bytes != 0) accepted.set_option(tcp::socket::send_buffer_size(buffer_bytes));
    node.connections = 1;
    connection = std::make_shared<Connection>(shard, std::move(accepted), node.connections);
  }
  void work() {
    shard.io().restart();
    shard.io().poll();
  }
  void send(const std::string& bytes) {
    const uint64_t taken = shard.metrics().*bytes_in_ + bytes.size();
    boost::asio::write(client, boost::asio::buffer(bytes));
    while (shard.metrics().*bytes_in_ < taken) work();
    work();
  }
  // Until nothing has come or gone for so long.
  void silence(uint64_t microseconds) {
    work();
    connection->check_time(now().tick_us + microseconds);
    work();
  }
  bool closed() const { return node.connections == 0; }

  NodeContext node;
  ShardLoop shard;
  boost::asio::io_context client_io;
  boost::asio::ip::tcp::socket client;
  std::shared_ptr<Connection> connection;

 private:
  uint64_t Metrics::*bytes_in_;
};

}  // namespace covey::server
