// Replicas merge in whatever order messages come. If merge depended on it, replicas would stay different for
// ever, or a value that nobody had overwritten would be gone.
#include "replication/object.h"

#include <algorithm>

#include "tests/unit/replication/generators.h"
#include "tests/unit/replication/property.h"

namespace covey::object_test {
namespace {

using testing::actor_number;
using testing::version_of;

bool well_formed(const Object& filled) {
  for (size_t i = 0; i < filled.versions.size(); ++i) {
    if (!filled.context.contains(filled.versions[i].dot)) return false;
    if (i > 0 && !(filled.versions[i - 1].dot < filled.versions[i].dot)) return false;
  }
  return testing::is_normal(filled.context);
}

bool holds(const Object& object, Dot dot) {
  return std::any_of(object.versions.begin(), object.versions.end(),
                     [&](const Version& version) { return version.dot == dot; });
}

Object resolved(Object object) {
  resolve(object, Conflicts::last_write_wins);
  return object;
}

}  // namespace

TEST_CASE("merge does not depend on order, grouping or repetition", "[object]") {
  CHECK_PROPERTY("commutative", [](const Object& a, const Object& b) {
    RC_ASSERT(merge(a, b) == merge(b, a));
    RC_ASSERT(well_formed(merge(a, b)));
  });
  CHECK_PROPERTY("associative", [](const Object& a, const Object& b, const Object& c) {
    RC_ASSERT(merge(merge(a, b), c) == merge(a, merge(b, c)));
  });
  CHECK_PROPERTY("idempotent", [](const Object& a, const Object& b) {
    RC_ASSERT(merge(a, a) == a);
    RC_ASSERT(merge(merge(a, b), b) == merge(a, b));
  });
}

TEST_CASE("a merged version is one that neither side has overwritten", "[object]") {
  CHECK_PROPERTY("survival", [](const Object& a, const Object& b) {
    Object out = merge(a, b);
    DotSet dots = a.context;
    dots.join(b.context);
    RC_ASSERT(out.context == dots);
    for (const Object* side : {&a, &b}) {
      const Object& other = side == &a ? b : a;
      for (const Version& version : side->versions) {
        bool stays = holds(other, version.dot) || !other.context.contains(version.dot);
        RC_ASSERT(holds(out, version.dot) == stays);
      }
    }
    for (const Version& version : out.versions) RC_ASSERT((holds(a, version.dot) || holds(b, version.dot)));
  });
}

TEST_CASE("storing an object stripped loses nothing", "[object]") {
  CHECK_PROPERTY("fill(strip) = fill", [](const Object& object, const DotSet& clock) {
    Object filled = fill(object, clock);
    RC_ASSERT(well_formed(filled));
    RC_ASSERT(fill(strip(filled, clock), clock) == filled);
    RC_ASSERT(fill(filled, clock) == filled);
  });
  CHECK_PROPERTY("a stripped context has nothing that the bases say",
                 [](const Object& object, const DotSet& clock) {
                   Object stored = strip(object, clock);
                   DotSet common = stored.context;
                   common.intersect(clock.bases());
                   RC_ASSERT(common.empty());
                   RC_ASSERT(strip(stored, clock) == stored);
                   RC_ASSERT(stored.versions == object.versions);
                 });
  CHECK_PROPERTY("without gaps nothing remains", [](const Object& object, const DotSet& more) {
    DotSet known = object.context;
    known.join(more);
    DotSet clock;
    for (const auto& entry : known.entries()) clock.add(entry.actor, {1, entry.highest()});
    RC_ASSERT(strip(object, clock).context.empty());
  });
}

TEST_CASE("a write removes what its context has seen and nothing else", "[object]") {
  CHECK_PROPERTY("discard", [](const Object& before, const DotSet& context) {
    Object after = before;
    discard(after, context);
    RC_ASSERT(well_formed(after));
    RC_ASSERT((after.context.contains(before.context) && after.context.contains(context)));
    for (const Version& version : before.versions) {
      RC_ASSERT(holds(after, version.dot) == !context.contains(version.dot));
    }
    // What was discarded does not come back from a replica that still has it.
    Object merged = merge(after, before);
    for (const Version& version : merged.versions) RC_ASSERT(!context.contains(version.dot));
  });
}

TEST_CASE("last write wins keeps the newest and the loser stays gone", "[object]") {
  CHECK_PROPERTY("resolve", [](const Object& before) {
    Object after = resolved(before);
    RC_ASSERT(after.context == before.context);
    RC_ASSERT(after.versions.size() == std::min<size_t>(before.versions.size(), 1));
    if (before.versions.empty()) return;
    const Version* expected = newest(before);
    for (const Version& version : before.versions) {
      RC_ASSERT(std::pair(version.time, version.dot) <= std::pair(expected->time, expected->dot));
    }
    RC_ASSERT(after.versions[0] == *expected);
    RC_ASSERT(resolved(merge(after, before)) == after);
  });
  CHECK_PROPERTY("siblings stay under the other rule", [](const Object& before) {
    Object after = before;
    resolve(after, Conflicts::siblings);
    RC_ASSERT(after == before);
  });
}

TEST_CASE("replicas of a last-write-wins table agree whatever the order of merges", "[object]") {
  CHECK_PROPERTY("order", [](const Object& a, const Object& b, const Object& c) {
    // Objects of one history: a version that one has and another covers was overwritten by somebody. Any such
    // triple ends the same, whether each step resolves or only the last.
    Object at_once = resolved(merge(merge(a, b), c));
    Object merged = merge(a, merge(b, c));
    RC_ASSERT(resolved(merged) == at_once);
    // Once it is resolved, hearing of the parts again changes nothing.
    for (const Object* part : {&a, &b, &c}) RC_ASSERT(resolved(merge(at_once, *part)) == at_once);
  });
}

TEST_CASE("the state hash of an object tells its versions and its key", "[object]") {
  TableKey key{"t", "k"};
  CHECK(object_hash(key, Object{}) == 0);
  Object one;
  one.versions.push_back(version_of(Dot{actor_number(0), Counter{1}}));
  Object gone;
  gone.context = {Dot{actor_number(0), Counter{1}}};
  CHECK(object_hash(key, gone) == 0);

  std::vector<uint64_t> hashes{object_hash(key, one), object_hash({"t", "k2"}, one),
                               object_hash({"t2", "k"}, one)};
  auto changed = [&](auto change) {
    Object other = one;
    change(other.versions[0]);
    hashes.push_back(object_hash(key, other));
  };
  changed([](Version& version) { version.value += "x"; });
  changed([](Version& version) { version.time.value += 1; });
  changed([](Version& version) { version.expires_ms += 1; });
  changed([](Version& version) { version.content_type = "x/y"; });
  changed([](Version& version) { version.dot.counter.value += 1; });
  changed([](Version& version) { version.dot.actor.value += 1; });
  std::sort(hashes.begin(), hashes.end());
  CHECK(std::unique(hashes.begin(), hashes.end()) == hashes.end());

  CHECK_PROPERTY("not its context", [](const Object& object, const DotSet& more) {
    Object other = object;
    other.context.join(more);
    RC_ASSERT(object_hash({"t", "k"}, object) == object_hash({"t", "k"}, other));
    RC_ASSERT(same_versions(object, other));
  });
}

}  // namespace covey::object_test
