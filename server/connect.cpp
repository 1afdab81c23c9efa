#include "server/connect.h"

#include <netinet/tcp.h>

namespace covey::server {

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<Resolved> resolve(asio::io_context* io, HostPort address) {
  boost::system::error_code not_numeric;
  auto numeric = asio::ip::make_address(address.host, not_numeric);
  if (!not_numeric) co_return Resolved{{}, {tcp::endpoint(numeric, address.port)}};
  tcp::resolver resolver(*io);
  auto [error, results] =
      co_await resolver.async_resolve(address.host, std::to_string(address.port), as_awaitable);
  Resolved resolved{error, {}};
  for (const auto& result : results) resolved.endpoints.push_back(result.endpoint());
  co_return resolved;
}

void set_no_delay(tcp::socket& socket) {
  boost::system::error_code ignored;  // a slower connection is no reason to refuse it
  socket.set_option(tcp::no_delay(true), ignored);
}

void set_unacknowledged_limit(tcp::socket& socket, unsigned milliseconds) {
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
}

}  // namespace covey::server
