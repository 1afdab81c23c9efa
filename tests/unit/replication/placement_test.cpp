// Two nodes that disagree about who owns a partition write to different replicas; a placement that shuffles
// on every change moves all data when one node comes.
#include "replication/placement.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/unit/replication/property.h"

namespace covey::placement_test {
namespace {

Member member(const std::string& name, const std::string& zone = "", double weight = 1.0) {
  Member out;
  out.node.name = name;
  out.zone = zone;
  out.weight = weight;
  return out;
}

std::vector<Member> nodes(int count) {
  std::vector<Member> out;
  for (int i = 1; i <= count; ++i) out.push_back(member("n" + std::to_string(i)));
  return out;
}

std::vector<std::string> names(const std::vector<NodeId>& owners) {
  std::vector<std::string> out;
  for (const NodeId& node : owners) out.push_back(node.name);
  return out;
}

}  // namespace

TEST_CASE("the price of a partition follows the logarithm", "[placement]") {
  constexpr double unit = 0x1p-52;
  CHECK(minus_log2(uint64_t{1} << 63 | 1) == (uint64_t{1} << 52));  // u = 1/2, to the last unit
  CHECK(minus_log2(0) == uint64_t{64} << 52);
  CHECK(minus_log2(UINT64_MAX) > 0);
  CHECK_PROPERTY("agrees with the math library", [=](uint64_t hash) {
    double expected = 64 - std::log2(static_cast<double>(hash | 1));
    RC_ASSERT(std::abs(static_cast<double>(minus_log2(hash)) * unit - expected) < 1e-12);
  });
  CHECK_PROPERTY("falls as the hash rises", [](uint64_t a, uint64_t b) {
    RC_ASSERT(((minus_log2(a) <= minus_log2(b)) || a < b || (a | 1) == (b | 1)));
  });
}

TEST_CASE("placement is the same on every machine and in every release", "[placement]") {
  // -log2(u) * 2^52, rounded up, as 50 decimal digits have it.
  CHECK(minus_log2(0x123456789abcdef0) == 17175743551637655);
  CHECK(minus_log2(0xfedcba9876543210) == 28941343391805);
  std::string all;
  for (uint32_t p = 0; p < 8; ++p) {
    for (const auto& name : names(owners_of(PartitionId{p}, nodes(5), 3))) all += name + " ";
  }
  CHECK(all == "n4 n2 n5 n4 n5 n2 n3 n1 n4 n3 n4 n5 n4 n1 n3 n3 n2 n4 n2 n3 n5 n2 n5 n1 ");
  std::vector<Member> uneven{member("a", "x", 1), member("b", "x", 2.5), member("c", "y", 0.25),
                             member("d", "z", 7)};
  std::string zoned;
  for (uint32_t p = 0; p < 8; ++p) {
    for (const auto& name : names(owners_of(PartitionId{p}, uneven, 3))) zoned += name;
    zoned += " ";
  }
  CHECK(zoned == "dac bdc dac bdc bdc dac dbc bdc ");
}

TEST_CASE("the order in which members are listed does not matter", "[placement]") {
  CHECK_PROPERTY("permutation", [](uint32_t partition, uint32_t shift) {
    std::vector<Member> members{member("a", "x"), member("b", "y", 2), member("c", "x"), member("d"),
                                member("e", "z")};
    auto expected = owners_of(PartitionId{partition}, members, 3);
    std::rotate(members.begin(), members.begin() + shift % 5, members.end());
    RC_ASSERT(owners_of(PartitionId{partition}, members, 3) == expected);
  });
}

TEST_CASE("owners are distinct, as many as asked for or as there are", "[placement]") {
  for (int count = 0; count <= 6; ++count) {
    for (uint32_t replicas = 1; replicas <= 4; ++replicas) {
      auto owners = owners_of(PartitionId{7}, nodes(count), replicas);
      CHECK(owners.size() == std::min<size_t>(replicas, static_cast<size_t>(count)));
      CHECK(std::set<NodeId>(owners.begin(), owners.end()).size() == owners.size());
      // Fewer replicas are a beginning of more: so the rest of the order are the stand-ins.
      auto longer = owners_of(PartitionId{7}, nodes(count), replicas + 1);
      CHECK(std::equal(owners.begin(), owners.end(), longer.begin()));
    }
  }
}

TEST_CASE("a node that joins or leaves moves only its own share", "[placement]") {
  constexpr uint32_t partitions = 1024;
  auto before = nodes(9), after = nodes(10);
  int moved = 0;
  for (uint32_t p = 0; p < partitions; ++p) {
    auto old_owners = owners_of(PartitionId{p}, before, 3), new_owners = owners_of(PartitionId{p}, after, 3);
    for (const NodeId& node : new_owners) {
      bool had_it = std::find(old_owners.begin(), old_owners.end(), node) != old_owners.end();
      if (!had_it) {
        CHECK(node.name == "n10");
        ++moved;
      }
    }
    // The others keep their order, so leaving undoes exactly what joining did.
    std::erase(new_owners, NodeId{"n10"});
    CHECK(std::equal(new_owners.begin(), new_owners.end(), old_owners.begin()));
  }
  // 3/10 of the partitions: 307, standard deviation 15.
  CHECK(std::abs(moved - 307) < 75);
}

TEST_CASE("a node takes partitions in proportion to its weight", "[placement]") {
  constexpr uint32_t partitions = 20'000;
  std::vector<Member> members{member("small", "", 0.5), member("one", "", 1), member("two", "", 2),
                              member("big", "", 4.5)};
  std::map<std::string, int> first;
  for (uint32_t p = 0; p < partitions; ++p) ++first[owners_of(PartitionId{p}, members, 1)[0].name];
  for (const Member& m : members) {
    double share = m.weight / 8;
    double expected = partitions * share, deviation = std::sqrt(partitions * share * (1 - share));
    INFO(m.node.name << " " << first[m.node.name] << " of " << expected);
    CHECK(std::abs(first[m.node.name] - expected) < 5 * deviation);
  }
}

TEST_CASE("raising a weight only brings partitions to that node", "[placement]") {
  auto before = nodes(5), after = before;
  after[2].weight = 1.5;
  for (uint32_t p = 0; p < 512; ++p) {
    NodeId then = owners_of(PartitionId{p}, before, 1)[0], now = owners_of(PartitionId{p}, after, 1)[0];
    CHECK((then == now || now.name == "n3"));
  }
}

TEST_CASE("impossible weights neither stop a node nor win everything", "[placement]") {
  for (double weight : {0.0, -1.0, std::nan(""), 1e300, HUGE_VAL, 1e-300}) {
    std::vector<Member> members{member("a"), member("odd", "", weight), member("c")};
    CHECK(owners_of(PartitionId{1}, members, 3).size() == 3);
  }
}

TEST_CASE("replicas stand in different zones while there are zones", "[placement]") {
  std::vector<Member> members;
  for (int i = 0; i < 9; ++i)
    members.push_back(member("n" + std::to_string(i), std::string(1, "abc"[i % 3])));
  members.push_back(member("lonely", "d", 0.1));
  std::map<std::string, std::string> zones;
  for (const Member& m : members) zones[m.node.name] = m.zone;
  for (uint32_t p = 0; p < 256; ++p) {
    std::set<std::string> seen;
    auto owners = owners_of(PartitionId{p}, members, 6);
    REQUIRE(owners.size() == 6);
    for (size_t i = 0; i < 4; ++i) seen.insert(zones[owners[i].name]);
    CHECK(seen.size() == 4);
    // The one that is preferred is the best of all, whatever its zone.
    CHECK(owners[0] == owners_of(PartitionId{p}, members, 1)[0]);
  }
}

}  // namespace covey::placement_test
