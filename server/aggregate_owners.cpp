#include "server/aggregate_owners.h"

#include <algorithm>
#include <utility>

namespace covey::server {

bool reachable(MemberState state) { return state == MemberState::self || state == MemberState::alive; }

AggregateOwners::AggregateOwners(Owners owners, size_t answers) : answers_(answers) {
  for (auto& [id, list] : owners) targets_[id].owners = std::move(list);
}

std::vector<AggregateWant> AggregateOwners::all() const {
  std::vector<AggregateWant> out;
  for (const auto& [id, target] : targets_) {
    for (size_t i = 0; i < answers_; ++i)
      out.push_back({id, i == 0 ? AggregateRole::rows : AggregateRole::witness});
  }
  return out;
}

void AggregateOwners::observe(const std::map<NodeId, MemberState>& states) {
  for (auto& [id, target] : targets_) {
    for (OwnerView& owner : target.owners) {
      auto known = states.find(owner.node);
      owner.state = known == states.end() ? MemberState::unreachable : known->second;
    }
  }
}

const OwnerView* AggregateOwners::next_owner(const Target& target) const {
  const OwnerView* best = nullptr;
  int best_rank = 3;
  for (const OwnerView& owner : target.owners) {
    if (!reachable(owner.state) || target.tried.contains(owner.node)) continue;
    const int rank = owner.state == MemberState::self && owner.ready ? 0 : owner.ready ? 1 : 2;
    if (rank < best_rank) best = &owner, best_rank = rank;
  }
  return best;
}

bool AggregateOwners::others(uint32_t partition) const {
  return next_owner(targets_.at(partition)) != nullptr;
}

const NodeId* AggregateOwners::take_witness(Target& target) const {
  for (const OwnerView& owner : target.owners) {
    auto at = target.asked.find(owner.node);
    if (at != target.asked.end() && at->second == AggregateRole::witness && reachable(owner.state))
      return &owner.node;
  }
  return nullptr;
}

AggregateOwners::Next AggregateOwners::next(const std::vector<AggregateWant>& wants, bool may_wait,
                                            bool patient) {
  Next out;
  std::map<std::pair<NodeId, AggregateRole>, std::vector<uint32_t>> asks;
  for (const AggregateWant& want : wants) {
    Target& target = targets_.at(want.partition);
    const OwnerView* owner = next_owner(target);
    const NodeId* node = owner != nullptr ? &owner->node : nullptr;
    const bool wait = may_wait && (target.loading || patient);
    if (node == nullptr && !wait && want.role == AggregateRole::rows) node = take_witness(target);
    if (node != nullptr) {
      target.tried.insert(*node);
      target.asked[*node] = want.role;
      asks[{*node, want.role}].push_back(want.partition);
    } else if (wait) {
      out.later.push_back(want);
    } else {
      out.none.emplace_back(want, target.reason.empty() ? "no owner of it can be reached" : target.reason);
    }
  }
  // Those that wait may try everybody again who does not answer already.
  for (const AggregateWant& want : out.later) {
    Target& target = targets_.at(want.partition);
    target.loading = false;
    target.tried.clear();
    for (const auto& [node, role] : target.asked) target.tried.insert(node);
  }
  for (auto& [key, ids] : asks) out.asks.push_back({key.first, key.second, std::move(ids)});
  return out;
}

void AggregateOwners::failed(const NodeId& node, const AggregateWant& want, std::string reason,
                             bool loading) {
  Target& target = targets_.at(want.partition);
  auto asked = target.asked.find(node);
  if (asked != target.asked.end() && asked->second == want.role) target.asked.erase(asked);
  target.reason = std::move(reason);
  target.loading = target.loading || loading;
}

void AggregateOwners::begin_round(const std::vector<std::pair<NodeId, AggregateWant>>& answered) {
  for (auto& [id, target] : targets_) {
    target.tried.clear();
    target.asked.clear();
    target.loading = false;
  }
  for (const auto& [node, want] : answered) {
    Target& target = targets_.at(want.partition);
    target.tried.insert(node);
    target.asked[node] = want.role;
  }
}

}  // namespace covey::server
