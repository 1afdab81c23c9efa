#include "server/typed_answer.h"

#include <algorithm>
#include <utility>

#include "replication/base64.h"
#include "replication/result.h"
#include "server/json_text.h"
#include "server/text.h"

namespace covey::server {
namespace {

void append_bytes(std::string& out, std::string_view bytes) {
  if (is_utf8(bytes)) return append_json_string(out, bytes);
  out.append("{\"base64\":\"").append(base64_encode(bytes)).append("\"}");
}

void append_field_value(std::string& out, std::string_view value) {
  if (!is_json_number(value)) return append_bytes(out, value);
  out.append(value);
}

void append_fields(std::string& out, const Object& live) {
  const auto all = fields(live);
  const bool text =
      std::all_of(all.begin(), all.end(), [](const auto& field) { return is_utf8(field.first); });
  out.push_back(text ? '{' : '[');
  bool first = true;
  for (const auto& [name, value] : all) {
    if (!std::exchange(first, false)) out.push_back(',');
    if (!text) out.push_back('[');
    append_bytes(out, name);
    out.push_back(text ? ':' : ',');
    append_field_value(out, value);
    if (!text) out.push_back(']');
  }
  out.push_back(text ? '}' : ']');
}

Type type_of(VersionKind kind) {
  switch (kind) {
    case VersionKind::value:
      return Type::value;
    case VersionKind::counter:
    case VersionKind::token:
      return Type::counter;
    case VersionKind::member:
      return Type::set;
    case VersionKind::field:
    case VersionKind::field_counter:
      return Type::hash;
    case VersionKind::expiry:
    case VersionKind::count:
      break;
  }
  return Type::none;
}

}  // namespace

void append_typed(std::string& out, const Object& live, Type type) {
  if (type == Type::counter) {
    out.append(covey::text_of(counter_value(live)));
    return;
  }
  if (type == Type::hash) return append_fields(out, live);
  COVEY_ASSERT(type == Type::set);
  out.push_back('[');
  bool first = true;
  for (std::string_view member : members(live)) {
    if (!std::exchange(first, false)) out.push_back(',');
    append_bytes(out, member);
  }
  out.push_back(']');
}

std::vector<Type> types_in(const Object& live) {
  std::vector<Type> out;
  for (Type type : {Type::counter, Type::set, Type::hash}) {
    const bool any = std::any_of(live.versions.begin(), live.versions.end(),
                                 [&](const Version& version) { return type_of(version.kind) == type; });
    if (any) out.push_back(type);
  }
  return out;
}

const Version& newest_of(const Object& live, Type type) {
  const Version* out = nullptr;
  for (const Version& version : live.versions) {
    if (type_of(version.kind) == type && (out == nullptr || older(*out, version))) out = &version;
  }
  COVEY_ASSERT(out != nullptr);
  return *out;
}

std::vector<const Version*> registers_of(const Object& live, Type type) {
  const Version* latest = nullptr;
  std::vector<const Version*> out;
  for (const Version& version : live.versions) {
    if (version.kind != VersionKind::value) continue;
    out.push_back(&version);
    if (latest == nullptr || older(*latest, version)) latest = &version;
  }
  if (type == Type::counter && latest != nullptr && covey::parse_number(latest->value))
    std::erase(out, latest);
  return out;
}

}  // namespace covey::server
