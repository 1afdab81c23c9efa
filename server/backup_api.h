// GET /v1/backup; POST /v1/backup/create, verify and delete.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/http_connection.h"

namespace covey::server {

void show_backups(std::shared_ptr<HttpConnection> connection, uint64_t slot);

bool is_backup_action(std::string_view action);
void start_backup_job(std::shared_ptr<HttpConnection> connection, uint64_t slot, std::string_view action,
                      const std::string& body);

}  // namespace covey::server
