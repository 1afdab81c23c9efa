#include "server/http_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <optional>

namespace covey::server {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

std::string_view view(string_view text) { return {text.data(), text.size()}; }

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::get;
    case http::verb::head:
      return Method::head;
    case http::verb::put:
      return Method::put;
    case http::verb::post:
      return Method::post;
    case http::verb::delete_:
      return Method::erase;
    default:
      return Method::other;
  }
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return boost::beast::iequals(string_view(a.data(), a.size()), string_view(b.data(), b.size()));
}

}  // namespace

// Beast's callbacks, straight into an HttpRequest. Outside the unnamed namespace, as what a class of the
// header holds.
class BeastParser final : public http::basic_parser<true> {
 public:
  BeastParser(HttpRequest& request, const HttpLimits& limits) : request_(request), limits_(limits) {
    header_limit(static_cast<uint32_t>(limits.header_bytes));
    body_limit(boost::none);  // enforced here, by the kind of request
  }
  // What the header asks for and is not done here. Known once the header is complete.
  const std::optional<ErrorAnswer>& refused() const { return refused_; }
  size_t limit() const { return limit_; }

 private:
  void on_request_impl(http::verb verb, string_view method, string_view target, int version,
                       error_code&) override {
    request_.http_1_1 = version >= 11;
    request_.method = method_of(verb);
    request_.method_text.assign(method.data(), method.size());
    request_.target.assign(target.data(), target.size());
    limit_ = request_.method == Method::post ? limits_.batch_bytes : limits_.value_bytes;
  }
  void on_response_impl(int, string_view, int, error_code&) override {}

  void on_field_impl(http::field field, string_view name, string_view value, error_code&) override {
    if (header_seen_) return;  // a trailer can't change the request
    switch (field) {
      case http::field::host:
        if (has_host_) refuse(bad_request("The header Host stands there twice: send it once."));
        has_host_ = true;
        return;
      case http::field::content_type:
        return take_once("Content-Type", value, has_content_type_, request_.content_type);
      case http::field::accept:
        request_.accept.assign(value.data(), value.size());
        return;
      case http::field::if_match:
        return take_once("If-Match", value, has_if_match_, request_.if_match);
      case http::field::if_none_match:
        return take_once("If-None-Match", value, has_if_none_match_, request_.if_none_match);
      case http::field::expect:
        request_.expects_continue = equal_ignoring_case(view(value), "100-continue");
        if (!request_.expects_continue)
          refuse({417, "bad_request", "The only expectation understood is 100-continue.", {}});
        return;
      case http::field::transfer_encoding:
        if (!equal_ignoring_case(view(value), "chunked"))
          refuse({501, "bad_request", "The only Transfer-Encoding understood is chunked: send that.", {}});
        return;
      case http::field::content_encoding:
        if (!equal_ignoring_case(view(value), "identity")) {
          refuse({415,
                  "bad_request",
                  "A Content-Encoding is not kept with the value: send the body without, or name its form in "
                  "the Content-Type.",
                  {}});
        }
        return;
      case http::field::content_range:
        refuse(bad_request("A part of a value can't be written: send the whole without Content-Range."));
        return;
      case http::field::unknown:
        if (equal_ignoring_case(view(name), "covey-context")) {
          take_once("Covey-Context", value, request_.has_context, request_.context);
        }
        return;
      default:
        return;
    }
  }

