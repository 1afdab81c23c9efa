#include "server/node_context.h"

#include <chrono>

namespace covey::server {

Introduction NodeContext::introduction(uint32_t shard) const {
  Introduction out;
  out.cluster = config.cluster_name;
  out.member = self;
  out.instance = instance;
  out.partitions = config.partitions;
  out.replicas = config.replicas;
  out.shard = shard;
  out.shards = static_cast<uint32_t>(shards.size());
  out.secret_check = server::secret_check(token, out);
  return out;
}

Now now() {
  using namespace std::chrono;
  auto tick = duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
  auto wall = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  return {static_cast<uint64_t>(tick), static_cast<uint64_t>(wall)};
}

}  // namespace covey::server
