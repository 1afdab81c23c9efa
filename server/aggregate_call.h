// POST /v1/aggregate.
#pragma once

#include <memory>

#include "server/http_connection.h"

namespace covey::server {

void start_aggregate(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& body);

}  // namespace covey::server
