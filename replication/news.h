// What a node has to tell on: of which nodes there is something new, and how often it was told already. Fresh
// news goes first, and after some multiple of the logarithm of the group's size it has reached all with high
// probability and is told no more. (SWIM, infection-style dissemination: Das, Gupta, Motivala, DSN 2002.)
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>

#include "replication/types.h"

namespace covey {

class News {
 public:
  // There is something new of this node: it is told as often as if it were the first time. At most one entry
  // a node, so that the list is no longer than the group.
  void put(const NodeId& node) {
    forget(node);
    Place place{0, ~++count_, node};
    places_.emplace(node, place);
    order_.insert(std::move(place));
  }
  void forget(const NodeId& node) {
    auto at = places_.find(node);
    if (at == places_.end()) return;
    order_.erase(at->second);
    places_.erase(at);
  }
  bool empty() const { return order_.empty(); }
  size_t size() const { return order_.size(); }
  bool fresh(const NodeId& node) const { return places_.contains(node); }

  // Offers nodes, the least told and of those the latest first, until `take` says that there is no more room.
  // What was taken `limit` times is forgotten. take(node): whether it was told.
  template <class Take>
  void tell(uint64_t limit, Take take) {
    std::set<Place> told;
    for (auto at = order_.begin(); at != order_.end();) {
      if (!take(std::get<2>(*at))) break;
      Place place = std::move(order_.extract(at++).value());
      if (++std::get<0>(place) >= limit) {
        places_.erase(std::get<2>(place));
        continue;
      }
      places_[std::get<2>(place)] = place;
      told.insert(std::move(place));
    }
    order_.merge(told);
  }

 private:
  using Place = std::tuple<uint64_t, uint64_t, NodeId>;  // how often told, later ones lower, whom
  std::map<NodeId, Place> places_;
  std::set<Place> order_;
  uint64_t count_ = 0;
};

}  // namespace covey
