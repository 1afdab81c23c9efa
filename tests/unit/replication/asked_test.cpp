#include "replication/asked.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace covey::test::asked_test {
namespace {

std::vector<std::string> states(const Asked& asked) {
  std::vector<std::string> out;
  for (const Asked::Replica& one : asked)
    out.push_back(one.node.name + ": " + one.state + (one.awaited ? ", awaited" : "") +
                  (one.stored ? ", stored" : ""));
  return out;
}

TEST_CASE("of each replica is known what became of it, and whether it is awaited", "[asked]") {
  Asked asked;
  CHECK(asked.empty());
  asked.ask(NodeId{"n1"}, "not durable yet");
  for (const char* name : {"n2", "n3", "n4"}) asked.ask(NodeId{name});
  asked.tell(NodeId{"n5"}, "dead");
  CHECK(asked.size() == 5);
  CHECK(asked.awaited() == 4);
  CHECK(asked.stop_awaiting(NodeId{"n2"}));
  CHECK_FALSE(asked.stop_awaiting(NodeId{"n2"}));
  CHECK_FALSE(asked.stop_awaiting(NodeId{"n5"}));
  CHECK_FALSE(asked.stop_awaiting(NodeId{"n9"}));
  asked.tell(NodeId{"n2"}, "disk full");
  asked.tell_stored(NodeId{"n1"});
  CHECK_FALSE(asked.awaits(NodeId{"n1"}));
  CHECK(asked.awaits(NodeId{"n3"}));
  CHECK(states(asked) == std::vector<std::string>{"n1: answered, stored", "n2: disk full",
                                                  "n3: no answer, awaited", "n4: no answer, awaited",
                                                  "n5: dead"});
  asked.stop_awaiting();
  CHECK(asked.awaited() == 0);
  CHECK(asked.size() == 5);
  asked.clear();
  CHECK(asked.empty());
}

}  // namespace
}  // namespace covey::test::asked_test
