#include "server/resp_value.h"

#include <algorithm>

namespace covey::server {

std::optional<std::string> seen_string(const Response& read) {
  switch (type_of(read.object)) {
    case Type::value:
      return newest(read.object)->value;
    case Type::counter:
      return text_of(counter_value(read.object));
    default:
      return std::nullopt;
  }
}

uint64_t seen_expiry(const Response& read) {
  const Type type = type_of(read.object);
  if (type == Type::none) return 0;
  if (type == Type::value) return newest(read.object)->expires_ms;
  // The key is gone when the last of it is.
  uint64_t last = 0;
  for (const Version& version : read.object.versions) {
    if (version.expires_ms == 0) return 0;
    last = std::max(last, version.expires_ms);
  }
  return last;
}

KeyChange expiring(const Response& read, uint64_t expires_ms) {
  if (type_of(read.object) != Type::value)
    return KeyChange::apply({{ChangeKind::expire, {}, {}}}, expires_ms);
  const Version& version = *newest(read.object);
  KeyChange change = KeyChange::put(version.value, expires_ms);
  change.content_type = version.content_type;
  return change;
}

std::string_view redis_name(Type type) { return is_string(type) ? "string" : text_of(type); }

}  // namespace covey::server
