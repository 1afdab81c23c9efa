// The columns of one part as bytes, with the keys of its rows and the state of the partition that they hold
// (replication/feed.h): what is kept over a restart. docs/formats.md describes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/column_store.h"
#include "replication/types.h"
#include "server/column_table.h"
#include "server/key_index.h"

namespace covey::server {

// Rows with a version that expires, all their versions.
using ExpiringRows = std::map<agg::Slot, std::vector<RowState>>;

struct PartName {
  const ColumnTable& table;
  PartitionId partition;
  uint32_t partitions = 0;  // of the cluster
};

std::string checkpoint_of(const PartName& name, uint64_t state, const agg::ColumnStore& columns,
                          const KeyIndex& keys, const ExpiringRows& expiring);

struct RestoredPart {
  uint64_t state = 0;
  agg::ColumnStore columns;
  KeyIndex keys;
  ExpiringRows expiring;
};
// The error says why the bytes are not of this part: another definition or partition, a later format, damage.
agg::Result<RestoredPart> restore_part(std::string_view bytes, const PartName& name,
                                       agg::ColumnStore::Dictionaries dictionaries);

}  // namespace covey::server
