#include "client/client.h"

#include <algorithm>
#include <initializer_list>

#include "client/answers.h"
#include "client/encoding.h"
#include "client/http.h"

namespace covey::client {
namespace {

// A request's path and query.
class Target {
 public:
  Target(std::initializer_list<std::string_view> segments) : text_("/v1") {
    for (const std::string_view segment : segments) text_ += "/" + percent_encode(segment);
  }
  Target& add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_ += first_ ? '?' : '&';
    first_ = false;
    text_ += std::string(name) + "=" + percent_encode(value);
    return *this;
  }
  template <class Options>
  Target& add_common(std::string_view level_name, const Options& options) {
    add(level_name, options.level);
    if (options.sloppy) add("sloppy", *options.sloppy ? "true" : "false");
    if (options.timeout) add("timeout_ms", std::to_string(options.timeout->count()));
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool first_ = true;
};

enum class Effect { read, write };  // whether repeating the request can do harm

constexpr Milliseconds grace{1000};  // for the node's own timeout answer to arrive

HttpRequest get_request(const Target& target) { return {.method = "GET", .target = target.text()}; }

void add_write_headers(HttpRequest& request, const WriteOptions& options) {
  if (!options.context.empty()) request.headers.emplace_back("Covey-Context", options.context);
  if (options.only_if_absent) request.headers.emplace_back("If-None-Match", "*");
  if (!options.only_if_dot.empty())
    request.headers.emplace_back("If-Match", "\"" + options.only_if_dot + "\"");
}

}  // namespace

class Client::State {
 public:
  explicit State(ClientOptions options) : options_(std::move(options)) {}

  std::optional<Error> add(const std::string& endpoint) {
    auto parsed = parse_endpoint(endpoint);
    if (!parsed) return Error{.kind = Error::Kind::refused, .message = parsed.error()};
    connections_.emplace_back(std::move(*parsed), options_.connect_timeout);
    return std::nullopt;
  }

  // Tries the endpoints in turn, from the one that answered last, as far as that is safe.
  Result<HttpResponse, Error> call(const HttpRequest& request, Effect effect,
                                   std::optional<Milliseconds> timeout) {
    const Milliseconds limit = timeout ? *timeout + grace : options_.request_timeout;
    std::string failures;
    bool any_sent = false;
    for (size_t tries = 0; tries < connections_.size(); ++tries) {
      auto response = connections_[current_].exchange(request, std::chrono::steady_clock::now() + limit);
      if (response) return *std::move(response);
      failures += (failures.empty() ? "" : "; ") + response.error().message;
      any_sent = any_sent || response.error().sent;
      current_ = (current_ + 1) % connections_.size();
      if (response.error().sent && effect == Effect::write) {
        return Error{.kind = Error::Kind::timed_out,
                     .message = failures + "; the write may or may not take effect",
                     .outcome_unknown = true};
      }
    }
    return Error{.kind = any_sent ? Error::Kind::timed_out : Error::Kind::unreachable, .message = failures};
  }

  const std::string& endpoint() const { return connections_[current_].endpoint().text; }

