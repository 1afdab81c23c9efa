// Broadcast, sets and counters: every node answers by itself, and gossip brings all nodes to the same.
#include <utility>

#include "replication/hash.h"
#include "replication/typed.h"
#include "tests/maelstrom/node.h"

namespace covey::maelstrom {
namespace {

constexpr const char* messages_table = "messages";
constexpr const char* sets_table = "sets";
constexpr const char* counters_table = "counters";
// A change sends all of its key's set to the other nodes: hence several keys.
constexpr uint32_t set_parts = 16;
constexpr uint32_t page_keys = 1'000;
constexpr uint32_t local_timeout_ms = 900;
constexpr int64_t delta_max = int64_t{1} << 53;  // what every JSON reader takes as a whole number

Request here(Operation operation, std::string table, std::string key) {
  return {.operation = operation,
          .table = std::move(table),
          .key = std::move(key),
          .level = {Level::Kind::one},
          .timeout_ms = local_timeout_ms};
}

}  // namespace

struct Node::Gathering {
  Client client;
  std::string table;
  std::function<void(Rows&)> then;
  Rows rows;
  uint32_t partition = 0;
  std::string start_key;
};

void Node::gather(Now now, const Client& client, const std::string& table, std::function<void(Rows&)> then) {
  gather_next(now, std::make_shared<Gathering>(Gathering{client, table, std::move(then)}));
}

void Node::gather_next(Now now, std::shared_ptr<Gathering> gathering) {
  Request scan{.operation = Operation::scan,
               .table = gathering->table,
               .level = {Level::Kind::one},
               .timeout_ms = local_timeout_ms,
               .partition = {gathering->partition},
               .start_key = gathering->start_key,
               .limit = page_keys};
  ask(now, std::move(scan), [this, gathering](Now then, Response& response) {
    if (response.status != Status::ok) return refuse(gathering->client, response);
    for (auto& row : response.rows) gathering->rows.push_back(std::move(row));
    gathering->start_key = response.next_key.value_or("");
    if (!response.next_key && ++gathering->partition == partitions) return gathering->then(gathering->rows);
    gather_next(then, gathering);
  });
}

void Node::write(Now now, const Client& client, Request request, const char* answer_type) {
  ask(now, std::move(request), [this, client, answer_type](Now, Response& response) {
    if (response.status != Status::ok) return refuse(client, response);
    reply(client, {{"type", answer_type}});
  });
}

// Every message is a key of its own.
bool Node::serve_broadcast(Now now, const Client& client, const Message& message) {
  if (message.type == "topology") {
    // Who gossips with whom is the core's own choice.
    reply(client, {{"type", "topology_ok"}});
    return true;
  }
  if (message.type == "read") {
    gather(now, client, messages_table, [this, client](Rows& rows) {
      Json messages = Json::array();
      for (const auto& [key, object] : rows) messages.push_back(Json::parse(key, nullptr, false));
      reply(client, {{"type", "read_ok"}, {"messages", std::move(messages)}});
    });
    return true;
  }
  if (message.type != "broadcast" || !message.body.contains("message")) return false;
  std::string key = message.body["message"].dump();
  if (key.size() > key_bytes_max) {
    refuse(client, ErrorCode::malformed_request,
           "the message's JSON is longer than " + std::to_string(key_bytes_max) + " bytes");
    return true;
  }
  Request put = here(Operation::put, messages_table, std::move(key));
  put.overwrite = true;
  write(now, client, std::move(put), "broadcast_ok");
  return true;
}

bool Node::serve_set(Now now, const Client& client, const Message& message) {
  if (message.type == "read") {
    gather(now, client, sets_table, [this, client](Rows& rows) {
      Json elements = Json::array();
      for (const auto& [key, object] : rows) {
        for (std::string_view element : members(object))
          elements.push_back(Json::parse(element.begin(), element.end(), nullptr, false));
      }
      reply(client, {{"type", "read_ok"}, {"value", std::move(elements)}});
    });
    return true;
  }
  if (message.type != "add" || !message.body.contains("element")) return false;
  std::string element = message.body["element"].dump();
  if (element.size() > element_bytes_max) {
    refuse(client, ErrorCode::malformed_request,
           "the element's JSON is longer than " + std::to_string(element_bytes_max) + " bytes");
    return true;
  }
  Request add = here(Operation::change, sets_table, std::to_string(hash_bytes(element, 0) % set_parts));
  add.changes = {{ChangeKind::add, std::move(element), {}}};
  write(now, client, std::move(add), "add_ok");
  return true;
}

bool Node::serve_counter(Now now, const Client& client, const Message& message) {
  if (message.type == "read") {
    ask(now, here(Operation::get, counters_table, "sum"), [this, client](Now, Response& response) {
      if (response.status != Status::ok && response.status != Status::not_found)
        return refuse(client, response);
      reply(client, {{"type", "read_ok"}, {"value", counter_value(response.object).integer}});
    });
    return true;
  }
  if (message.type != "add" || !message.body.contains("delta")) return false;
  const Json& delta = message.body["delta"];
  const bool sound = delta.is_number_integer() && delta >= -delta_max && delta <= delta_max &&
                     (options_.workload == Workload::pn_counter || delta >= 0);
  if (!sound) {
    refuse(client, ErrorCode::malformed_request,
           "'delta' is a whole number up to 2^53, and not negative in g-counter");
    return true;
  }
  Request add = here(Operation::change, counters_table, "sum");
  add.changes = {{ChangeKind::increment, {}, std::to_string(delta.get<int64_t>())}};
  write(now, client, std::move(add), "add_ok");
  return true;
}

}  // namespace covey::maelstrom
