#include "server/change_body.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "replication/base64.h"
#include "replication/number.h"
#include "replication/plan.h"
#include "server/json_text.h"

namespace covey::server {
namespace {

namespace dom = simdjson::dom;
using Changes = Result<std::vector<Change>, ErrorAnswer>;

// What an operation needs, and what it may have beside that.
struct Form {
  std::string_view op;
  std::string_view needs;  // one member; empty: none
  std::array<std::string_view, 2> takes;
};
constexpr std::array<Form, 8> forms = {{
    {"incr", "", {"by", "token"}},
    {"sadd", "members", {}},
    {"srem", "members", {}},
    {"hset", "fields", {}},
    {"hdel", "fields", {}},
    {"hincr", "field", {"by"}},
    {"expire", "", {}},
    {"persist", "", {}},
}};
constexpr std::array<std::string_view, 5> member_names = {"by", "token", "members", "fields", "field"};

const Form* form_of(std::string_view op) {
  auto at = std::find_if(forms.begin(), forms.end(), [&](const Form& form) { return form.op == op; });
  return at == forms.end() ? nullptr : &*at;
}

// Text, or {"base64": "..."} for bytes that are none.
std::optional<std::string> bytes_from(const dom::element& value) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return std::string(text);
  dom::object object;
  if (value.get(object) != simdjson::SUCCESS || object.size() != 1) return std::nullopt;
  if (object.at_key("base64").get(text) != simdjson::SUCCESS) return std::nullopt;
  return base64_decode(text);
}

// As bytes_from(); a number as its digits.
std::optional<std::string> field_value_from(const dom::element& value) {
  if (value.is_int64()) return std::to_string(value.get_int64().value());
  if (value.is_uint64()) return std::to_string(value.get_uint64().value());
  if (!value.is_double()) return bytes_from(value);
  std::array<char, 32> digits;
  auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value.get_double().value());
  return std::string(digits.data(), end);
}

Changes named(ChangeKind kind, const dom::element& list, std::string_view member) {
  std::vector<Change> out;
  dom::array array;
  const std::string what =
      "\"" + std::string(member) + "\" must be a list of at least one string, or {\"base64\": \"...\"}.";
  if (list.get(array) != simdjson::SUCCESS || array.size() == 0) return bad_request(what);
  for (const dom::element& value : array) {
    auto name = bytes_from(value);
    if (!name) return bad_request(what);
    out.push_back({kind, std::move(*name), {}});
  }
  return out;
}

// {"name": value, ...}, or where names are no text [[name, value], ...].
Changes fields_from(const dom::element& fields) {
  std::vector<Change> out;
  const ErrorAnswer wrong = bad_request(
      "\"fields\" must be an object of at least one field, {\"name\": value}, or a list of pairs, [[name, "
      "value]]; a value is "
      "a string, a number, or {\"base64\": \"...\"}.");
  dom::object object;
  dom::array array;
  if (fields.get(object) == simdjson::SUCCESS) {
    for (auto [name, value] : object) {
      auto bytes = field_value_from(value);
      if (!bytes) return wrong;
      out.push_back({ChangeKind::set_field, std::string(name), std::move(*bytes)});
    }
  } else if (fields.get(array) == simdjson::SUCCESS) {
    for (const dom::element& pair : array) {
      dom::array two;
      if (pair.get(two) != simdjson::SUCCESS || two.size() != 2) return wrong;
      auto name = bytes_from(two.at(0).value());
      auto bytes = field_value_from(two.at(1).value());
      if (!name || !bytes) return wrong;
      out.push_back({ChangeKind::set_field, std::move(*name), std::move(*bytes)});
    }
  }
  if (out.empty()) return wrong;
  return out;
}

Changes within_limits(Changes changes) {
  if (!changes || sound(*changes)) return changes;
  return too_large("The name of an element or a field has more than " + std::to_string(element_bytes_max) +
                   " bytes: take a shorter one.");
}

}  // namespace

bool is_change(std::string_view op) { return form_of(op) != nullptr; }

std::string_view change_names() { return "incr, sadd, srem, hset, hdel, hincr, expire and persist"; }

