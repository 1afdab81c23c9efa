// Replicas of one key reduced to the algebra: a clock, a stored object, and gossip that exchanges both whole.
// What the core does over messages and storage, in a page.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replication/object.h"
#include "replication/types.h"

namespace covey::testing {

class Cluster {
 public:
  explicit Cluster(const std::vector<std::string>& names) {
    for (const std::string& name : names) replicas_[name].actor = make_actor(name, 1);
  }

  void cut(const std::string& name, bool is_cut) { replicas_.at(name).cut = is_cut; }

  Object read(const std::string& name) const {
    const Replica& replica = replicas_.at(name);
    return fill(replica.stored, replica.clock);
  }

  // nullopt deletes.
  void write(const std::string& name, std::optional<std::string> value, const Context& context) {
    Replica& replica = replicas_.at(name);
    Object object = fill(replica.stored, replica.clock);
    discard(object, context);
    Dot dot{replica.actor, Counter{replica.clock.highest(replica.actor) + 1}};
    object.context.add(dot);
    if (value) {
      Version version;
      version.dot = dot;
      version.value = *value;
      object.versions.push_back(version);
      std::sort(object.versions.begin(), object.versions.end(),
                [](const Version& a, const Version& b) { return a.dot < b.dot; });
    }
    replica.clock.add(dot);
    replica.stored = strip(object, replica.clock);
  }

  void sync() {
    for (int round = 0; round < 2; ++round) {
      for (auto& [from_name, from] : replicas_) {
        for (auto& [to_name, to] : replicas_) {
          if (from_name == to_name || from.cut || to.cut) continue;
          Object merged = merge(fill(from.stored, from.clock), fill(to.stored, to.clock));
          to.clock.join(from.clock);
          to.stored = strip(merged, to.clock);
        }
      }
    }
  }

  // The values of a read that asks all replicas, sorted.
  std::vector<std::string> read_all() const {
    Object merged;
    for (const auto& [name, replica] : replicas_) merged = merge(merged, read(name));
    std::vector<std::string> out;
    for (const Version& version : merged.versions) out.push_back(version.value);
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  struct Replica {
    Actor actor;
    Clock clock;
    Object stored;
    bool cut = false;
  };
  std::map<std::string, Replica> replicas_;
};

}  // namespace covey::testing
