#include "replication/typed.h"

#include <algorithm>
#include <set>

namespace covey {
namespace {

bool counts(const Version& version) {
  return version.kind == VersionKind::counter || version.kind == VersionKind::token;
}
bool of_hash(const Version& version) {
  return version.kind == VersionKind::field || version.kind == VersionKind::field_counter;
}

const Version* newer_of(const Version* a, const Version& b) { return a == nullptr || older(*a, b) ? &b : a; }

// A register and what actors have added to it.
struct Combined {
  const Version* newest = nullptr;     // of all
  const Version* register_ = nullptr;  // the newest
  bool counted = false;
  NumberSum sum;  // of what was added

  void take_register(const Version& version) {
    newest = newer_of(newest, version);
    register_ = newer_of(register_, version);
  }
  void take_added(const Version& version) {
    newest = newer_of(newest, version);
    counted = true;
    if (auto number = parse_number(version.value)) sum.add(*number);
  }
  std::optional<Number> base() const {
    return register_ == nullptr ? std::nullopt : parse_number(register_->value);
  }
  // What was added counts: there is some, and no newer register that is no number.
  bool is_number() const {
    return counted && (register_ == nullptr || newest != register_ || base().has_value());
  }
  Number total() const {
    NumberSum out = sum;
    if (auto number = base()) out.add(*number);
    return out.total();
  }
  std::string text() const {
    if (is_number()) return text_of(total());
    return register_ == nullptr ? std::string() : register_->value;
  }
};

Combined combined_key(const Object& live) {
  Combined out;
  std::set<std::string_view> tokens;
  // Of increments with one token, the one with the lowest dot counts: versions are in the order of their
  // dots.
  for (const Version& version : live.versions) {
    if (version.kind == VersionKind::value) out.take_register(version);
    if (!counts(version)) continue;
    if (version.kind == VersionKind::counter || tokens.insert(version.name).second) out.take_added(version);
  }
  return out;
}

std::map<std::string_view, Combined> combined_fields(const Object& live) {
  std::map<std::string_view, Combined> out;
  for (const Version& version : live.versions) {
    if (version.kind == VersionKind::field) out[version.name].take_register(version);
    if (version.kind == VersionKind::field_counter) out[version.name].take_added(version);
  }
  return out;
}

template <class Which>
std::vector<Version> take_if(Object& object, Which&& which) {
  std::vector<Version> kept, taken;
  for (Version& version : object.versions) {
    (which(version) ? taken : kept).push_back(std::move(version));
  }
  object.versions = std::move(kept);
  return taken;
}

}  // namespace

std::string_view text_of(Type type) {
  switch (type) {
    case Type::none:
      return "none";
    case Type::value:
      return "value";
    case Type::counter:
      return "counter";
    case Type::set:
      return "set";
    case Type::hash:
      return "hash";
  }
  return "none";
}

uint64_t key_expiry(const Object& object) {
  const Version* latest = nullptr;
  for (const Version& version : object.versions) {
    if (version.kind == VersionKind::expiry) latest = newer_of(latest, version);
  }
  return latest == nullptr ? 0 : latest->expires_ms;
}

uint64_t expiry_under(uint64_t of_key, const Version& version) {
  if (version.expires_ms != 0) return version.expires_ms;
  return version.time.ms() < of_key ? of_key : 0;
}

std::vector<Version> take_expired(Object& object, uint64_t wall_ms) {
  const uint64_t of_key = key_expiry(object);
  const bool any = std::any_of(object.versions.begin(), object.versions.end(), [&](const Version& version) {
    return expired(expiry_under(of_key, version), wall_ms);
  });
  if (!any) return {};
  return take_if(object,
                 [&](const Version& version) { return expired(expiry_under(of_key, version), wall_ms); });
}

Type type_of(const Object& live) {
  const Version* latest = nullptr;
  for (const Version& version : live.versions) {
    if (version.kind != VersionKind::expiry) latest = newer_of(latest, version);
  }
  if (latest == nullptr) return Type::none;
  if (latest->kind == VersionKind::member) return Type::set;
  if (of_hash(*latest)) return Type::hash;
  if (latest->kind == VersionKind::value && plain(live)) return Type::value;
  return combined_key(live).is_number() ? Type::counter : Type::value;
}

std::vector<Version> take_hidden(Object& live) {
  const Type type = type_of(live);
  const Version* value = nullptr;
  std::map<std::string_view, const Version*> by_field;
  for (const Version& version : live.versions) {
    if (version.kind == VersionKind::value) value = newer_of(value, version);
    if (version.kind == VersionKind::field)
      by_field[version.name] = newer_of(by_field[version.name], version);
  }
  std::set<Dot> kept;
  for (const Version& version : live.versions) {
    bool keeps = version.kind == VersionKind::expiry;
    if (version.kind == VersionKind::value)
      keeps = (type == Type::value || type == Type::counter) && &version == value;
    if (counts(version)) keeps = type == Type::counter;
    if (version.kind == VersionKind::member) keeps = type == Type::set;
    if (version.kind == VersionKind::field_counter) keeps = type == Type::hash;
    if (version.kind == VersionKind::field) keeps = type == Type::hash && &version == by_field[version.name];
    if (keeps) kept.insert(version.dot);
  }
  return take_if(live, [&](const Version& version) { return !kept.contains(version.dot); });
}

Number counter_value(const Object& live) { return combined_key(live).total(); }

std::vector<std::string_view> members(const Object& live) {
  std::vector<std::string_view> out;
  for (const Version& version : live.versions) {
    if (version.kind == VersionKind::member) out.push_back(version.name);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::map<std::string_view, std::string> fields(const Object& live) {
  std::map<std::string_view, std::string> out;
  for (const auto& [name, combined] : combined_fields(live)) out.emplace(name, combined.text());
  return out;
}

std::optional<std::string> field(const Object& live, std::string_view name) {
  Combined out;
  for (const Version& version : live.versions) {
    if (version.name != name) continue;
    if (version.kind == VersionKind::field) out.take_register(version);
    if (version.kind == VersionKind::field_counter) out.take_added(version);
  }
  return out.newest == nullptr ? std::nullopt : std::optional(out.text());
}

uint32_t siblings_of(const Object& live) {
  const Type type = type_of(live);
  uint32_t others = 0;
  bool own = false;
  for (const Version& version : live.versions) {
    if (version.kind == VersionKind::expiry) continue;
    bool belongs = false;
    switch (type) {
      case Type::counter:
        belongs = counts(version) || version.kind == VersionKind::value;
        break;
      case Type::set:
        belongs = version.kind == VersionKind::member;
        break;
      case Type::hash:
        belongs = of_hash(version);
        break;
      case Type::none:
      case Type::value:
        break;
    }
    own = own || belongs;
    others += belongs ? 0 : 1;
  }
  return others + (own ? 1 : 0);
}

}  // namespace covey
