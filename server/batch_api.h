// POST /v1/kv/{table}: many operations in one call, one JSON object a line in, one result a line out, in
// order.
#pragma once

#include <memory>
#include <string>

#include "server/call_options.h"
#include "server/http_connection.h"

namespace covey::server {

// The whole body is checked to be lines of JSON before the first of them is tried: a call that answers 400
// has changed nothing.
//
// Limits and what happens at them: in_flight_max lines are under way; and values that have been read wait for
// the lines before them, or for the client, with results_bytes_max bytes at most: what has no room is read
// again when its turn has come.
void start_batch(std::shared_ptr<HttpConnection> connection, uint64_t slot, HttpRequest& http,
                 const std::string& table, const CallOptions& options);

}  // namespace covey::server
