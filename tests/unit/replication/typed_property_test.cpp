// Counters, sets and hashes against models of what their users did: whatever the order in which replicas
// merge, each shows what follows from the changes that it has heard of.
#include <map>
#include <optional>
#include <set>

#include "replication/codec.h"
#include "replication/typed.h"
#include "tests/unit/replication/property.h"
#include "tests/unit/replication/typed_replicas.h"

namespace covey::typed_property_test {
namespace {

using testing::TypedReplicas;

constexpr size_t replicas = 3;

struct Step {
  int what = 0;  // 0 to 99
  size_t at = 0, other = 0;
  int subject = 0;  // 0 to 3
};
std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << step.what << "@" << step.at << "/" << step.other << ":" << step.subject;
}

rc::Gen<std::vector<Step>> any_steps() {
  return rc::gen::container<std::vector<Step>>(rc::gen::apply(
      [](int what, size_t at, size_t other, int subject) {
        return Step{what, at, other, subject};
      },
      rc::gen::inRange(0, 100), rc::gen::inRange<size_t>(0, replicas), rc::gen::inRange<size_t>(0, replicas),
      rc::gen::inRange(0, 4)));
}

// One change that somebody made: its dot, and what its replica had heard of before.
struct Event {
  Dot dot;
  Context seen;
  std::string subject;  // element, field, token
  bool adds = true;
  std::string value;
  uint64_t order = 0;  // in time
};

class Histories {
 public:
  // Makes the change and remembers it, if it is accepted.
  Plan change(TypedReplicas& on, size_t at, const Change& change, bool adds) {
    Event event;
    event.seen = on[at].object.context;
    Plan made = on.change(at, {change});
    if (made.status != Status::ok || made.changed.repeated) return made;
    event.dot = Dot{on[at].actor, {on[at].minted}};
    event.subject = change.name;
    event.adds = adds;
    event.value = change.value;
    event.order = events_.size();
    events_.push_back(std::move(event));
    return made;
  }
  std::vector<const Event*> heard(const Context& context, const std::string* subject = nullptr) const {
    std::vector<const Event*> out;
    for (const Event& event : events_) {
      if (context.contains(event.dot) && (subject == nullptr || *subject == event.subject))
        out.push_back(&event);
    }
    return out;
  }
  // Those that no other one had heard of.
  std::vector<const Event*> last(const Context& context, const std::string& subject) const {
    std::vector<const Event*> all = heard(context, &subject), out;
    for (const Event* event : all) {
      const bool followed = std::any_of(all.begin(), all.end(),
                                        [&](const Event* other) { return other->seen.contains(event->dot); });
      if (!followed) out.push_back(event);
    }
    return out;
  }

 private:
  std::vector<Event> events_;
};

void pull(TypedReplicas& on, const Step& step) { on.pull(step.at, step.other); }

void check_laws(TypedReplicas& on) {
  const Object &a = on[0].object, &b = on[1].object, &c = on[2].object;
  RC_ASSERT(merge(a, b) == merge(b, a));
  RC_ASSERT(merge(merge(a, b), c) == merge(a, merge(b, c)));
  RC_ASSERT(merge(merge(a, b), b) == merge(a, b));
  for (size_t i = 0; i < replicas; ++i) RC_ASSERT(decode_object(encode(on[i].object)) == on[i].object);
  on.pull_all();
  for (size_t i = 1; i < replicas; ++i) RC_ASSERT(on[i].object == on[0].object);
}

}  // namespace

TEST_CASE("a counter is the sum of the increments that a replica has heard of", "[typed]") {
  CHECK_PROPERTY("any order of merging", [] {
    TypedReplicas on(replicas);
    Histories histories;
    const auto check = [&](size_t at) {
      int64_t sum = 0;
      std::set<std::string> tokens;
      for (const Event* event : histories.heard(on[at].object.context)) {
        if (event->subject.empty() || tokens.insert(event->subject).second) sum += std::stoll(event->value);
      }
      RC_ASSERT(on.count(at) == std::to_string(sum));
    };
    for (const Step& step : *any_steps()) {
      const std::string token = "t" + std::to_string(step.subject);
      if (step.what < 40) {
        histories.change(on, step.at, {ChangeKind::increment, {}, std::to_string(step.what - 20)}, true);
      } else if (step.what < 60) {
        // A token stands for one increment: by whom and how often it is sent makes no difference.
        histories.change(on, step.at, {ChangeKind::increment, token, std::to_string(step.subject + 5)}, true);
      } else {
        pull(on, step);
      }
      check(step.at);
    }
    check_laws(on);
    for (size_t i = 0; i < replicas; ++i) check(i);
  });
}

