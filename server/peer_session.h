// The accepting end of a peer's link: shakes hands, then reads messages and gives each to the shard that it
// is for.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "server/shard_loop.h"

namespace covey::server {

// Takes over a connection that was accepted on `shard`'s context; the handshake runs there, what follows on
// the shard whose number is the dialer's, so that between nodes with equal shards nothing has to cross.
void start_peer_session(ShardLoop& shard, boost::asio::ip::tcp::socket socket);

}  // namespace covey::server
