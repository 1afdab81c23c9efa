#include "replication/object.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/hash.h"
#include "replication/typed.h"

namespace covey {
namespace {

// Only the simulator's bugs ask for it: every dot up to the highest, known or not.
DotSet all_up_to_highest(const DotSet& clock) {
  DotSet out;
  for (const auto& entry : clock.entries()) out.add(entry.actor, {1, entry.highest()});
  return out;
}

// Moves to `out` what survives of `mine` against the other object.
void keep_surviving(const Object& mine, const Object& other, bool is_first, std::vector<Version>& out) {
  for (const Version& version : mine.versions) {
    auto same = std::lower_bound(other.versions.begin(), other.versions.end(), version.dot,
                                 [](const Version& theirs, Dot dot) { return theirs.dot < dot; });
    bool in_both = same != other.versions.end() && same->dot == version.dot;
    bool overwritten = other.context.contains(version.dot);
    if (bug(Bug::flipped_cover_in_merge) && !is_first) overwritten = !overwritten;
    if (bug(Bug::merge_ignores_context)) overwritten = false;
    if (in_both ? is_first : !overwritten) out.push_back(version);
  }
}

}  // namespace

bool older(const Version& a, const Version& b) { return a.time != b.time ? a.time < b.time : a.dot < b.dot; }

bool plain(const Object& object) {
  return std::all_of(object.versions.begin(), object.versions.end(),
                     [](const Version& version) { return version.kind == VersionKind::value; });
}

Object fill(Object stored, const Clock& clock) {
  if (bug(Bug::fill_by_highest)) {
    stored.context.join(all_up_to_highest(clock));
    return stored;
  }
  stored.context.join_bases(clock);
  return stored;
}

Object strip(Object filled, const Clock& clock) {
  if (bug(Bug::strip_by_highest)) {
    filled.context.subtract(all_up_to_highest(clock));
    return filled;
  }
  filled.context.subtract_bases(clock);
  return filled;
}

void discard(Object& filled, const Context& context) {
  std::erase_if(filled.versions, [&](const Version& version) { return context.contains(version.dot); });
  filled.context.join(context);
}

Object merge(const Object& a, const Object& b) {
  Object out;
  keep_surviving(a, b, true, out.versions);
  keep_surviving(b, a, false, out.versions);
  std::sort(out.versions.begin(), out.versions.end(),
            [](const Version& x, const Version& y) { return x.dot < y.dot; });
  out.context = a.context;
  out.context.join(b.context);
  return out;
}

bool replaces(const Object& theirs, const ObjectView& stored, const Clock& clock) {
  // The simulator is to meet these bugs wherever objects meet.
  if (bug(Bug::fill_by_highest) || bug(Bug::flipped_cover_in_merge) || bug(Bug::merge_ignores_context) ||
      bug(Bug::lww_drops_in_merge))
    return false;
  const auto kept = [&](const Version& version) {
    return version.dot.counter.value > clock.base(version.dot.actor) &&
           !stored.context.contains(version.dot) &&
           std::none_of(stored.versions.begin(), stored.versions.end(),
                        [&](const VersionView& one) { return one.dot == version.dot; });
  };
  const auto dropped = [&](const VersionView& version) { return theirs.context.contains(version.dot); };
  return std::all_of(theirs.versions.begin(), theirs.versions.end(), kept) &&
         std::all_of(stored.versions.begin(), stored.versions.end(), dropped);
}

void resolve(Object& filled, Conflicts conflicts) {
  if (conflicts == Conflicts::siblings || filled.versions.size() < 2) return;
  if (!plain(filled)) {
    for (const Version& hidden : take_hidden(filled)) filled.context.add(hidden.dot);
    return;
  }
  auto winner = std::max_element(filled.versions.begin(), filled.versions.end(), older);
  Version kept = std::move(*winner);
  filled.versions.erase(winner);
  for (const Version& loser : filled.versions) filled.context.add(loser.dot);
  filled.versions.clear();
  filled.versions.push_back(std::move(kept));
}

const Version* newest(const Object& object) {
  auto at = std::max_element(object.versions.begin(), object.versions.end(), older);
  return at == object.versions.end() ? nullptr : &*at;
}

DotSet dots_of(const Object& object) {
  DotSet dots;
  for (const Version& version : object.versions) dots.add(version.dot);
  return dots;
}

namespace {

template <class Versions>
uint64_t bytes_of(const Versions& versions) {
  uint64_t bytes = 0;
  for (const auto& version : versions) bytes += version.value.size() + version.name.size();
  return bytes;
}

template <class Versions>
uint64_t hash_of(std::string_view table, std::string_view key, const Versions& versions) {
  if (versions.empty()) return 0;
  const uint64_t seed = hash_bytes(key, hash_bytes(table, 0x6f626a));
  uint64_t sum = 0;
  for (const auto& version : versions) {
    uint64_t hash = hash_bytes(version.value, seed);
    hash = hash_pair(hash, version.dot.actor.value);
    hash = hash_pair(hash, version.dot.counter.value);
    hash = hash_pair(hash, version.time.value);
    hash = hash_pair(hash, version.expires_ms);
    hash = hash_bytes(version.content_type, hash);
    if (version.kind != VersionKind::value)
      hash = hash_bytes(version.name, hash_pair(hash, static_cast<uint64_t>(version.kind)));
    sum += hash;
  }
  return sum;
}

}  // namespace

uint64_t value_bytes(const Object& object) { return bytes_of(object.versions); }

uint64_t content_bytes(const TableKey& key, const Object& object) {
  if (object.versions.empty() && object.context.empty()) return 0;
  return key.table.size() + key.key.size() + bytes_of(object.versions);
}

uint64_t content_bytes(std::string_view table, std::string_view key, const ObjectView& object) {
  if (object.versions.empty() && object.context.empty()) return 0;
  return table.size() + key.size() + bytes_of(object.versions);
}

namespace {

template <class Versions>
bool same_dots(const Versions& a, const std::vector<Version>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const Version& y) { return x.dot == y.dot; });
}

}  // namespace

bool same_versions(const Object& a, const Object& b) { return same_dots(a.versions, b.versions); }
bool same_versions(const ObjectView& a, const Object& b) { return same_dots(a.versions, b.versions); }

bool ObjectView::operator==(const Object& object) const {
  const auto same = [](const VersionView& a, const Version& b) {
    return a.dot == b.dot && a.time == b.time && a.expires_ms == b.expires_ms &&
           a.content_type == b.content_type && a.value == b.value && a.kind == b.kind && a.name == b.name;
  };
  return std::equal(versions.begin(), versions.end(), object.versions.begin(), object.versions.end(), same) &&
         context == object.context;
}

Object to_object(const ObjectView& view) {
  Object object;
  object.versions.reserve(view.versions.size());
  for (const VersionView& version : view.versions) {
    object.versions.push_back({version.dot, version.time, version.expires_ms,
                               std::string(version.content_type), std::string(version.value), version.kind,
                               std::string(version.name)});
  }
  object.context = view.context;
  return object;
}

uint64_t object_hash(const TableKey& key, const Object& object) {
  return hash_of(key.table, key.key, object.versions);
}

uint64_t object_hash(std::string_view table, std::string_view key, const ObjectView& object) {
  return hash_of(table, key, object.versions);
}

}  // namespace covey
