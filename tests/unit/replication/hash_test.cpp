// Hashes are kept on disk and compared between nodes: a release that computed another one would look for
// every key in another partition.
#include "replication/hash.h"

#include <set>

#include "replication/types.h"
#include "tests/unit/replication/property.h"

namespace covey::hash_test {

TEST_CASE("the keyed tag is SipHash-2-4", "[hash]") {
  // The example in appendix A of the paper, and the first of the authors' vectors (no bytes at all).
  constexpr uint64_t key0 = 0x0706050403020100, key1 = 0x0f0e0d0c0b0a0908;
  std::string bytes;
  CHECK(keyed_tag(key0, key1, bytes) == 0x726fdb47dd0e0e31);
  for (int i = 0; i < 15; ++i) bytes.push_back(static_cast<char>(i));
  CHECK(keyed_tag(key0, key1, bytes) == 0xa129ca6149be45e5);
}

TEST_CASE("the keyed tag depends on the key and on every byte", "[hash]") {
  CHECK_PROPERTY("differs", [](uint64_t key0, uint64_t key1, std::string bytes, size_t at, uint8_t flip) {
    RC_PRE(!bytes.empty() && flip != 0);
    uint64_t tag = keyed_tag(key0, key1, bytes);
    RC_ASSERT(keyed_tag(key0 ^ 1, key1, bytes) != tag);
    RC_ASSERT(keyed_tag(key0, key1 ^ 1, bytes) != tag);
    RC_ASSERT(keyed_tag(key0, key1, bytes + '\0') != tag);
    bytes[at % bytes.size()] = static_cast<char>(bytes[at % bytes.size()] ^ flip);
    RC_ASSERT(keyed_tag(key0, key1, bytes) != tag);
  });
}

TEST_CASE("a key stays in its partition from release to release", "[hash]") {
  CHECK(hash_bytes("covey", 1) == 0xd3aa95b9a9aea7d0);
  CHECK(hash_pair(1, 2) == 0x7ee86c281446bef);
  CHECK(hash_pair(1, 2) != hash_pair(2, 1));
  CHECK(partition_of("default", "hello", 64).value == 38);
  CHECK(partition_of("readings", "user:7", 64).value == 32);
  CHECK(make_actor("n1", 0x123456789abcdef0).value == 0x976542789abcdef0);
}

// Whatever instructions the processor has.
TEST_CASE("long bytes have the hash that they always had, also in two parts", "[hash]") {
  std::string bytes(100'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 256);
  const std::string_view all = bytes;
  CHECK(hash_bytes(all.substr(0, 200), 1) == 0x8086808cc9d2f077);
  CHECK(hash_bytes(all.substr(0, 1'000), 1) == 0x7ed8cb9ec4603920);
  CHECK(hash_bytes(all, 1) == 0x322115e497f3129d);
  for (const size_t size : {0ul, 200ul, 1'000ul, 100'000ul}) {
    for (const size_t first : {0ul, 1ul, 150ul, 700ul, 99'999ul}) {
      if (first > size) continue;
      CHECK(hash_bytes(all.substr(0, first), all.substr(first, size - first), 1) ==
            hash_bytes(all.substr(0, size), 1));
    }
  }
}

TEST_CASE("keys spread evenly over partitions", "[hash]") {
  constexpr uint32_t partitions = 64;
  constexpr int keys = 64'000;
  std::vector<int> counts(partitions);
  for (int i = 0; i < keys; ++i) {
    PartitionId partition = partition_of("default", "user:" + std::to_string(i), partitions);
    REQUIRE(partition.value < partitions);
    ++counts[partition.value];
  }
  // 1,000 expected, standard deviation 31: six of them are far beyond what a fair hash does.
  for (int count : counts) CHECK(std::abs(count - 1000) < 190);
  CHECK(partition_of("default", "any", 1) == PartitionId{0});
  // Doubling the partitions splits each one.
  for (int i = 0; i < 100; ++i) {
    std::string key = std::to_string(i);
    CHECK(partition_of("t", key, 128).value / 2 == partition_of("t", key, 64).value);
  }
}

TEST_CASE("each life of a node is an actor of its own that still names the node", "[hash]") {
  std::set<Actor> actors;
  for (uint64_t life = 0; life < 100; ++life) {
    Actor actor = make_actor("n1", life);
    CHECK(actor.value >> 40 == node_tag("n1"));
    actors.insert(actor);
  }
  CHECK(actors.size() == 100);
  CHECK(node_tag("n1") != node_tag("n2"));
  CHECK(make_actor("n1", 5) == make_actor("n1", 5 | uint64_t{1} << 40));
}

}  // namespace covey::hash_test
