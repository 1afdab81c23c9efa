// The replicas that an operation has asked, and what became of each. They are few and looked at several times
// for each write: a list with room for the usual three in itself, searched from its front.
#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <string>
#include <utility>

#include "replication/types.h"

namespace covey {

class Asked {
 public:
  struct Replica {
    NodeId node;
    std::string state;     // as OwnerOutcome's
    bool awaited = false;  // it has neither answered nor refused
    bool stored = false;   // a write: it has it durably
  };
  using List = boost::container::small_vector<Replica, 3>;

  void ask(const NodeId& node, std::string state = "no answer") {
    Replica& replica = at(node);
    replica.state = std::move(state);
    replica.awaited = true;
  }
  // Also of one that was not asked.
  void tell(const NodeId& node, std::string state) { at(node).state = std::move(state); }
  void tell_stored(const NodeId& node) {
    Replica& replica = at(node);
    replica.state = "answered";
    replica.awaited = false;
    replica.stored = true;
  }

  bool awaits(const NodeId& node) const {
    return std::any_of(begin(), end(), [&](const Replica& one) { return one.awaited && one.node == node; });
  }
  size_t awaited() const {
    return static_cast<size_t>(std::count_if(begin(), end(), [](const Replica& one) { return one.awaited; }));
  }
  // No more. False: it was not.
  bool stop_awaiting(const NodeId& node) {
    for (Replica& one : all_) {
      if (one.awaited && one.node == node) return one.awaited = false, true;
    }
    return false;
  }
  void stop_awaiting() {
    for (Replica& one : all_) one.awaited = false;
  }

  void clear() { all_.clear(); }
  bool empty() const { return all_.empty(); }
  size_t size() const { return all_.size(); }
  List::const_iterator begin() const { return all_.begin(); }
  List::const_iterator end() const { return all_.end(); }

 private:
  Replica& at(const NodeId& node) {
    for (Replica& one : all_) {
      if (one.node == node) return one;
    }
    all_.push_back({.node = node, .state = {}});
    return all_.back();
  }

  List all_;
};

}  // namespace covey
