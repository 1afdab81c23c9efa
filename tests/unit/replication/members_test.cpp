#include "replication/members.h"

#include <catch2/catch.hpp>

namespace covey::members_test {
namespace {

const NodeId n2{"n2"};

Members two_members() {
  CoreOptions options;
  options.self.node = NodeId{"n1"};
  Members members(options);
  members.set({.node = n2});
  return members;
}

void decide(Members& members, const NodeId& node, Standing standing, uint64_t when) {
  Member member = *members.find(node);
  member.standing = standing;
  member.decided = Hlc{when};
  members.set(member);
}

}  // namespace

TEST_CASE("a node that was removed as dead and joins again is asked at once", "[members]") {
  Members members = two_members();
  const Now now{1'000'000, 1'000};
  members.link(now, n2, true);
  members.set_verdict({n2, Health::dead, 7, 500'000});
  CHECK_FALSE(members.alive(now, n2));

  decide(members, n2, Standing::removed, 1);
  // What the failure detector had on its way.
  members.set_verdict({n2, Health::dead, 8, 600'000});
  decide(members, n2, Standing::member, 2);
  CHECK(members.alive(now, n2));
  CHECK(members.verdict(n2).incarnation == 0);
  members.set_verdict({n2, Health::dead, 9, 700'000});
  CHECK_FALSE(members.alive(now, n2));
}

TEST_CASE("a verdict about a node that this shard has not met yet holds once it is met", "[members]") {
  Members members = two_members();
  const NodeId n3{"n3"};
  members.set_verdict({n3, Health::dead, 7, 500'000});
  members.set({.node = n3});
  CHECK(members.verdict(n3).health == Health::dead);
}

}  // namespace covey::members_test
