// The columns of one simulated shard (server/column_set.h): fed by its core, delivered late and in pieces,
// kept and restored over starts from files of any age, and compared with a full scan of the stored objects.
//
// Draws from a generator of its own, so that runs are what they are without it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replication/core.h"
#include "server/column_feed.h"
#include "server/column_set.h"
#include "tests/sim/random.h"
#include "tests/sim/totals.h"

namespace covey::sim {

class Columns {
 public:
  Columns(uint64_t seed, uint32_t shard, uint32_t shards, uint32_t partitions);
  ~Columns();

  Feed* feed() { return feed_.get(); }
  // The process begins: of the last one only its files are left, or some of them.
  void begin(const Core& core, Now now);
  void end();
  // Another folder, of an earlier time, takes the place of this one.
  void go_back();
  // Does some of what waits.
  void step(Store& store, Now now);
  // Does all that waits, and compares. Throws Failure.
  void check(Store& store, Now now, const std::string& where, Totals& totals);

 private:
  struct Files {
    std::map<std::pair<std::string, PartitionId>, std::string> parts;
    std::string changes;
  };
  class History;
  class Sink;

  void deliver(size_t count);
  void hear();
  void keep();
  void settle(Store& store);
  void compare(Store& store, const server::ColumnTable& table, PartitionId partition,
               const std::string& where);

  Random random_;
  const uint32_t shard_;
  const server::ColumnSetOptions options_;
  Files files_;
  Files older_;
  uint64_t wall_ms_ = 0;  // never goes back: what has expired does not come back
  std::map<std::string, server::TableDefinition, std::less<>> tables_;
  std::deque<std::vector<server::ColumnEvent>> events_;  // on their way; of a stored batch all or none
  std::vector<uint64_t> marks_;                          // that the shard is asked for
  const Core* core_ = nullptr;
  Now now_;
  std::unique_ptr<server::ColumnFeed> feed_;
  std::unique_ptr<History> history_;
  std::unique_ptr<server::ColumnSet> set_;
};

}  // namespace covey::sim
