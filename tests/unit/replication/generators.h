// Random dot sets and objects for property tests, and the model that a dot set is compared with. Few actors
// and small counters, so that overlaps, gaps and neighbours are common.
#pragma once

#include <rapidcheck.h>

#include <set>
#include <string>
#include <vector>

#include "replication/object.h"

namespace covey::testing {

using Model = std::set<Dot>;

inline Actor actor_number(int n) { return Actor{0xa000 + static_cast<uint64_t>(n)}; }

inline rc::Gen<Dot> any_dot() {
  return rc::gen::map(rc::gen::pair(rc::gen::inRange(0, 3), rc::gen::inRange<uint64_t>(1, 24)),
                      [](std::pair<int, uint64_t> p) {
                        return Dot{actor_number(p.first), Counter{p.second}};
                      });
}

inline rc::Gen<Model> any_model() {
  return rc::gen::map(rc::gen::container<std::vector<Dot>>(any_dot()),
                      [](const std::vector<Dot>& dots) { return Model(dots.begin(), dots.end()); });
}

inline DotSet from_model(const Model& model) {
  DotSet out;
  for (const Dot& dot : model) out.add(dot);
  return out;
}

inline rc::Gen<DotSet> any_dot_set() { return rc::gen::map(any_model(), from_model); }

inline Model to_model(const DotSet& set) {
  Model out;
  for (const auto& entry : set.entries()) {
    for (const auto& run : DotSet::runs_of(entry)) {
      for (uint64_t counter = run.first; counter <= run.last; ++counter) {
        out.insert(Dot{entry.actor, Counter{counter}});
      }
    }
  }
  return out;
}

// Ascending actors, no empty entry, runs ascending with at least one counter missing before each.
inline bool is_normal(const DotSet& set) {
  const DotSet::Entry* before = nullptr;
  for (const auto& entry : set.entries()) {
    if (before != nullptr && !(before->actor < entry.actor)) return false;
    before = &entry;
    if (entry.base == 0 && entry.runs.empty()) return false;
    uint64_t end = entry.base;
    for (const auto& run : entry.runs) {
      if (run.first < end + 2 || run.last < run.first) return false;
      end = run.last;
    }
  }
  return true;
}

// The one version that any replica can ever see under a dot: a dot is never given twice.
inline Version version_of(Dot dot) {
  Version version;
  version.dot = dot;
  version.time = Hlc{1000 - dot.counter.value * 7 % 40};  // not in the order of the dots
  version.value = std::to_string(dot.actor.value) + ":" + std::to_string(dot.counter.value);
  version.expires_ms = dot.counter.value % 5 == 0 ? 77 : 0;
  version.content_type = dot.counter.value % 3 == 0 ? "text/csv" : "application/json";
  return version;
}

// A filled object: each version's dot is in the context.
inline rc::Gen<Object> any_filled_object() {
  return rc::gen::map(rc::gen::pair(any_model(), any_dot_set()), [](const std::pair<Model, DotSet>& p) {
    Object out;
    out.context = p.second;
    int n = 0;
    for (const Dot& dot : p.first) {
      if (++n > 4) break;
      out.versions.push_back(version_of(dot));
      out.context.add(dot);
    }
    return out;
  });
}

}  // namespace covey::testing

namespace rc {
// Shrunk counterexamples print as sets of dots.
template <>
struct Arbitrary<covey::DotSet> {
  static Gen<covey::DotSet> arbitrary() { return covey::testing::any_dot_set(); }
};
template <>
struct Arbitrary<covey::Dot> {
  static Gen<covey::Dot> arbitrary() { return covey::testing::any_dot(); }
};
template <>
struct Arbitrary<covey::Object> {
  static Gen<covey::Object> arbitrary() { return covey::testing::any_filled_object(); }
};
}  // namespace rc
