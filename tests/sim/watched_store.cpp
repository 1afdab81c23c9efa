#include "tests/sim/watched_store.h"

#include "tests/sim/failure.h"

namespace covey::sim {

Result<Lsn, StoreError> WatchedStore::write(const StoreBatch& batch) {
  std::vector<ObjectChange> objects;
  for (const auto& operation : batch.operations()) {
    if (operation.column != Column::objects) continue;
    auto before = inner_.get(Column::objects, operation.key);
    if (!before) continue;  // its checksum is wrong: the core is told when it reads
    objects.push_back({operation.key, std::move(*before), operation.value});
  }
  auto written = inner_.write(batch);
  if (!written) return written;
  for (const auto& operation : batch.operations()) {
    if (operation.column == Column::node) continue;
    if (operation.column == Column::dots && operation.value) changes_.logged.emplace_back(operation.key, *operation.value);
    changes_.partitions.insert(Reader(operation.key).u32_big());
  }
  for (auto& change : objects) changes_.objects.push_back(std::move(change));
  return written;
}

}  // namespace covey::sim
