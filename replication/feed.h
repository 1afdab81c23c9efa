// Who wants to know what each key holds as soon as the store has accepted it: the columns that aggregates are
// computed from (server/column_feed.h). Called where storage batches are built, after each of them, on the
// thread of the core; nothing of a batch that the store refused is told.
#pragma once

#include "replication/object.h"
#include "replication/types.h"

namespace covey {

class Feed {
 public:
  virtual ~Feed() = default;
  // The key holds these versions now (none: it is gone) and others before. The context says nothing here.
  virtual void changed(PartitionId partition, const TableKey& key, const Object& after) = 0;
  // This node holds nothing of the partition any more.
  virtual void dropped(PartitionId partition) = 0;
  // The end of a batch: all that was told since the last end is to be seen together or not at all.
  virtual void applied() = 0;
};

}  // namespace covey
