// Making sockets: shared by peers and the HTTP front end.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>
#include <vector>

#include "server/config.h"

namespace covey::server {

// Errors come as values: a lost connection is nothing exceptional.
inline constexpr auto as_awaitable = boost::asio::as_tuple(boost::asio::use_awaitable);

struct Resolved {
  boost::system::error_code error;
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;
};
// Numeric addresses are not asked about; names are, on Asio's own thread.
boost::asio::awaitable<Resolved> resolve(boost::asio::io_context* io, HostPort address);

void set_no_delay(boost::asio::ip::tcp::socket& socket);
// Unacknowledged bytes older than this end the connection (TCP_USER_TIMEOUT): a link into a black hole is
// noticed.
void set_unacknowledged_limit(boost::asio::ip::tcp::socket& socket, unsigned milliseconds);

}  // namespace covey::server