 private:
  ClientOptions options_;
  std::vector<HttpConnection> connections_;
  size_t current_ = 0;
};

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Client, Error> Client::open(ClientOptions options) {
  const std::vector<std::string> endpoints = options.endpoints;
  if (endpoints.empty()) return Error{.kind = Error::Kind::refused, .message = "no endpoint was given"};
  auto state = std::make_unique<State>(std::move(options));
  for (const std::string& endpoint : endpoints) {
    if (auto error = state->add(endpoint)) return *error;
  }
  return Client(std::move(state));
}

Result<Reading, Error> Client::get(std::string_view table, std::string_view key, const ReadOptions& options) {
  const auto request = get_request(Target{"kv", table, key}.add_common("r", options));
  auto response = state_->call(request, Effect::read, options.timeout);
  if (!response) return response.error();
  return reading_from(*response);
}

Result<Reading, Error> Client::read_all(std::string_view table, std::string_view key,
                                        const ReadOptions& options) {
  auto request = get_request(Target{"kv", table, key}.add_common("r", options));
  request.headers.emplace_back("Accept", "application/vnd.covey+json");
  auto response = state_->call(request, Effect::read, options.timeout);
  if (!response) return response.error();
  return reading_from(*response);
}

Result<Written, Error> Client::put(std::string_view table, std::string_view key, std::string_view value,
                                   const WriteOptions& options) {
  Target target{"kv", table, key};
  target.add_common("w", options);
  if (options.ttl) target.add("ttl_ms", std::to_string(options.ttl->count()));
  HttpRequest request{.method = "PUT", .target = target.text(), .body = std::string(value)};
  request.headers.emplace_back(
      "Content-Type", options.content_type.empty() ? guess_content_type(value) : options.content_type);
  add_write_headers(request, options);
  auto response = state_->call(request, Effect::write, options.timeout);
  if (!response) return response.error();
  return written_from(*response);
}

Result<Written, Error> Client::del(std::string_view table, std::string_view key,
                                   const WriteOptions& options) {
  HttpRequest request{.method = "DELETE", .target = Target{"kv", table, key}.add_common("w", options).text()};
  add_write_headers(request, options);
  auto response = state_->call(request, Effect::write, options.timeout);
  if (!response) return response.error();
  return written_from(*response);
}

Result<Changed, Error> Client::change(std::string_view table, std::string_view key, std::string body,
                                      const WriteOptions& options, bool has_token) {
  Target target{"kv", table, key};
  target.add_common("w", options);
  if (options.ttl) target.add("ttl_ms", std::to_string(options.ttl->count()));
  HttpRequest request{.method = "POST", .target = target.text(), .body = std::move(body)};
  request.headers.emplace_back("Content-Type", "application/json");
  auto response = state_->call(request, has_token ? Effect::read : Effect::write, options.timeout);
  if (!response) return response.error();
  return changed_from(*response);
}

Result<std::vector<BatchOutcome>, Error> Client::batch(std::string_view table,
                                                       const std::vector<BatchOperation>& operations,
                                                       const WriteOptions& options) {
  if (operations.empty()) return std::vector<BatchOutcome>{};
  const bool only_gets = std::all_of(
      operations.begin(), operations.end(),
      [](const BatchOperation& operation) { return operation.kind == BatchOperation::Kind::get; });
  HttpRequest request{.method = "POST",
                      .target = Target{"kv", table}.add_common(only_gets ? "r" : "w", options).text()};
  request.headers.emplace_back("Content-Type", "application/x-ndjson");
  for (const BatchOperation& operation : operations) request.body += batch_line(operation) + "\n";
  auto response = state_->call(request, only_gets ? Effect::read : Effect::write, options.timeout);
  if (!response) return response.error();
  return outcomes_from(*response, operations);
}

Result<ScanPage, Error> Client::scan(std::string_view table, const ScanOptions& options) {
  Target target{"kv", table};
  target.add("prefix", options.prefix).add("start", options.start).add("cursor", options.cursor);
  if (options.limit > 0) target.add("limit", std::to_string(options.limit));
  auto response = state_->call(get_request(target.add_common("r", options)), Effect::read, options.timeout);
  if (!response) return response.error();
  return scan_page_from(*response);
}

Result<Json, Error> Client::cluster() {
  auto response = state_->call(get_request({"cluster"}), Effect::read, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::change_cluster(std::string_view action, const Json& body) {
  HttpRequest request{.method = "POST", .target = Target{"cluster", action}.text(), .body = body.dump()};
  request.headers.emplace_back("Content-Type", "application/json");
  auto response = state_->call(request, Effect::write, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::repair() {
  auto response = state_->call(get_request(Target{"cluster", "repair"}), Effect::read, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::backups() {
  auto response = state_->call(get_request(Target{"backup"}), Effect::read, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::start_backup_job(std::string_view action, const Json& body) {
  HttpRequest request{.method = "POST", .target = Target{"backup", action}.text(), .body = body.dump()};
  request.headers.emplace_back("Content-Type", "application/json");
  auto response = state_->call(request, Effect::write, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::explain(std::string_view table, std::string_view key, std::string_view read_level,
                                    std::string_view write_level) {
  Target target{"explain", table, key};
  target.add("r", read_level).add("w", write_level);
  auto response = state_->call(get_request(target), Effect::read, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::tables() {
  auto response = state_->call(get_request({"tables"}), Effect::read, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::table(std::string_view name) {
  auto response = state_->call(get_request({"tables", name}), Effect::read, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::create_table(std::string_view name, const Json& definition) {
  HttpRequest request{.method = "PUT", .target = Target{"tables", name}.text(), .body = definition.dump()};
  request.headers.emplace_back("Content-Type", "application/json");
  auto response = state_->call(request, Effect::write, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::aggregate(const Json& body, std::optional<Milliseconds> timeout) {
  Json asked = body;
  if (timeout && !asked.contains("timeout_ms")) asked["timeout_ms"] = timeout->count();
  HttpRequest request{.method = "POST", .target = "/v1/aggregate", .body = asked.dump()};
  request.headers.emplace_back("Content-Type", "application/json");
  auto response = state_->call(request, Effect::read, timeout);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Json, Error> Client::drop_table(std::string_view name) {
  const HttpRequest request{.method = "DELETE", .target = Target{"tables", name}.text()};
  auto response = state_->call(request, Effect::write, std::nullopt);
  if (!response) return response.error();
  return json_from(*response);
}

Result<Health, Error> Client::live() {
  auto response = state_->call(get_request({"health", "live"}), Effect::read, std::nullopt);
  if (!response) return response.error();
  return health_from(*response);
}

Result<Health, Error> Client::ready() {
  auto response = state_->call(get_request({"health", "ready"}), Effect::read, std::nullopt);
  if (!response) return response.error();
  return health_from(*response);
}

const std::string& Client::endpoint() const { return state_->endpoint(); }

}  // namespace covey::client
