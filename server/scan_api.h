// GET /v1/kv/{table}: keys in bytewise order with their values, merged from all partitions.
#pragma once

#include <memory>
#include <string>

#include "server/call_options.h"
#include "server/http_connection.h"

namespace covey::server {

// An error before the first line is a proper status; one that comes later is the last line, {"error": ...}.
// Otherwise the last line is {"cursor": ...}: null at the end of the table.
void start_scan(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& table,
                const CallOptions& options);

}  // namespace covey::server