  void on_header_impl(error_code& ec) override {
    header_seen_ = true;
    if (request_.http_1_1 && !has_host_)
      refuse(bad_request("An HTTP/1.1 request must have a Host header: send one."));
    request_.keep_alive = keep_alive();
    auto length = content_length();
    if (length && *length > limit_) {
      ec = http::error::body_limit;
    } else if (length) {
      request_.body.reserve(static_cast<size_t>(std::min<uint64_t>(*length, 1024 * 1024)));
    }
  }
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view body, error_code& ec) override { return append(body, ec); }
  void on_chunk_header_impl(uint64_t size, string_view, error_code& ec) override {
    if (size > limit_) ec = http::error::body_limit;
  }
  size_t on_chunk_body_impl(uint64_t, string_view body, error_code& ec) override { return append(body, ec); }
  void on_finish_impl(error_code&) override {}

  void refuse(ErrorAnswer error) {
    if (!refused_) refused_ = std::move(error);
  }

  // Of two values nobody can tell which one was meant.
  void take_once(const char* name, string_view value, bool& has, std::string& out) {
    if (has) refuse(bad_request(std::string("The header ") + name + " stands there twice: send it once."));
    has = true;
    out.assign(value.data(), value.size());
  }

  size_t append(string_view body, error_code& ec) {
    if (request_.body.size() + body.size() > limit_) {
      ec = http::error::body_limit;
      return 0;
    }
    request_.body.append(body.data(), body.size());
    return body.size();
  }

  HttpRequest& request_;
  const HttpLimits& limits_;
  size_t limit_ = 0;
  bool header_seen_ = false;
  bool has_host_ = false;
  bool has_content_type_ = false;
  bool has_if_match_ = false;
  bool has_if_none_match_ = false;
  std::optional<ErrorAnswer> refused_;
};

namespace {

ErrorAnswer error_for(const error_code& code, const HttpLimits& limits, size_t body_limit) {
  if (code == http::error::header_limit) {
    return too_large("The request line and headers are over the limit of " +
                     std::to_string(limits.header_bytes) + " bytes: send a shorter key or fewer headers.");
  }
  if (code == http::error::body_limit) {
    return too_large("The body is over the limit of " + std::to_string(body_limit) + " bytes: send less.");
  }
  if (code == http::error::bad_version) {
    return {505, "bad_request", "Only HTTP/1.0 and HTTP/1.1 are spoken here.", {}};
  }
  return bad_request("This is not a well-formed HTTP/1.1 request (" + code.message() + ").");
}

constexpr size_t kept_body_bytes_max = 64 * 1024;  // a larger body's memory goes back at once

}  // namespace

class HttpParser::Machine {
 public:
  std::optional<BeastParser> parser;
  bool header_told = false;
};

void HttpRequest::clear() {
  method = Method::other;
  method_text.clear();
  target.clear();
  content_type.clear();
  accept.clear();
  context.clear();
  if_match.clear();
  if_none_match.clear();
  body.clear();
  if (body.capacity() > kept_body_bytes_max) body.shrink_to_fit();
  has_context = false;
  expects_continue = false;
  keep_alive = true;
  http_1_1 = true;
}

HttpParser::HttpParser(const HttpLimits& limits) : limits_(limits), machine_(std::make_unique<Machine>()) {
  next();
}
HttpParser::~HttpParser() = default;

void HttpParser::next() {
  request_.clear();
  machine_->parser.emplace(request_, limits_);
  machine_->header_told = false;
}

bool HttpParser::in_header() const {
  return machine_->parser->got_some() && !machine_->parser->is_header_done();
}

HttpParser::Event HttpParser::parse(std::string_view& bytes) {
  BeastParser& parser = *machine_->parser;
  // Some clients end a body with a line end that does not belong to it (RFC 9112, 2.2).
  while (!parser.got_some() && bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  bool cut = !parser.got_some() && (bytes.empty() || bytes == "\r");
  if (cut) return Event::need_more;
  while (!parser.is_done()) {
    error_code code;
    size_t taken = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), code);
    bytes.remove_prefix(taken);
    // Also what stands between chunks, or after the last one, must end within the limit.
    if (code == http::error::need_more && bytes.size() >= limits_.header_bytes)
      code = http::error::header_limit;
    if (code == http::error::need_more) return Event::need_more;
    if (code) {
      error_ = error_for(code, limits_, parser.limit());
      return Event::failed;
    }
    if (parser.is_header_done() && !machine_->header_told) {
      machine_->header_told = true;
      if (parser.refused()) {
        error_ = *parser.refused();
        return Event::failed;
      }
      if (request_.expects_continue && !parser.is_done() && bytes.empty()) return Event::header;
    }
    if (bytes.empty() && !parser.is_done()) return Event::need_more;
  }
  return Event::complete;
}

}  // namespace covey::server
