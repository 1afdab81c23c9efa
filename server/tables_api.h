// Tables at run time: /v1/tables and /v1/tables/{table}.
#pragma once

#include <memory>
#include <string>

#include "server/http_connection.h"

namespace covey::server {

void list_tables(std::shared_ptr<HttpConnection> connection, uint64_t slot);
void show_table(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& name);
// Makes it, or gives it another definition.
void make_table(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& name,
                const std::string& body);
// Forgets the table; its keys are erased in the background.
void drop_table(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& name);

}  // namespace covey::server
