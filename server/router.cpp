#include "server/router.h"

#include "server/aggregate_call.h"
#include "server/backup_api.h"
#include "server/batch_api.h"
#include "server/call_options.h"
#include "server/cluster_api.h"
#include "server/kv_api.h"
#include "server/repair_api.h"
#include "server/scan_api.h"
#include "server/status_api.h"
#include "server/tables_api.h"
#include "server/text.h"

namespace covey::server {
namespace {

struct Call {
  std::shared_ptr<HttpConnection> connection;
  uint64_t slot;
  HttpRequest& request;
  std::string_view path;  // behind what was matched
  CallOptions options;
};

bool reads(const HttpRequest& request) {
  return request.method == Method::get || request.method == Method::head;
}

bool starts(std::string_view& path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return false;
  path.remove_prefix(prefix.size());
  return true;
}

// "http://host:port/path" is as good as "/path" (RFC 9112, 3.2.2).
std::string_view origin_form(std::string_view target) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    size_t path = target.find_first_of("/?", scheme.size());
    return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
  }
  return target;
}

void wrong_method(Call& call, std::string_view allowed) {
  call.connection->reply(call.slot, method_not_allowed(call.request.method_text, allowed),
                         "Allow: " + std::string(allowed) + "\r\n");
}

// /v1/kv/{table} and /v1/kv/{table}/{key}
void route_kv(Call& call) {
  size_t slash = call.path.find('/');
  auto table = percent_decode(call.path.substr(0, slash));
  const TableDefinition* known = table ? call.connection->shard().table(*table) : nullptr;
  bool whole_table = slash == std::string_view::npos;
  bool method_fits = whole_table ? reads(call.request) || call.request.method == Method::post
                                 : call.request.method != Method::other;
  if (!method_fits)
    return wrong_method(call, whole_table ? "GET, HEAD, POST" : "GET, HEAD, PUT, POST, DELETE");
  if (known == nullptr) return call.connection->reply(call.slot, no_such_table(table ? *table : "?"));
  if (whole_table && call.request.method == Method::post) {
    return start_batch(call.connection, call.slot, call.request, *table, call.options);
  }
  if (whole_table) return start_scan(call.connection, call.slot, *table, call.options);
  auto key = parse_key(call.path.substr(slash + 1));
  if (!key) return call.connection->reply(call.slot, key.error());
  start_key_call(call.connection, call.slot, call.request, {*table, std::move(*key)}, call.options);
}

void route_tables(Call& call) {
  if (call.path.empty()) {
    if (!reads(call.request)) return wrong_method(call, "GET, HEAD");
    return list_tables(call.connection, call.slot);
  }
  auto name = percent_decode(call.path.substr(1));
  if (!name || !is_table_name(*name)) {
    return call.connection->reply(call.slot,
                                  bad_request(std::string("The table's name ") + table_name_form + "."));
  }
  if (reads(call.request)) return show_table(call.connection, call.slot, *name);
  if (call.request.method == Method::put)
    return make_table(call.connection, call.slot, *name, call.request.body);
  if (call.request.method == Method::erase) return drop_table(call.connection, call.slot, *name);
  wrong_method(call, "GET, HEAD, PUT, DELETE");
}

void route_explain(Call& call) {
  size_t slash = call.path.find('/');
  auto table = percent_decode(call.path.substr(0, slash));
  if (!table || call.connection->shard().table(*table) == nullptr) {
    return call.connection->reply(call.slot, no_such_table(table ? *table : "?"));
  }
  auto key = parse_key(slash == std::string_view::npos ? "" : call.path.substr(slash + 1));
  if (!key) return call.connection->reply(call.slot, key.error());
  explain_key(call.connection, call.slot, {*table, std::move(*key)}, call.options);
}

}  // namespace

void route_request(std::shared_ptr<HttpConnection> connection, uint64_t slot, HttpRequest& request) {
  std::string_view target = origin_form(request.target);
  size_t question = target.find('?');
  std::string_view query = question == std::string_view::npos ? "" : target.substr(question + 1);
  Call call{connection, slot, request, target.substr(0, question), {}};
  auto options = parse_options(connection->shard().node().config, query);
  if (!options) return connection->reply(slot, options.error());
  call.options = std::move(*options);

  if (starts(call.path, "/v1/kv/")) return route_kv(call);
  if (starts(call.path, "/v1/tables") && (call.path.empty() || call.path.front() == '/'))
    return route_tables(call);
  call.path = target.substr(0, question);
  if (call.path == "/v1/aggregate") {
    if (request.method != Method::post) return wrong_method(call, "POST");
    return start_aggregate(connection, slot, request.body);
  }
  if (call.path == "/v1/cluster/repair") {
    if (reads(request)) return show_repair(connection, slot);
    if (request.method != Method::post) return wrong_method(call, "GET, HEAD, POST");
    return start_repair(connection, slot, request.body);
  }
  if (starts(call.path, "/v1/cluster/") && is_cluster_change(call.path)) {
    if (request.method != Method::post) return wrong_method(call, "POST");
    return change_cluster(connection, slot, call.path, request.body);
  }
  call.path = target.substr(0, question);
  if (starts(call.path, "/v1/backup/") && is_backup_action(call.path)) {
    if (request.method != Method::post) return wrong_method(call, "POST");
    return start_backup_job(connection, slot, call.path, request.body);
  }
  call.path = target.substr(0, question);
  bool explain = starts(call.path, "/v1/explain/");
  using Status = void (*)(std::shared_ptr<HttpConnection>, uint64_t);
  Status status = call.path == "/v1/cluster"        ? show_cluster
                  : call.path == "/v1/backup"       ? show_backups
                  : call.path == "/v1/health/live"  ? show_live
                  : call.path == "/v1/health/ready" ? show_ready
                  : call.path == "/metrics"         ? show_metrics
                                                    : nullptr;
  if (!explain && status == nullptr) {
    return connection->reply(
        slot, not_found("There is nothing at this path: see the HTTP section of the documentation."));
  }
  if (!reads(request)) return wrong_method(call, "GET, HEAD");
  if (explain) return route_explain(call);
  status(connection, slot);
}

}  // namespace covey::server