bool ChangeMembers::knows(std::string_view name) {
  return std::find(member_names.begin(), member_names.end(), name) != member_names.end();
}

Changes ChangeMembers::changes(std::string_view op, const Source& source) const {
  const Form& form = *form_of(op);
  for (const auto& [name, value] : members_) {
    const bool takes =
        name == form.needs || std::find(form.takes.begin(), form.takes.end(), name) != form.takes.end();
    if (!takes) return bad_request("\"" + std::string(op) + "\" takes no \"" + name + "\": leave it out.");
  }
  auto needed = members_.find(form.needs);
  if (!form.needs.empty() && needed == members_.end())
    return bad_request("\"" + std::string(op) + "\" needs \"" + std::string(form.needs) + "\".");
  if (op == "expire" && source.ttl_ms == 0)
    return bad_request("\"expire\" needs ttl_ms: in how many milliseconds.");
  if (op == "persist" && source.ttl_ms != 0) return bad_request("\"persist\" takes no ttl_ms: leave it out.");
  if (op == "expire" || op == "persist") return std::vector<Change>{{ChangeKind::expire, {}, {}}};
  if (op == "sadd") return within_limits(named(ChangeKind::add, needed->second, form.needs));
  if (op == "srem") return within_limits(named(ChangeKind::remove, needed->second, form.needs));
  if (op == "hdel") return within_limits(named(ChangeKind::remove_field, needed->second, form.needs));
  if (op == "hset" && source.stood_in)
    return bad_request("A number in \"fields\" is beyond 64 bits: send it as a string.");
  if (op == "hset") return within_limits(fields_from(needed->second));

  Change change{ChangeKind::increment, {}, "1"};
  if (auto by = members_.find("by"); by != members_.end()) {
    change.value = raw_member(source.text, "by");
    if (!by->second.is_number() || !covey::parse_number(change.value))
      return bad_request("\"by\" must be a number.");
  }
  const bool whole = !covey::parse_number(change.value)->is_float;
  if (op == "hincr") {
    auto field = bytes_from(needed->second);
    if (!field) return bad_request("\"field\" must be a string, or {\"base64\": \"...\"}.");
    change.kind = whole ? ChangeKind::increment_field : ChangeKind::increment_field_float;
    change.name = std::move(*field);
    return within_limits(std::vector<Change>{std::move(change)});
  }
  change.kind = whole ? ChangeKind::increment : ChangeKind::increment_float;
  if (auto token = members_.find("token"); token != members_.end()) {
    auto bytes = bytes_from(token->second);
    if (!bytes || bytes->empty() || bytes->size() > change_token_bytes_max)
      return bad_request("\"token\" must be a string of 1 to " + std::to_string(change_token_bytes_max) +
                         " bytes.");
    change.name = std::move(*bytes);
  }
  return std::vector<Change>{std::move(change)};
}

Changes parse_change(std::string_view body, uint64_t ttl_ms) {
  thread_local dom::parser parser;
  dom::element document;
  dom::object object;
  bool stood_in = false;
  const std::string form =
      "The body must be a JSON object with an \"op\", such as {\"op\": \"incr\", \"by\": 1}; known are " +
      std::string(change_names()) + ".";
  if (parse_json(parser, body, document, &stood_in) != simdjson::SUCCESS ||
      document.get(object) != simdjson::SUCCESS)
    return bad_request(form);
  ChangeMembers members;
  std::vector<std::string_view> seen;
  std::string_view op;
  for (auto [name, value] : object) {
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return bad_request("A member of the body stands there twice: give each once.");
    seen.push_back(name);
    if (name == "op") {
      if (value.get(op) != simdjson::SUCCESS || !is_change(op)) return bad_request(form);
    } else if (ChangeMembers::knows(name)) {
      members.take(name, value);
    } else {
      return bad_request(
          "The body has a member that is not known; known are op, by, token, members, fields and field.");
    }
  }
  if (op.empty()) return bad_request(form);
  return members.changes(op, {body, ttl_ms, stood_in});
}

}  // namespace covey::server
