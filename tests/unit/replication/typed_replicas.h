// A few replicas of one key without any cluster around them: each plans its changes on what it holds, and
// merges what others hold. For properties of counters, sets and hashes in any order of merging.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "replication/plan.h"
#include "replication/typed.h"

namespace covey::testing {

struct TypedReplica {
  Actor actor;
  Object object;  // filled
  uint64_t minted = 0;
};

class TypedReplicas {
 public:
  explicit TypedReplicas(size_t count) {
    for (size_t i = 0; i < count; ++i) replicas_.push_back({Actor{0xa000 + i}, {}, 0});
  }

  // Plans and applies, as a coordinator does. The dots of what was added, or the one that stands for nothing
  // added.
  Plan change(size_t at, const std::vector<Change>& changes, uint64_t expires_ms = 0) {
    TypedReplica& replica = replicas_[at];
    PlanOptions used = options;
    used.actor = replica.actor;
    used.time = Hlc{Hlc::from_ms(now_ms).value + ++ticks_};
    used.wall_ms = now_ms;
    Plan made = plan(replica.object, changes, expires_ms, Conflicts::siblings, used);
    if (made.status != Status::ok) return made;
    discard(replica.object, made.covered);
    for (Version& version : made.added) {
      version.dot = Dot{replica.actor, {++replica.minted}};
      replica.object.versions.push_back(version);
      replica.object.context.add(version.dot);
    }
    if (made.added.empty()) replica.object.context.add(Dot{replica.actor, {++replica.minted}});
    std::sort(replica.object.versions.begin(), replica.object.versions.end(),
              [](const Version& a, const Version& b) { return a.dot < b.dot; });
    return made;
  }
  Plan increment(size_t at, const std::string& by, const std::string& token = {}) {
    return change(at, {{ChangeKind::increment, token, by}});
  }
  // A write of bytes as a whole, or (without a value) a delete, over all that this replica holds.
  void overwrite(size_t at, const std::optional<std::string>& value) {
    TypedReplica& replica = replicas_[at];
    discard(replica.object, dots_of(replica.object));
    Version version;
    version.dot = Dot{replica.actor, {++replica.minted}};
    version.time = Hlc{Hlc::from_ms(now_ms).value + ++ticks_};
    replica.object.context.add(version.dot);
    if (!value) return;
    version.value = *value;
    replica.object.versions.push_back(version);
  }

  void pull(size_t to, size_t from) {
    replicas_[to].object = merge(replicas_[to].object, replicas_[from].object);
  }
  void pull_all() {
    for (int round = 0; round < 2; ++round) {
      for (size_t to = 0; to < replicas_.size(); ++to) {
        for (size_t from = 0; from < replicas_.size(); ++from) pull(to, from);
      }
    }
  }

  TypedReplica& operator[](size_t at) { return replicas_[at]; }
  size_t size() const { return replicas_.size(); }
  Object live(size_t at) const {
    Object out = replicas_[at].object;
    take_expired(out, now_ms);
    return out;
  }
  std::string count(size_t at) const { return text_of(counter_value(live(at))); }
  std::vector<std::string> elements(size_t at) const {
    Object object = live(at);
    auto views = members(object);
    return {views.begin(), views.end()};
  }
  std::string hash_field(size_t at, const std::string& name) const {
    return field(live(at), name).value_or("(none)");
  }

  PlanOptions options;
  uint64_t now_ms = 1'700'000'000'000;

 private:
  std::vector<TypedReplica> replicas_;
  uint64_t ticks_ = 0;  // no two changes at the same time
};

}  // namespace covey::testing
