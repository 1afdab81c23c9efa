// A clock that claims a dot its replica does not have loses that write in silence; one that forgets a dot
// sends everything again for ever. So every operation is compared with a plain std::set<Dot>.
#include "replication/dot_set.h"

#include <algorithm>
#include <iterator>

#include "tests/unit/replication/generators.h"
#include "tests/unit/replication/property.h"

namespace covey::dot_set_test {
namespace {

using testing::actor_number;
using testing::from_model;
using testing::is_normal;
using testing::Model;
using testing::to_model;

Model model_union(Model a, const Model& b) {
  a.insert(b.begin(), b.end());
  return a;
}

Model model_difference(const Model& a, const Model& b) {
  Model out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
  return out;
}

Model model_intersection(const Model& a, const Model& b) {
  Model out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
  return out;
}

// Counters that follow each other from 1.
Model model_bases(const Model& a) {
  Model out;
  for (const Dot& dot : a) {
    bool first = dot.counter.value == 1;
    if (first || out.contains(Dot{dot.actor, Counter{dot.counter.value - 1}})) out.insert(dot);
  }
  return out;
}

void expect_same(const DotSet& set, const Model& model) {
  RC_ASSERT(is_normal(set));
  RC_ASSERT(to_model(set) == model);
  RC_ASSERT(set == from_model(model));
  RC_ASSERT(set.hash() == from_model(model).hash());
  RC_ASSERT(set.count() == model.size());
  RC_ASSERT(set.empty() == model.empty());
}

}  // namespace

TEST_CASE("a dot set is the set of the dots added to it, in any order", "[dot_set]") {
  CHECK_PROPERTY("add", [](const std::vector<Dot>& dots) {
    DotSet set;
    for (const Dot& dot : dots) set.add(dot);
    expect_same(set, Model(dots.begin(), dots.end()));
  });
  CHECK_PROPERTY("add a run", [](const DotSet& before, int actor_seed, int first_seed, int length_seed) {
    Actor actor = actor_number(std::abs(actor_seed % 3));
    uint64_t first = 1 + static_cast<uint64_t>(std::abs(first_seed % 20));
    uint64_t last = first + static_cast<uint64_t>(std::abs(length_seed % 8));
    DotSet set = before;
    set.add(actor, {first, last});
    Model model = to_model(before);
    for (uint64_t counter = first; counter <= last; ++counter) model.insert(Dot{actor, Counter{counter}});
    expect_same(set, model);
  });
}

TEST_CASE("a dot set knows exactly its dots", "[dot_set]") {
  CHECK_PROPERTY("contains a dot", [](const DotSet& set, const Dot& dot) {
    RC_ASSERT(set.contains(dot) == to_model(set).contains(dot));
    RC_ASSERT(!set.contains(Dot{dot.actor, Counter{0}}));
  });
  CHECK_PROPERTY("contains a set", [](const DotSet& a, const DotSet& b) {
    Model x = to_model(a), y = to_model(b);
    RC_ASSERT(a.contains(b) == std::includes(x.begin(), x.end(), y.begin(), y.end()));
    DotSet both = a;
    both.join(b);
    RC_ASSERT((both.contains(a) && both.contains(b)));
  });
  CHECK_PROPERTY("per actor", [](const DotSet& set) {
    Model model = to_model(set);
    for (int n = 0; n < 4; ++n) {
      Actor actor = actor_number(n);
      uint64_t highest = 0, base = 0;
      for (const Dot& dot : model) {
        if (dot.actor == actor) highest = std::max(highest, dot.counter.value);
      }
      while (model.contains(Dot{actor, Counter{base + 1}})) ++base;
      RC_ASSERT(set.highest(actor) == highest);
      RC_ASSERT(set.base(actor) == base);
      RC_ASSERT((set.find(actor) != nullptr) == (highest > 0));
    }
    RC_ASSERT(set.has_gaps() == (model_bases(model) != model));
  });
}

TEST_CASE("join, subtract and intersect are those of sets", "[dot_set]") {
  CHECK_PROPERTY("join", [](const DotSet& a, const DotSet& b) {
    DotSet out = a;
    out.join(b);
    expect_same(out, model_union(to_model(a), to_model(b)));
  });
  CHECK_PROPERTY("subtract", [](const DotSet& a, const DotSet& b) {
    DotSet out = a;
    out.subtract(b);
    expect_same(out, model_difference(to_model(a), to_model(b)));
  });
  CHECK_PROPERTY("intersect", [](const DotSet& a, const DotSet& b) {
    DotSet out = a;
    out.intersect(b);
    expect_same(out, model_intersection(to_model(a), to_model(b)));
  });
  CHECK_PROPERTY("with itself", [](const DotSet& a) {
    DotSet joined = a, common = a, none = a;
    joined.join(a);
    common.intersect(a);
    none.subtract(a);
    RC_ASSERT((joined == a && common == a && none.empty()));
  });
}

TEST_CASE("the bases of a clock are what follows from one without a gap", "[dot_set]") {
  CHECK_PROPERTY("bases", [](const DotSet& a) { expect_same(a.bases(), model_bases(to_model(a))); });
  CHECK_PROPERTY("join_bases", [](const DotSet& a, const DotSet& clock) {
    DotSet out = a;
    out.join_bases(clock);
    expect_same(out, model_union(to_model(a), model_bases(to_model(clock))));
  });
  CHECK_PROPERTY("subtract_bases", [](const DotSet& a, const DotSet& clock) {
    DotSet out = a;
    out.subtract_bases(clock);
    expect_same(out, model_difference(to_model(a), model_bases(to_model(clock))));
  });
}

TEST_CASE("erasing an actor takes all of its dots and no others", "[dot_set]") {
  CHECK_PROPERTY("erase", [](const DotSet& a, const Dot& dot) {
    DotSet out = a;
    out.erase(dot.actor);
    Model model = to_model(a);
    std::erase_if(model, [&](const Dot& d) { return d.actor == dot.actor; });
    expect_same(out, model);
  });
}

TEST_CASE("different sets have different hashes", "[dot_set]") {
  CHECK_PROPERTY("hash",
                 [](const DotSet& a, const DotSet& b) { RC_ASSERT((a == b) == (a.hash() == b.hash())); });
  // The numbers of a run must not read as another actor's entry.
  DotSet run, entry;
  run.add(Actor{1}, {1, 5});
  run.add(Actor{1}, {10, 12});
  entry.add(Actor{1}, {1, 5});
  entry.add(Actor{10}, {1, 12});
  CHECK(run.hash() != entry.hash());
}

TEST_CASE("the hash of a clock is the same on every machine and in every release", "[dot_set]") {
  CHECK(DotSet{}.hash() == 0x636f766579646f74);
  DotSet set;
  set.add(Actor{0x1234567890abcdef}, {1, 42});
  set.add(Actor{0x1234567890abcdef}, {44, 50});
  CHECK(set.hash() == 0xcc8020f3faec3dbb);
}

TEST_CASE("the highest counters do not wrap around", "[dot_set]") {
  constexpr uint64_t top = UINT64_MAX;
  Actor actor{9};
  DotSet set;
  set.add(actor, {top, top});
  set.add(actor, {top - 1, top});
  CHECK(set.entries()[0].runs == DotSet::Runs{{top - 1, top}});
  set.add(actor, {1, top - 2});
  CHECK(set.base(actor) == top);
  CHECK_FALSE(set.has_gaps());
  set.add(Dot{actor, Counter{5}});
  CHECK(set.contains(Dot{actor, Counter{top}}));

  DotSet hole = set;
  hole.subtract(DotSet{Dot{actor, Counter{top}}});
  CHECK(hole.base(actor) == top - 1);
  hole.join(set);
  CHECK(hole == set);
  hole.subtract(set);
  CHECK(hole.empty());
  DotSet ends{Dot{actor, Counter{3}}, Dot{actor, Counter{top}}};
  DotSet middle{Dot{actor, Counter{3}}, Dot{actor, Counter{7}}};
  ends.join(middle);
  CHECK(ends.count() == 3);
  ends.intersect(middle);
  CHECK(ends == middle);
}

}  // namespace covey::dot_set_test
