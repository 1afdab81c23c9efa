// POST /v1/cluster/repair: this node's copies are compared with the others', object by object; GET tells how
// that goes.
#pragma once

#include <memory>
#include <string>

#include "server/http_connection.h"

namespace covey::server {

void start_repair(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& body);
void show_repair(std::shared_ptr<HttpConnection> connection, uint64_t slot);

}  // namespace covey::server
