#include "tests/sim/watched_store.h"

#include <map>

#include "tests/sim/failure.h"

namespace covey::sim {

Result<Lsn, StoreError> WatchedStore::write(const StoreBatch& batch) {
  std::map<uint32_t, Change> changes;  // by partition
  auto change_of = [&](const std::string& key) -> Change& { return changes[Reader(key).u32_big()]; };
  for (const auto& operation : batch.operations()) {
    if (operation.column != Column::objects || !operation.range_end.empty()) continue;
    auto before = inner_.get(Column::objects, operation.key);
    if (!before) continue;  // its checksum is wrong: the core is told when it reads
    change_of(operation.key).objects.push_back({operation.key, std::move(*before), operation.value});
  }
  auto written = inner_.write(batch);
  if (!written) return written;
  for (const auto& operation : batch.operations()) {
    if (operation.column == Column::dots && operation.value)
      change_of(operation.key).logged.emplace_back(operation.key, *operation.value);
    if (operation.column != Column::partitions || !operation.value) continue;
    Change& change = change_of(operation.key);
    require(change.record.empty(), "one batch has a partition's record twice");
    change.record = *operation.value;
  }
  for (auto& [partition, change] : changes) {
    require(!change.record.empty(), "a partition was changed without its record");
    change.partition = partition;
    change.lsn = *written;
    changes_.push_back(std::move(change));
  }
  return written;
}

}  // namespace covey::sim
