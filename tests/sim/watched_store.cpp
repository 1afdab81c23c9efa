#include "tests/sim/watched_store.h"

#include "tests/sim/failure.h"

namespace covey::sim {

Result<Lsn, StoreError> WatchedStore::write(const StoreBatch& batch) {
  Change change;
  bool record = false;
  for (const auto& operation : batch.operations()) {
    if (operation.column != Column::objects || !operation.range_end.empty()) continue;
    auto before = inner_.get(Column::objects, operation.key);
    if (!before) continue;  // its checksum is wrong: the core is told when it reads
    change.objects.push_back({operation.key, std::move(*before), operation.value});
  }
  auto written = inner_.write(batch);
  if (!written) return written;
  for (const auto& operation : batch.operations()) {
    if (operation.column == Column::dots && operation.value)
      change.logged.emplace_back(operation.key, *operation.value);
    if (operation.column != Column::partitions || !operation.value) continue;
    require(!record, "one batch for two partitions");
    record = true;
    change.partition = Reader(operation.key).u32_big();
    change.record = *operation.value;
  }
  require(record || change.objects.empty(), "objects were changed without their partition's record");
  change.lsn = *written;
  if (record) changes_.push_back(std::move(change));
  return written;
}

}  // namespace covey::sim
