// Which owner answers an aggregate, and what their comparison says.
#include "server/aggregate_owners.h"

#include <catch2/catch.hpp>

#include "server/aggregate_verify.h"

namespace covey::server::aggregate_owners_test {
namespace {

using Role = AggregateRole;
NodeId node(const std::string& name) { return NodeId{name}; }

AggregateOwners::Owners owners() {
  return {{0, {{node("a"), MemberState::alive, true}, {node("me"), MemberState::self, true}}},
          {1, {{node("b"), MemberState::alive, false}, {node("a"), MemberState::alive, true}}},
          {2, {{node("c"), MemberState::unreachable, true}, {node("b"), MemberState::alive, true}}}};
}

std::string text(const AggregateOwners::Next& next) {
  std::string out;
  auto add = [&out](uint32_t id, Role role) {
    out += std::to_string(id) + (role == Role::rows ? " " : "w ");
  };
  for (const auto& ask : next.asks) {
    out += ask.node.name + ": ";
    for (uint32_t id : ask.partitions) add(id, ask.role);
  }
  if (!next.later.empty()) out += "later ";
  for (const auto& want : next.later) add(want.partition, want.role);
  if (!next.none.empty()) out += "none ";
  for (const auto& [want, reason] : next.none) add(want.partition, want.role);
  return out;
}

TEST_CASE("each partition is answered by one owner: this node, then those that are ready") {
  AggregateOwners choice(owners(), 1);
  CHECK(text(choice.next(choice.all(), true, false)) == "a: 1 b: 2 me: 0 ");
  choice.failed(node("a"), {1, Role::rows}, "gone", false);
  CHECK(text(choice.next({{1, Role::rows}}, true, false)) == "b: 1 ");
  choice.failed(node("b"), {1, Role::rows}, "gone", false);
  auto last = choice.next({{1, Role::rows}}, true, false);
  CHECK(text(last) == "none 1 ");
  CHECK(last.none[0].second == "gone");
}

TEST_CASE("owners whose columns are being loaded are asked again, while there is time") {
  AggregateOwners choice(owners(), 1);
  static_cast<void>(choice.next({{2, Role::rows}}, true, false));
  choice.failed(node("b"), {2, Role::rows}, "loading", true);
  CHECK(text(choice.next({{2, Role::rows}}, true, false)) == "later 2 ");
  CHECK(text(choice.next({{2, Role::rows}}, true, false)) == "b: 2 ");
  choice.failed(node("b"), {2, Role::rows}, "loading", true);
  CHECK(text(choice.next({{2, Role::rows}}, false, false)) == "none 2 ");
}

TEST_CASE("witnesses are other owners, and stand in when nobody else has the rows") {
  AggregateOwners choice(owners(), 2);
  CHECK(choice.all().size() == 6);
  CHECK(text(choice.next(choice.all(), true, false)) == "a: 1 a: 0w b: 2 b: 1w me: 0 none 2w ");
  choice.failed(node("me"), {0, Role::rows}, "gone", false);
  CHECK(text(choice.next({{0, Role::rows}}, true, false)) == "a: 0 ");
}

TEST_CASE("a later round asks those who answered, then others, and waits for those who may come back") {
  AggregateOwners choice(owners(), 1);
  static_cast<void>(choice.next(choice.all(), true, false));
  choice.begin_round(
      {{node("me"), {0, Role::rows}}, {node("a"), {1, Role::rows}}, {node("b"), {2, Role::rows}}});
  choice.failed(node("a"), {1, Role::rows}, "gone", false);
  CHECK(text(choice.next({{1, Role::rows}}, true, true)) == "b: 1 ");
  choice.failed(node("b"), {2, Role::rows}, "gone", false);
  CHECK(text(choice.next({{2, Role::rows}}, true, true)) == "later 2 ");
  choice.observe({{node("c"), MemberState::alive}, {node("b"), MemberState::unreachable}});
  CHECK(text(choice.next({{2, Role::rows}}, true, true)) == "c: 2 ");
  choice.failed(node("c"), {2, Role::rows}, "gone", false);
  CHECK(text(choice.next({{2, Role::rows}}, false, true)) == "none 2 ");
}

PartitionWitness witness(uint32_t partition, uint64_t bits, uint64_t clock, uint64_t at_ms = 1000,
                         uint64_t next_expiry_ms = 0) {
  return {partition, bits, bits, clock, at_ms, next_expiry_ms};
}

TEST_CASE("owners that differ are an error only if nothing explains it") {
  AggregateVerdict verdict;
  auto add = [&](const std::string& name, const PartitionWitness& given) { verdict.add(node(name), given); };
  add("a", witness(1, 5, 7)), add("b", witness(1, 5, 8));  // other clocks, the same rows asked for
  add("a", witness(2, 5, 7)), add("b", witness(2, 6, 8));  // a write on its way
  add("a", witness(3, 5, 0)), add("b", witness(3, 6, 0));  // written during the pass
  add("a", witness(4, 5, 7, 1000, 1001)), add("b", witness(4, 6, 7, 1001));            // expired in between
  add("a", witness(5, 5, 7));                                                          // one alone
  add("a", witness(6, 9, 9)), add("b", witness(6, 5, 7)), add("b", witness(6, 9, 9));  // asked again
  verdict.end_round(2);
  CHECK(verdict.broken().empty());
  CHECK(verdict.equal() == 2);
  CHECK(verdict.diverging() == std::set<uint32_t>{2, 3, 4});
  CHECK(verdict.unverified() == std::set<uint32_t>{5});
  add("a", witness(1, 5, 7)), add("b", witness(1, 6, 7));
  add("a", witness(4, 5, 7, 1000, 1002)), add("b", witness(4, 6, 7, 1001));
  verdict.end_round(2);
  REQUIRE(verdict.broken().size() == 2);
  CHECK(verdict.broken()[0].partition == 1);
  CHECK(verdict.broken()[0].nodes == std::vector<std::string>{"a", "b"});
  CHECK(verdict.broken()[1].partition == 4);
}

}  // namespace
}  // namespace covey::server::aggregate_owners_test
