// The oracle's judgement of changes to counters, sets and hashes: what each may remove and what it must add,
// worked out from the request and the state that its replica held. By the dots of its versions a change is
// then judged as any write.
#include "replication/typed.h"

#include <algorithm>

#include "tests/sim/failure.h"
#include "tests/sim/oracle.h"

namespace covey::sim {
namespace {

bool increments(ChangeKind kind) { return kind == ChangeKind::increment; }
bool counts(VersionKind kind) { return kind == VersionKind::counter || kind == VersionKind::token; }

// Versions that the change does not look at: expired ones, and in a table that shows the newest what is not
// shown.
std::set<Dot> passed_over(Object before, Conflicts conflicts, uint64_t wall_ms) {
  std::set<Dot> out;
  for (const Version& version : take_expired(before, wall_ms)) out.insert(version.dot);
  if (conflicts == Conflicts::siblings) return out;
  for (const Version& version : take_hidden(before)) out.insert(version.dot);
  return out;
}

bool names(const std::vector<Change>& changes, const std::string& name) {
  return std::any_of(changes.begin(), changes.end(),
                     [&](const Change& change) { return change.name == name; });
}

// Whether a change may remove a version that has not expired.
bool may_remove(const std::vector<Change>& changes, const Version& version, Actor actor) {
  const ChangeKind kind = changes.front().kind;
  switch (version.kind) {
    case VersionKind::expiry:
      return true;
    case VersionKind::value:
      return kind == ChangeKind::expire;
    case VersionKind::counter:
      return increments(kind) && version.dot.actor == actor;
    case VersionKind::token:
      return increments(kind);
    case VersionKind::member:
      return (kind == ChangeKind::add || kind == ChangeKind::remove) && names(changes, version.name);
    case VersionKind::field:
      return (kind == ChangeKind::set_field || kind == ChangeKind::remove_field) &&
             names(changes, version.name);
    case VersionKind::field_counter: {
      if (!names(changes, version.name)) return false;
      return kind == ChangeKind::increment_field
                 ? version.dot.actor == actor
                 : kind == ChangeKind::set_field || kind == ChangeKind::remove_field;
    }
    case VersionKind::count:
      break;
  }
  return false;
}

}  // namespace

// What an increment's version has to say: what it adds, and what it replaces.
Oracle::Sum Oracle::sum_of(const Event& event, const Planned& planned, const Version& version,
                           const std::set<Dot>& passed) const {
  Sum sum{0, {event.id}};
  for (const Change& change : planned.request.changes) {
    const bool of_field = version.kind == VersionKind::field_counter;
    if (!of_field && !change.name.empty() && version.kind == VersionKind::counter) continue;
    sum.total += std::stoll(change.value);
  }
  if (version.kind == VersionKind::token) return sum;
  std::set<std::string> tokens;
  for (const Version& removed : planned.removed) {
    if (passed.contains(removed.dot)) continue;
    if (removed.kind != version.kind && removed.kind != VersionKind::token) continue;
    if (removed.kind == VersionKind::field_counter && removed.name != version.name) continue;
    if (removed.kind == VersionKind::token && !tokens.insert(removed.name).second) continue;
    const Event& replaced = events_[by_dot_[planned.partition.value].at(removed.dot)];
    sum.total += replaced.sum;
    sum.counted.insert(replaced.counted.begin(), replaced.counted.end());
  }
  return sum;
}

void Oracle::changed(Event& event, const Planned& planned, const Version* version) {
  const Conflicts rule = conflicts(event.key.table);
  const std::set<Dot> passed = passed_over(planned.before, rule, planned.wall_ms);
  const std::set<Dot> unexpired = passed_over(planned.before, rule, 0);
  const auto& changes = planned.request.changes;
  const bool empties =
      changes.front().kind == ChangeKind::expire && expired(planned.request.expires_ms, planned.wall_ms);
  for (const Version& removed : planned.removed) {
    also_overwrites(event, removed.dot);
    require(
        empties || passed.contains(removed.dot) || may_remove(changes, removed, event.dot.actor),
        "a change removed what is not its own: '" + removed.name + removed.value + "' by " + describe(event));
  }
  const bool increments_key = increments(changes.front().kind);
  if (increments_key) judge_token(event, planned, version, passed);
  if (version == nullptr) return;
  event.version_kind = version->kind;
  event.name = version->name;
  event.value = version->value;
  event.expires_ms = version->expires_ms;
  if (!counts(version->kind) && version->kind != VersionKind::field_counter) return;
  Sum sum = sum_of(event, planned, *version, passed);
  if (version->value != std::to_string(sum.total))
    sum = sum_of(event, planned, *version, unexpired);  // it expired since
  event.sum = sum.total;
  event.counted = std::move(sum.counted);
  require(version->value == std::to_string(event.sum),
          "what an increment says is not what it adds to what it replaces: " + version->value +
              " in place of " + std::to_string(event.sum) + ", " + describe(event));
}

// A token that the replica held counts no second time.
void Oracle::judge_token(const Event& event, const Planned& planned, const Version* version,
                         const std::set<Dot>& passed) {
  const std::string& token = planned.request.changes.front().name;
  if (token.empty()) return;
  const bool known =
      std::any_of(planned.before.versions.begin(), planned.before.versions.end(), [&](const Version& one) {
        return one.kind == VersionKind::token && one.name == token && !passed.contains(one.dot);
      });
  if (!known || version == nullptr || version->kind == VersionKind::expiry) return;
  // Unless its hour was over: then it may have been forgotten.
  const bool over =
      std::any_of(planned.before.versions.begin(), planned.before.versions.end(), [&](const Version& one) {
        return one.kind == VersionKind::token && one.time.ms() + token_window_ms <= version->time.ms();
      });
  require(over, "an increment whose token was known counted again: " + describe(event));
}

// What a read of a counter comes to, by what its increments did.
void Oracle::judge_counter(PartitionId partition, const TableKey& key, const Object& shown) const {
  if (type_of(shown) != Type::counter) return;
  int64_t sum = 0;
  std::set<std::string> tokens;
  std::set<size_t> counted;
  const Version* latest = nullptr;
  for (const Version& version : shown.versions) {
    if (version.kind == VersionKind::value && (latest == nullptr || older(*latest, version)))
      latest = &version;
    if (!counts(version.kind)) continue;
    if (version.kind == VersionKind::token && !tokens.insert(version.name).second) continue;
    const Event& event = events_[by_dot_[partition.value].at(version.dot)];
    sum += event.sum;
    for (size_t id : event.counted)
      require(counted.insert(id).second, "the counter " + key.key + " counts twice " + describe(events_[id]));
  }
  if (latest != nullptr) sum += parse_integer(latest->value).value_or(0);
  require(text_of(counter_value(shown)) == std::to_string(sum),
          "the counter " + key.key + " reads " + text_of(counter_value(shown)) +
              " where its increments come to " + std::to_string(sum));
}

// Where the last write wins a reader is not shown registers that are older than another of theirs, nor what
// is of another type than the newest.
bool Oracle::hidden_by_newer(const Event& event, const Object& shown) const {
  if (conflicts(event.key.table) != Conflicts::last_write_wins || !event.has_version) return false;
  const auto newer = [&](const Version& version) {
    return version.time != event.time ? version.time > event.time : version.dot > event.dot;
  };
  const Type type = type_of(shown);
  const auto any = [&](const auto& which) {
    return std::any_of(shown.versions.begin(), shown.versions.end(), which);
  };
  const auto same = [&](const Version& version) {
    return newer(version) && version.kind == event.version_kind && version.name == event.name;
  };
  switch (event.version_kind) {
    case VersionKind::value:
      return any(same) || (type != Type::value && type != Type::counter && any(newer));
    case VersionKind::field:
      return any(same) || (type != Type::hash && any(newer));
    case VersionKind::field_counter:
      return type != Type::hash && any(newer);
    case VersionKind::member:
      return type != Type::set && any(newer);
    default:
      return type != Type::counter && any(newer);
  }
}

}  // namespace covey::sim
