// Which path is which call.
#pragma once

#include <cstdint>
#include <memory>

#include "server/http_connection.h"

namespace covey::server {

// Answers the slot at once or later. May take what it needs out of the request.
void route_request(std::shared_ptr<HttpConnection> connection, uint64_t slot, HttpRequest& request);

}  // namespace covey::server
