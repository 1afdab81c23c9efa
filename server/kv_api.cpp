#include "server/kv_api.h"

#include "replication/base64.h"
#include "replication/context_token.h"
#include "server/change_body.h"
#include "server/json_text.h"
#include "server/text.h"
#include "server/typed_answer.h"
#include "server/typed_columns.h"

namespace covey::server {
namespace {

constexpr std::string_view document_type = "application/vnd.covey+json";
constexpr size_t content_type_bytes_max = 256;

std::optional<ErrorAnswer> fill_conditions(const HttpRequest& http, ShardLoop& shard, Request& request) {
  if (!http.if_none_match.empty()) {
    if (http.if_none_match != "*")
      return bad_request("If-None-Match must be *: it means that nothing is stored yet.");
    request.if_absent = true;
  }
  if (http.if_match.empty()) return std::nullopt;
  std::string_view dot = http.if_match;
  if (dot.size() >= 2 && dot.front() == '"' && dot.back() == '"') dot = dot.substr(1, dot.size() - 2);
  request.if_match = shard.core().parse_dot(dot);
  if (!request.if_match) {
    return bad_request("If-Match must be the dot of one stored value in quotes, like \"n1.7f3a:42\".");
  }
  // Whoever names the version that must be there has seen it, and means to replace it.
  if (!request.context) request.context = Context{*request.if_match};
  return std::nullopt;
}

std::optional<ErrorAnswer> fill_write(const HttpRequest& http, ShardLoop& shard, Request& request) {
  if (http.has_context) {
    request.context = open_context(shard.node().token, request.table, request.key, http.context);
    if (!request.context) {
      return bad_request(
          "The Covey-Context is not one that this cluster gave out for this key: read the key and send what "
          "you get.");
    }
  }
  return fill_conditions(http, shard, request);
}

std::optional<ErrorAnswer> fill_change(const HttpRequest& http, const TableDefinition& table,
                                       const CallOptions& options, Request& request) {
  if (http.has_context) {
    return bad_request(
        "A change covers what the coordinating replica holds of it: send it without Covey-Context.");
  }
  auto changes = parse_change(http.body, options.ttl_ms);
  if (!changes) return changes.error();
  if (auto wrong = check_columns(table, *changes)) return bad_column(*wrong);
  request.changes = std::move(*changes);
  if (options.ttl_ms != 0) request.expires_ms = now().wall_ms + options.ttl_ms;
  return std::nullopt;
}

void append_context_headers(std::string& out, std::string_view context, const Response& response) {
  out.append("Covey-Context: ").append(context).append("\r\n");
  if (response.owners == 0) return;
  out.append("Covey-Replicas: ");
  append_number(out, response.received);
  out.push_back('/');
  append_number(out, response.owners);
  out.append("\r\n");
}

void append_expiry(std::string& out, const Version& version) {
  if (version.expires_ms != 0)
    out.append(",\"expires\":\"").append(iso_time(version.expires_ms)).append("\"");
}

void append_sibling(std::string& out, ShardLoop& shard, const Version& version) {
  out.push_back('{');
  append_value(out, version, {});
  out.append(",\"dot\":");
  append_json_string(out, shard.core().dot_text(version.dot));
  out.append(",\"time\":\"").append(iso_time(version.time.ms())).append("\",\"content_type\":");
  append_json_string(out, version.content_type.empty() ? "application/octet-stream" : version.content_type);
  append_expiry(out, version);
  out.push_back('}');
}

// Registers one by one, and what each other type comes to.
void append_siblings(std::string& out, ShardLoop& shard, const Object& live) {
  const size_t begin = out.size();
  for (Type type : types_in(live)) {
    const Version& latest = newest_of(live, type);
    out.append(out.size() == begin ? "" : ",")
        .append("{\"type\":\"")
        .append(text_of(type))
        .append("\",\"value\":");
    append_typed(out, live, type);
    out.append(",\"time\":\"").append(iso_time(latest.time.ms())).append("\"");
    append_expiry(out, latest);
    out.push_back('}');
  }
  for (const Version* version : registers_of(live, type_of(live))) {
    if (out.size() != begin) out.push_back(',');
    append_sibling(out, shard, *version);
  }
}

std::string siblings_document(ShardLoop& shard, const Response& response, std::string_view context,
                              bool replicas) {
  std::string body = "{\"siblings\":[";
  append_siblings(body, shard, response.object);
  body.append("],\"context\":");
  append_json_string(body, context);
  if (replicas) {
    body.append(",\"replicas\":{\"owners\":");
    append_number(body, response.owners);
    body.append(",\"asked\":");
    append_number(body, response.asked);
    body.append(",\"answered\":");
    append_number(body, response.received);
    body.append(",\"behind\":");
    append_number(body, response.behind);
    body.push_back('}');
  }
  body.append("}\n");
  return body;
}

void reply_to_read(HttpConnection& connection, uint64_t slot, const KeyCall& call, const Response& response) {
  ShardLoop& shard = connection.shard();
  const auto& versions = response.object.versions;
  std::string context = seal_context(shard.node().token, call.table, call.key, response.context,
                                     [&] { return dots_of(response.object); });
  std::string headers;
  append_context_headers(headers, context, response);
  const Type type = type_of(response.object);
  const auto registers = registers_of(response.object, type);
  if (type != Type::none) headers.append("Covey-Type: ").append(text_of(type)).append("\r\n");
  if (siblings_of(response.object) > 1) ++shard.metrics().reads_with_siblings;
  if (call.as_document) {
    std::string body = siblings_document(shard, response, context, true);
    return connection.reply(slot, ReplyHead{versions.empty() ? 404 : 200, document_type, headers}, body);
  }
  if (versions.empty()) {
    return connection.reply(slot, not_found("Nothing is stored under this key: write it first."), headers);
  }
  if (type != Type::value) {
    std::string body;
    append_typed(body, response.object, type);
    return connection.reply(slot, ReplyHead{200, "application/json", headers}, body);
  }
  if (registers.size() > 1) {
    return connection.reply(slot, ReplyHead{300, "application/json", headers},
                            siblings_document(shard, response, context, false));
  }
  const Version& value = *registers.front();
  headers.append("ETag: \"").append(shard.core().dot_text(value.dot)).append("\"\r\n");
  std::string_view content_type = value.content_type;
  if (content_type.empty()) content_type = "application/octet-stream";
  connection.reply(slot, ReplyHead{200, content_type, headers}, value.value);
}

void reply_to_write(HttpConnection& connection, uint64_t slot, const KeyCall& call,
                    const Response& response) {
  ShardLoop& shard = connection.shard();
  std::string context = seal_context(shard.node().token, call.table, call.key, response.context,
                                     [&] { return DotSet{response.dot}; });
  std::string headers;
  append_context_headers(headers, context, response);
  std::string body = "{\"dot\":";
  append_json_string(body, shard.core().dot_text(response.dot));
  body.append(",\"acks\":{\"needed\":");
  append_number(body, response.needed);
  body.append(",\"received\":");
  append_number(body, response.received);
  body.append("},\"siblings\":");
  append_number(body, response.siblings);
  if (call.operation == Operation::change) append_changed(body, response.changed);
  body.append(",\"context\":");
  append_json_string(body, context);
  body.append("}\n");
  connection.reply(slot, ReplyHead{200, "application/json", headers}, body);
}

bool is_header_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

}  // namespace

bool is_json_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type == "application/json" || type.ends_with("+json");
}

