#include "replication/read_state.h"

#include <algorithm>

#include "replication/bugs.h"
#include "replication/typed.h"

namespace covey {

uint32_t ReadState::counted(bool sloppy) const {
  auto count = std::count_if(answers_.begin(), answers_.end(), [&](const ReadAnswer& answer) {
    return sloppy || answer.counts_strictly || bug(Bug::read_from_unready);
  });
  return static_cast<uint32_t>(count);
}

bool ReadState::enough(uint32_t needed, bool sloppy, bool awaits_more) const {
  if (bug(Bug::read_quorum_off_by_one) && needed > 1) --needed;
  return counted(false) >= needed || (sloppy && !awaits_more && counted(true) >= needed);
}

Object ReadState::merged() const {
  Object out;
  for (size_t i = 0; i < answers_.size(); ++i) {
    out = i == 0 ? answers_[i].object : merge(out, answers_[i].object);
  }
  return out;
}

ReadState::Page ReadState::merged_page(uint32_t limit) const {
  // Up to where every answer speaks.
  std::optional<std::string> bound;
  for (const ReadAnswer& answer : answers_) {
    if (answer.covered_to && (!bound || *answer.covered_to < *bound)) bound = answer.covered_to;
  }
  Page page;
  for (const ReadAnswer& answer : answers_) {
    for (const auto& [key, object] : answer.rows) {
      if (!bound || key <= *bound) page.rows.try_emplace(key);
    }
  }
  for (auto& [key, merged] : page.rows) {
    bool first = true;
    for (const ReadAnswer& answer : answers_) {
      auto row = answer.rows.find(key);
      // A replica without the key answers with what it has seen: deletes win over old values.
      const Object& theirs = row == answer.rows.end() ? answer.object : row->second;
      merged = first ? theirs : merge(merged, theirs);
      first = false;
    }
  }
  if (page.rows.size() > limit) {
    auto cut = std::next(page.rows.begin(), limit);
    page.next_key = cut->first;
    page.rows.erase(cut, page.rows.end());
  } else if (bound) {
    page.next_key = *bound + '\0';
  }
  return page;
}

Object live_for_client(Object merged, Conflicts conflicts, uint64_t wall_ms) {
  for (const Version& version : merged.versions) merged.context.add(version.dot);
  take_expired(merged, wall_ms);
  if (!plain(merged)) {
    const uint64_t expires_ms = key_expiry(merged);
    std::erase_if(merged.versions,
                  [](const Version& version) { return version.kind == VersionKind::expiry; });
    for (Version& version : merged.versions) {
      version.expires_ms = expiry_under(expires_ms, version);
    }
  }
  resolve(merged, conflicts);
  return merged;
}

}  // namespace covey
