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
#include "server/column_set.h"

namespace covey::server {

class ColumnFeed final : public Feed {
 public:
  using Sink = std::function<void(std::vector<ColumnEvent>&& events)>;
  explicit ColumnFeed(Sink sink) : sink_(std::move(sink)) {}

  // The tables that there are now.
  void define(const std::map<std::string, TableDefinition, std::less<>>& tables);
  // nullptr: it has no columns.
  std::shared_ptr<const ColumnTable> table(std::string_view name) const;
  void mark(uint64_t number);
  // A value with this row may be stored soon.
  void expect(ReadRow&& row) { read_.put(std::move(row)); }

  void changed(PartitionId partition, const TableKey& key, const Object& after) override;
  void dropped(PartitionId partition) override;
  void applied() override;

 private:
  Sink sink_;
  std::map<std::string, std::shared_ptr<const ColumnTable>, std::less<>> tables_;
  ReadRows read_;
  std::vector<ColumnEvent> events_;  // of the batch under way
};

}  // namespace covey::server
