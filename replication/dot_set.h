// An exact set of dots, kept for each actor as a contiguous base and the runs of counters beyond it. A
// replica's clock and an object's context are both such sets. (Goncalves, Almeida, Baquero, Fonte: "Concise
// Server-Wide Causality Management for Eventually Consistent Data Stores", DAIS 2015; runs instead of its
// bitmaps.)
#pragma once

#include <boost/container/small_vector.hpp>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "replication/types.h"

namespace covey {

class DotSet {
 public:
  // Counters first..last, both included; 1 <= first <= last.
  struct Run {
    uint64_t first = 0;
    uint64_t last = 0;
    auto operator<=>(const Run&) const = default;
  };

  // Nearly all sets have one run at most, and it has room in the entry itself.
  using Runs = boost::container::small_vector<Run, 1>;

  // Counters 1..base and those in runs. Normal form: runs ascending, disjoint, not adjacent, the first one
  // beginning at base + 2 or later; never empty.
  struct Entry {
    Actor actor;
    uint64_t base = 0;
    Runs runs;
    uint64_t lowest() const { return base > 0 || runs.empty() ? 1 : runs.front().first; }
    uint64_t highest() const { return runs.empty() ? base : runs.back().last; }
    uint64_t count() const;
    std::strong_ordering operator<=>(const Entry&) const = default;
  };

  DotSet() = default;
  DotSet(std::initializer_list<Dot> dots);

  bool empty() const { return entries_.empty(); }
  bool contains(Dot dot) const;
  bool contains(const DotSet& other) const;  // every dot of other is here
  void add(Dot dot) { add(dot.actor, {dot.counter.value, dot.counter.value}); }
  void add(Actor actor, Run run);
  void join(const DotSet& other);      // union
  void subtract(const DotSet& other);  // difference
  void intersect(const DotSet& other);
  // The dots that a base covers: what every object of a replica with this clock has seen.
  DotSet bases() const;
  void join_bases(const DotSet& clock);      // union with clock.bases(), without building it
  void subtract_bases(const DotSet& clock);  // difference from clock.bases()
  void erase(Actor actor);
  void clear() { entries_.clear(); }

  uint64_t base(Actor actor) const;     // 0 for an unknown actor
  uint64_t highest(Actor actor) const;  // 0 for an unknown actor
  uint64_t count() const;               // how many dots
  bool has_gaps() const;                // some actor has runs beyond its base
  const Entry* find(Actor actor) const;
  const std::vector<Entry>& entries() const { return entries_; }  // ascending by actor
  // All counters of one actor as runs, the base (if any) the first.
  static Runs runs_of(const Entry& entry);

  uint64_t hash() const;  // equal sets have equal hashes, on every machine
  auto operator<=>(const DotSet&) const = default;

 private:
  Entry& entry(Actor actor);
  void set_runs(Actor actor, Runs runs);  // normalizes; erases the entry if there are none
  std::vector<Entry> entries_;
};

using Clock = DotSet;
using Context = DotSet;

}  // namespace covey