void append_value(std::string& out, const Version& version, ValueNames names) {
  if (is_json_type(version.content_type)) {
    std::string json = minified_json(version.value);
    if (!json.empty()) {
      out.append("\"value\":").append(json);
      return;
    }
  }
  if (is_utf8(version.value)) {
    out.append("\"value\":");
    append_json_string(out, version.value);
    return;
  }
  out.append(names.separate_base64 ? "\"value_base64\":\"" : "\"value\":\"")
      .append(base64_encode(version.value));
  out.append(names.separate_base64 ? "\"" : "\",\"base64\":true");
}

void append_changed(std::string& out, const Changed& changed) {
  if (!changed.value.empty()) out.append(",\"value\":").append(changed.value);
  if (changed.repeated) out.append(",\"repeated\":true");
  out.append(",\"added\":");
  append_number(out, changed.added);
  out.append(",\"removed\":");
  append_number(out, changed.removed);
}

int status_of_read(const Object& live) {
  const Type type = type_of(live);
  if (type == Type::none) return 404;
  return type == Type::value && registers_of(live, type).size() > 1 ? 300 : 200;
}

void append_versions(std::string& out, ShardLoop& shard, const Object& object) {
  const Type type = type_of(object);
  if (type != Type::value) {
    out.append(",\"type\":\"").append(text_of(type)).append("\",\"value\":");
    append_typed(out, object, type);
    return;
  }
  const auto registers = registers_of(object, type);
  if (registers.size() == 1) {
    const Version& version = *registers.front();
    out.push_back(',');
    append_value(out, version, {.separate_base64 = true});
    out.append(",\"content_type\":");
    append_json_string(out, version.content_type.empty() ? "application/octet-stream" : version.content_type);
    out.append(",\"dot\":");
    append_json_string(out, shard.core().dot_text(version.dot));
    return;
  }
  out.append(",\"siblings\":[");
  append_siblings(out, shard, object);
  out.push_back(']');
}

