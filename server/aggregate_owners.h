// Which owner is asked for which partition of an aggregate: one for its rows, and with `verify` further ones
// as witnesses, who tell what their rows would have given. Decides only; who calls asks and tells what came
// of it.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "replication/core.h"

namespace covey::server {

enum class AggregateRole : uint8_t { rows, witness };

struct AggregateWant {
  uint32_t partition = 0;
  AggregateRole role = AggregateRole::rows;
  auto operator<=>(const AggregateWant&) const = default;
};

class AggregateOwners {
 public:
  using Owners = std::map<uint32_t, std::vector<OwnerView>>;  // by partition, in order of preference

  // One answer for each partition, or `answers` of different owners.
  AggregateOwners() = default;
  AggregateOwners(Owners owners, size_t answers);

  std::vector<AggregateWant> all() const;
  void observe(const std::map<NodeId, MemberState>& states);

  struct Ask {
    NodeId node;
    AggregateRole role = AggregateRole::rows;
    std::vector<uint32_t> partitions;
  };
  struct Next {
    std::vector<Ask> asks;             // one for each node and role
    std::vector<AggregateWant> later;  // soon again: an owner's columns are being loaded
    std::vector<std::pair<AggregateWant, std::string>> none;  // no owner is left, and why
  };
  // Who is to be asked next for these: this node, then those that told they were ready, then the others, each
  // once. may_wait: there is time for `later`; patient: then nothing is given up, as owners may come back.
  // Where nobody is left for the rows of a partition, a witness is asked for them.
  Next next(const std::vector<AggregateWant>& wants, bool may_wait, bool patient);

  void failed(const NodeId& node, const AggregateWant& want, std::string reason, bool loading);
  // Whether next() would find an owner that was not asked yet.
  bool others(uint32_t partition) const;
  // Why the last one failed.
  const std::string& reason(uint32_t partition) const { return targets_.at(partition).reason; }

  // Before a later round: everybody may be asked again. `answered`: who is asked for what first.
  void begin_round(const std::vector<std::pair<NodeId, AggregateWant>>& answered);

 private:
  struct Target {
    std::vector<OwnerView> owners;
    std::set<NodeId> tried;                 // not to be asked again for now
    std::map<NodeId, AggregateRole> asked;  // and have not failed
    std::string reason;
    bool loading = false;
  };
  const OwnerView* next_owner(const Target& target) const;
  const NodeId* take_witness(Target& target) const;

  std::map<uint32_t, Target> targets_;
  size_t answers_ = 1;
};

bool reachable(MemberState state);

}  // namespace covey::server
