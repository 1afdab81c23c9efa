// Broadcast, sets and counters: every node answers by itself, and gossip brings all nodes to the same.
#include <limits>
#include <utility>

#include "tests/maelstrom/node.h"

namespace covey::maelstrom {
namespace {

constexpr const char* members_table = "members";
constexpr const char* totals_table = "totals";
constexpr uint32_t page_keys = 1'000;
constexpr uint32_t local_timeout_ms = 900;
constexpr int64_t delta_max = int64_t{1} << 53;  // what every JSON reader takes as a whole number

Request write_here(std::string table, std::string key, std::string value) {
  return {.operation = Operation::put,
          .table = std::move(table),
          .key = std::move(key),
          .level = {Level::Kind::one},
          .timeout_ms = local_timeout_ms,
          .overwrite = true,
          .value = std::move(value)};
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

void Node::add_member(Now now, const Client& client, const Json& element, const char* answer_type) {
  std::string key = element.dump();
  if (key.size() > key_bytes_max) {
    refuse(client, ErrorCode::malformed_request,
           "the element's JSON is longer than " + std::to_string(key_bytes_max) + " bytes");
    return;
  }
  ask(now, write_here(members_table, std::move(key), ""),
      [this, client, answer_type](Now, Response& response) {
        if (response.status != Status::ok) return refuse(client, response);
        reply(client, {{"type", answer_type}});
      });
}

void Node::read_members(Now now, const Client& client, const char* answer_field) {
  gather(now, client, members_table, [this, client, answer_field](Rows& rows) {
    Json elements = Json::array();
    for (const auto& [key, object] : rows) elements.push_back(Json::parse(key, nullptr, false));
    reply(client, {{"type", "read_ok"}, {answer_field, std::move(elements)}});
  });
}

bool Node::serve_broadcast(Now now, const Client& client, const Message& message) {
  if (message.type == "topology") {
    // Who gossips with whom is the core's own choice.
    reply(client, {{"type", "topology_ok"}});
    return true;
  }
  if (message.type == "read") {
    read_members(now, client, "messages");
    return true;
  }
  if (message.type != "broadcast" || !message.body.contains("message")) return false;
  add_member(now, client, message.body["message"], "broadcast_ok");
  return true;
}

bool Node::serve_set(Now now, const Client& client, const Message& message) {
  if (message.type == "read") {
    read_members(now, client, "value");
    return true;
  }
  if (message.type != "add" || !message.body.contains("element")) return false;
  add_member(now, client, message.body["element"], "add_ok");
  return true;
}

// What each process of a node has added in all stands under a key that only it writes.
bool Node::serve_counter(Now now, const Client& client, const Message& message) {
  if (message.type == "read") {
    gather(now, client, totals_table, [this, client](Rows& rows) {
      uint64_t sum = 0;
      for (const auto& [key, object] : rows) sum += std::stoull(newest(object)->value);
      reply(client, {{"type", "read_ok"}, {"value", static_cast<int64_t>(sum)}});
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
  const auto added = static_cast<uint64_t>(delta.get<int64_t>());
  own_total_ += added;
  std::string key = name_ + "/" + std::to_string(options_.incarnation);
  ask(now, write_here(totals_table, std::move(key), std::to_string(own_total_)),
      [this, client, added](Now, Response& response) {
        if (response.status == Status::ok) return reply(client, {{"type", "add_ok"}});
        own_total_ -= added;
        refuse(client, response);
      });
  return true;
}

}  // namespace covey::maelstrom
