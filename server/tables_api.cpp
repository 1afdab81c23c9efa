#include "server/tables_api.h"

#include <spdlog/spdlog.h>

#include "server/text.h"

namespace covey::server {
namespace {

// {"name": ..., "conflicts": ..., "columns": [...]}
std::string describe(const std::string& name, const TableDefinition& definition) {
  std::string out = "{\"name\":";
  append_json_string(out, name);
  out.push_back(',');
  out.append(std::string_view(definition.text).substr(1));
  return out;
}

ErrorAnswer storage_failed() {
  Response response;
  response.status = Status::storage_failed;
  return error_of(response, Operation::put);
}

// What every shard answers when it is asked to change its tables.
enum class TableChange { done, purging, failed };

void finish_change(const std::shared_ptr<HttpConnection>& connection, uint64_t slot,
                   const std::vector<TableChange>& changes, const std::string& body) {
  for (TableChange change : changes) {
    if (change == TableChange::failed) return connection->reply(slot, storage_failed());
    if (change == TableChange::purging) {
      return connection->reply(
          slot,
          ErrorAnswer{409,
                      "table_being_dropped",
                      "A table of this name was dropped and its keys are still being erased: try again soon.",
                      {}});
    }
  }
  connection->reply(slot, ReplyHead{}, body);
}

}  // namespace

void list_tables(std::shared_ptr<HttpConnection> connection, uint64_t slot) {
  std::string body = "{\"tables\":[";
  bool first = true;
  for (const auto& [name, table] : connection->shard().known_tables()) {
    if (!first) body.push_back(',');
    first = false;
    body.append(describe(name, table));
  }
  body.append("]}\n");
  connection->reply(slot, ReplyHead{}, body);
}

void show_table(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& name) {
  const TableDefinition* table = connection->shard().table(name);
  if (table == nullptr) return connection->reply(slot, no_such_table(name));
  connection->reply(slot, ReplyHead{}, describe(name, *table) + "\n");
}

void make_table(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& name,
                const std::string& body) {
  auto definition = parse_table_definition(std::string_view(body.empty() ? "{}" : body));
  if (!definition)
    return connection->reply(slot,
                             bad_request("The table's definition is refused: " + definition.error() + "."));
  if (name == default_table && definition->conflicts != Conflicts::siblings) {
    return connection->reply(
        slot, bad_request("The table default keeps its siblings: make another table for \"lww\"."));
  }
  std::string reply = describe(name, *definition) + "\n";
  Table table{name, definition->text, definition->conflicts};
  auto put = [table](ShardLoop& shard) {
    if (shard.core().purging(table.name)) return TableChange::purging;
    return shard.put_table(table).ok() ? TableChange::done : TableChange::failed;
  };
  auto then = [connection, slot, reply, name](std::vector<TableChange>&& changes) {
    spdlog::info("table defined name={}", name);
    finish_change(connection, slot, changes, reply);
  };
  gather<TableChange>(connection->shard(), put, then);
}

void drop_table(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& name) {
  if (name == default_table) {
    return connection->reply(slot, bad_request("The table default always exists and can't be dropped."));
  }
  if (connection->shard().table(name) == nullptr) return connection->reply(slot, no_such_table(name));
  auto drop = [name](ShardLoop& shard) {
    return shard.drop_table(name).ok() ? TableChange::done : TableChange::failed;
  };
  auto then = [connection, slot, name](std::vector<TableChange>&& changes) {
    spdlog::info("table dropped name={}", name);
    std::string body = "{\"dropped\":";
    append_json_string(body, name);
    finish_change(connection, slot, changes, body + "}\n");
  };
  gather<TableChange>(connection->shard(), drop, then);
}

}  // namespace covey::server
