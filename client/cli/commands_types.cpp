// incr, sadd, srem, smembers, hset, hget, hgetall, hdel, hincr.
#include <iostream>

#include "client/cli/commands.h"
#include "client/encoding.h"
#include "replication/base64.h"

namespace covey::cli {
namespace {

using client::Changed;
using client::Reading;

// Bytes as the API takes and gives them within JSON.
std::string json_bytes(const std::string& bytes) {
  if (client::valid_utf8(bytes)) return Json(bytes).dump();
  return R"({"base64":")" + base64_encode(bytes) + R"("})";
}
std::string bytes_from(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object() || !value.contains("base64")) return value.dump();
  return base64_decode(value.at("base64").get<std::string>()).value_or("");
}

std::string json_list(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const std::string& name : names) out += (out.size() > 1 ? "," : "") + json_bytes(name);
  return out + "]";
}

Result<Changed, Error> change(Session& session, client::Client& client, const ChangeOptions& options,
                              const std::string& body, bool has_token = false) {
  return client.change(session.settings().table, options.key, body,
                       {.level = options.level,
                        .sloppy = session.settings().sloppy,
                        .timeout = session.settings().timeout,
                        .ttl = options.ttl},
                       has_token);
}

// `text`: what a person asked to know.
int print_changed(const Session& session, const Changed& changed, const std::string& text) {
  if (!session.settings().json) {
    std::cout << text << "\n";
    return exit_done;
  }
  Json document = {{"dot", changed.dot},
                   {"acks", {{"needed", changed.acks_needed}, {"received", changed.acks_received}}},
                   {"added", changed.added},
                   {"removed", changed.removed}};
  if (changed.repeated) document["repeated"] = true;
  std::string line = document.dump();
  if (!changed.value.empty()) line.insert(line.size() - 1, ",\"value\":" + changed.value);
  std::cout << line << "\n";
  return exit_done;
}

// The key's set or hash as JSON.
Result<Json, int> read(Session& session, const std::string& key, const std::string& level,
                       std::string_view type) {
  client::Client* client = session.client();
  if (!client) return static_cast<int>(exit_usage);
  auto reading = client->get(
      session.settings().table, key,
      {.level = level, .sloppy = session.settings().sloppy, .timeout = session.settings().timeout});
  if (!reading) return session.fail(reading.error());
  if (!reading->found()) return session.fail(exit_not_found, "no such key: " + printable(key));
  if (reading->type != type) {
    return session.fail(exit_failed,
                        printable(key) + " is a " + reading->type + " and no " + std::string(type));
  }
  Json value = Json::parse(reading->versions.front().value, nullptr, false);
  if (value.is_discarded()) return session.fail(exit_failed, "the node's answer is not JSON");
  return value;
}

// Fields as pairs of names and values; where a name is no text, the API gives them so itself.
std::vector<std::pair<std::string, Json>> pairs_of(const Json& hash) {
  std::vector<std::pair<std::string, Json>> out;
  for (const auto& [name, value] : hash.items()) {
    if (hash.is_object()) {
      out.emplace_back(name, value);
    } else {
      out.emplace_back(bytes_from(value.at(0)), value.at(1));
    }
  }
  return out;
}

}  // namespace

int run(Session& session, const IncrementCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  std::string body = R"({"op":)" + std::string(command.field ? R"("hincr","field":)" : R"("incr")");
  if (command.field) body += json_bytes(*command.field);
  body += ",\"by\":" + command.by;
  if (!command.token.empty()) body += ",\"token\":" + json_bytes(command.token);
  auto changed = change(session, *client, command, body + "}", !command.token.empty());
  return changed ? print_changed(session, *changed, changed->value) : session.fail(changed.error());
}

int run(Session& session, const ElementsCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  const std::string member = command.op == "hdel" ? "fields" : "members";
  auto changed =
      change(session, *client, command,
             R"({"op":")" + command.op + R"(",")" + member + R"(":)" + json_list(command.names) + "}");
  if (!changed) return session.fail(changed.error());
  const bool adds = command.op == "sadd";
  return print_changed(
      session, *changed,
      adds ? std::to_string(changed->added) + " added" : std::to_string(changed->removed) + " removed");
}

int run(Session& session, const SetFieldsCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  std::string fields;
  for (size_t i = 0; i + 1 < command.pairs.size(); i += 2) {
    fields +=
        (i == 0 ? "[" : ",[") + json_bytes(command.pairs[i]) + "," + json_bytes(command.pairs[i + 1]) + "]";
  }
  auto changed = change(session, *client, command, R"({"op":"hset","fields":[)" + fields + "]}");
  if (!changed) return session.fail(changed.error());
  return print_changed(session, *changed, std::to_string(changed->added) + " added");
}

int run(Session& session, const MembersCommand& command) {
  auto set = read(session, command.key, command.level, "set");
  if (!set) return set.error();
  if (session.settings().json) {
    print_json(*set);
    return exit_done;
  }
  for (const Json& member : *set) std::cout << printable(bytes_from(member)) << "\n";
  return exit_done;
}

int run(Session& session, const FieldsCommand& command) {
  auto hash = read(session, command.key, command.level, "hash");
  if (!hash) return hash.error();
  if (session.settings().json && !command.field) {
    print_json(*hash);
    return exit_done;
  }
  bool found = !command.field;
  for (const auto& [name, value] : pairs_of(*hash)) {
    if (!command.field) {
      std::cout << printable(name) << "\t" << printable(bytes_from(value)) << "\n";
    } else if (name == *command.field) {
      found = true;
      std::cout << (session.settings().json ? value.dump() : bytes_from(value)) << "\n";
    }
  }
  return found ? exit_done : session.fail(exit_not_found, "no such field: " + printable(*command.field));
}

}  // namespace covey::cli