TEST_CASE("folding tokens that are over changes no count", "[typed]") {
  CHECK_PROPERTY("folded once", [] {
    TypedReplicas on(replicas);
    int64_t sum = 0;
    int number = 0;
    for (const Step& step : *any_steps()) {
      // Within a window a token reaches everybody: so it is promised.
      const int token = number++;
      on.increment(step.at, std::to_string(step.subject), "t" + std::to_string(token));
      if (step.what < 50) on.increment(step.other, std::to_string(step.subject), "t" + std::to_string(token));
      sum += step.subject;
      on.pull_all();
      if (step.what % 3 == 0) on.now_ms += on.options.token_window_ms;
      if (step.what % 5 == 0) {
        on.increment(step.at, "1");
        on.increment(step.other, "1");
        sum += 2;
      }
      on.pull_all();
      for (size_t i = 0; i < replicas; ++i) RC_ASSERT(on.count(i) == std::to_string(sum));
    }
    on.now_ms += on.options.token_window_ms;
    for (size_t i = 0; i < replicas; ++i) on.increment(i, "0");
    on.pull_all();
    RC_ASSERT(on[0].object.versions.size() <= replicas);
    RC_ASSERT(on.count(0) == std::to_string(sum));
  });
}

TEST_CASE("an element is there if somebody has added it and nobody has removed what they added", "[typed]") {
  CHECK_PROPERTY("any order of merging", [] {
    TypedReplicas on(replicas);
    Histories histories;
    const auto check = [&](size_t at) {
      std::vector<std::string> expected;
      for (int subject = 0; subject < 4; ++subject) {
        const std::string element = std::to_string(subject);
        auto last = histories.last(on[at].object.context, element);
        if (std::any_of(last.begin(), last.end(), [](const Event* event) { return event->adds; }))
          expected.push_back(element);
      }
      RC_ASSERT(on.elements(at) == expected);
    };
    for (const Step& step : *any_steps()) {
      const bool adds = step.what < 40;
      if (step.what < 60) {
        histories.change(on, step.at,
                         {adds ? ChangeKind::add : ChangeKind::remove, std::to_string(step.subject), {}},
                         adds);
      } else {
        pull(on, step);
      }
      check(step.at);
    }
    check_laws(on);
    for (size_t i = 0; i < replicas; ++i) check(i);
  });
}

TEST_CASE("a field shows the newest of what was set last", "[typed]") {
  CHECK_PROPERTY("any order of merging", [] {
    TypedReplicas on(replicas);
    Histories histories;
    const auto check = [&](size_t at) {
      for (int subject = 0; subject < 4; ++subject) {
        const Event* newest = nullptr;
        for (const Event* event : histories.last(on[at].object.context, std::to_string(subject))) {
          if (event->adds && (newest == nullptr || newest->order < event->order)) newest = event;
        }
        RC_ASSERT(on.hash_field(at, std::to_string(subject)) ==
                  (newest == nullptr ? "(none)" : newest->value));
      }
    };
    int number = 0;
    for (const Step& step : *any_steps()) {
      const bool sets = step.what < 40;
      if (step.what < 60) {
        histories.change(on, step.at,
                         {sets ? ChangeKind::set_field : ChangeKind::remove_field,
                          std::to_string(step.subject), std::to_string(number++)},
                         sets);
      } else {
        pull(on, step);
      }
      check(step.at);
    }
    check_laws(on);
    for (size_t i = 0; i < replicas; ++i) check(i);
  });
}

TEST_CASE("replicas that changes of all kinds have met end equal, and show the same", "[typed]") {
  CHECK_PROPERTY("any changes", [] {
    TypedReplicas on(replicas);
    for (const Step& step : *any_steps()) {
      const std::string name = std::to_string(step.subject);
      if (step.what < 50) {
        on.change(step.at, {{static_cast<ChangeKind>(1 + step.what % 10), name, name}},
                  step.what % 4 == 0 ? on.now_ms + static_cast<uint64_t>(step.what) : 0);
      } else if (step.what < 60) {
        on.overwrite(step.at, step.what < 55 ? std::optional(name) : std::nullopt);
      } else {
        pull(on, step);
      }
      on.now_ms += step.what == 61 ? 20 : 0;
    }
    check_laws(on);
    const Object first = on.live(0);
    for (size_t i = 1; i < replicas; ++i) {
      const Object other = on.live(i);
      RC_ASSERT(type_of(first) == type_of(other));
      RC_ASSERT(on.count(i) == on.count(0));
      RC_ASSERT(on.elements(i) == on.elements(0));
      RC_ASSERT(fields(first) == fields(other));
    }
  });
}

}  // namespace covey::typed_property_test
