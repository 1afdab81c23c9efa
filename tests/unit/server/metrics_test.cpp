// Numbers that a test of whole nodes can hardly hold still.
#include "server/metrics.h"

#include <catch2/catch.hpp>

#include "server/shard_loop.h"
#include "storage/rocks_database.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::metrics_test {

using namespace covey;
using namespace covey::server;

TEST_CASE("the queue between shards is as long as what waits in it", "[metrics]") {
  test::TemporaryDirectory directory;
  auto database = Database::open({.path = directory.sub("db")});
  REQUIRE(database);
  NodeContext node;
  node.self.node.name = "n1";
  node.config.node = "n1";
  node.database = database->get();
  ShardLoop shard(node, 0);
  node.shards = {&shard};
  REQUIRE(shard.open(**database, {.fresh = true}));
  const auto told = [&shard] { return print_metrics(shard.collect(), {}); };
  const auto work = [&shard] {
    shard.io().restart();
    shard.io().poll();
  };
  work();
  CHECK(told().find("\ncovey_shard_queue_length 0\n") != std::string::npos);
  int done = 0;
  for (int i = 0; i < 3; ++i) shard.mailbox().post([&done] { ++done; });
  CHECK(told().find("\ncovey_shard_queue_length 3\n") != std::string::npos);
  work();
  CHECK(done == 3);
  CHECK(told().find("\ncovey_shard_queue_length 0\n") != std::string::npos);
  shard.close_store();
}

}  // namespace covey::metrics_test
