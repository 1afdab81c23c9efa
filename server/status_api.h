// What a node says about itself and its cluster: /v1/cluster, /v1/explain, health and metrics.
#pragma once

#include <memory>

#include "server/call_options.h"
#include "server/http_connection.h"

namespace covey::server {

void show_cluster(std::shared_ptr<HttpConnection> connection, uint64_t slot);
void show_live(std::shared_ptr<HttpConnection> connection, uint64_t slot);
void show_ready(std::shared_ptr<HttpConnection> connection, uint64_t slot);
void show_metrics(std::shared_ptr<HttpConnection> connection, uint64_t slot);
void explain_key(std::shared_ptr<HttpConnection> connection, uint64_t slot, const TableKey& key,
                 const CallOptions& options);

}  // namespace covey::server