void start_key_call(std::shared_ptr<HttpConnection> connection, uint64_t slot, HttpRequest& http,
                    TableKey key, const CallOptions& options) {
  ShardLoop& shard = connection->shard();
  const TableDefinition* table = shard.table(key.table);
  Request request;
  ReadRow row;
  request.operation = http.method == Method::put     ? Operation::put
                      : http.method == Method::erase ? Operation::erase
                      : http.method == Method::post  ? Operation::change
                                                     : Operation::get;
  bool reading = request.operation == Operation::get;
  request.table = key.table;
  request.key = key.key;
  request.level = reading ? options.read : options.write;
  request.sloppy = options.sloppy;
  request.timeout_ms = options.timeout_ms;
  request.conflicts = table->conflicts;
  MeteredOperation metered = reading                                  ? MeteredOperation::get
                             : request.operation == Operation::put    ? MeteredOperation::put
                             : request.operation == Operation::change ? MeteredOperation::change
                                                                      : MeteredOperation::erase;
  connection->meter(slot, metered, request.level);
  if (!reading) {
    if (auto error = fill_write(http, shard, request)) return connection->reply(slot, *error);
  }
  if (request.operation == Operation::put) {
    if (http.content_type.size() > content_type_bytes_max || !is_header_text(http.content_type)) {
      return connection->reply(slot,
                               bad_request("The Content-Type must be plain text of at most 256 bytes."));
    }
    if (!table->columns.empty()) {
      if (auto wrong = check_columns(*table, http.body, &row.values))
        return connection->reply(slot, bad_column(*wrong));
      row.name = row_name(table->text, http.body);
    }
    request.value = std::move(http.body);
    request.content_type = http.content_type == "application/octet-stream" ? "" : http.content_type;
    if (options.ttl_ms != 0) request.expires_ms = now().wall_ms + options.ttl_ms;
  }
  if (request.operation == Operation::change) {
    if (auto error = fill_change(http, *table, options, request)) return connection->reply(slot, *error);
  }
  KeyCall& call = *connection->key_call(slot);
  call.operation = request.operation;
  call.level = request.level;
  call.table = std::move(key.table);
  call.key = std::move(key.key);
  call.sloppy = request.sloppy;
  call.timeout_ms = request.timeout_ms;
  call.conflicts = request.conflicts;
  call.as_document = reading && http.accept.find(document_type) != std::string::npos;
  shard.ask(std::move(request), connection, slot, std::move(row));
}

void ask_again(std::shared_ptr<HttpConnection> connection, uint64_t slot, const KeyCall& call) {
  Request request;
  request.operation = call.operation;
  request.table = call.table;
  request.key = call.key;
  request.level = call.level;
  request.sloppy = call.sloppy;
  request.timeout_ms = call.timeout_ms;
  request.conflicts = call.conflicts;
  ShardLoop& shard = connection->shard();
  shard.ask(std::move(request), std::move(connection), slot);
}

void reply_to_key_call(HttpConnection& connection, uint64_t slot, const KeyCall& call,
                       const Response& response) {
  bool reading = call.operation == Operation::get;
  if (reading && (response.status == Status::ok || response.status == Status::not_found)) {
    return reply_to_read(connection, slot, call, response);
  }
  if (response.status == Status::ok) return reply_to_write(connection, slot, call, response);
  connection.reply(slot, error_of(response, call.operation));
}

}  // namespace covey::server
