// What a shard tells the columns: the rows of each batch that its store has accepted, its tables' columns.
// Values are read here, unless the front end has just read them, so that what waits for the aggregator is as
// small as the columns are.
//
// Used by the shard's thread, but for the sink.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "replication/feed.h"
#include "server/column_changes.h"
#include "server/column_set.h"

namespace covey::server {

class ColumnFeed final : public Feed {
 public:
  using Sink = std::function<void(std::vector<ColumnEvent>&& events)>;
  // The state hashes of the shard's partitions as they are stored now.
  using States = std::function<PartitionStates()>;
  // Without `states` and a journal nothing of the columns outlives the process.
  explicit ColumnFeed(Sink sink, States states = {}) : sink_(std::move(sink)), states_(std::move(states)) {}
  void use_journal(std::unique_ptr<ChangeSink> journal) { journal_ = std::move(journal); }

  // The tables that there are now.
  void define(const std::map<std::string, TableDefinition, std::less<>>& tables);
  // nullptr: it has no columns.
  std::shared_ptr<const ColumnTable> table(std::string_view name) const;
  void mark(uint64_t number);
  // As mark(); changes from here on are written to another file than those before.
  void mark_file(uint64_t number);
  // A value with this row may be stored soon.
  void expect(ReadRow&& row) { read_.put(std::move(row)); }

  void changing(PartitionId partition, uint64_t before, uint64_t after,
                const std::vector<const TableKey*>& keys) override;
  void writing() override;
  void changed(PartitionId partition, const TableKey& key, const Object& after) override;
  void reached(PartitionId partition, uint64_t state) override;
  void refilled(PartitionId partition, uint64_t state) override;
  void dropped(PartitionId partition) override;
  void applied() override;

 private:
  std::shared_ptr<const PartitionStates> states() const;

  const Sink sink_;
  const States states_;
  std::unique_ptr<ChangeSink> journal_;
  ChangeWriter changes_;
  std::map<std::string, std::shared_ptr<const ColumnTable>, std::less<>> tables_;
  ReadRows read_;
  std::vector<ColumnEvent> events_;  // of the batch under way
};

}  // namespace covey::server
