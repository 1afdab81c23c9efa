// Who belongs to the cluster, as an operator decides it: POST /v1/cluster/join, leave, remove and replace.
#pragma once

#include <memory>
#include <string_view>

#include "server/http_connection.h"

namespace covey::server {

// The last part of the path: join, leave, remove or replace.
bool is_cluster_change(std::string_view action);
void change_cluster(std::shared_ptr<HttpConnection> connection, uint64_t slot, std::string_view action,
                    const std::string& body);

// The member that the decision concerns, as it is stored: "member", "leaving" or "removed".
const char* standing_text(Standing standing);

}  // namespace covey::server
