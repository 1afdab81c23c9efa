// Who wants to know what each key holds as soon as the store has accepted it: the columns that aggregates are
// computed from (server/column_feed.h). Called where storage batches are built, on the thread of the core.
//
// Before the store is given a batch, it is told which keys are about to change, and the partition's state
// hash before and after. Who writes that down can find after a crash, from the state hash that is stored
// then, which keys may have changed since any state that it knows. The store may refuse such a batch; of one
// that it refused nothing else is told.
#pragma once

#include <vector>

#include "replication/object.h"
#include "replication/types.h"

namespace covey {

class Feed {
 public:
  virtual ~Feed() = default;
  // These keys alone may hold other versions in the state `after` than in the state `before`.
  virtual void changing(PartitionId, uint64_t /*before*/, uint64_t /*after*/,
                        const std::vector<const TableKey*>& /*keys*/) {}
  // All of a batch was told so: the store is given it now.
  virtual void writing() {}
  // The key holds these versions now (none: it is gone) and others before. The context says nothing here.
  virtual void changed(PartitionId partition, const TableKey& key, const Object& after) = 0;
  // All changed keys of the partition were told, and this is its state hash now.
  virtual void reached(PartitionId, uint64_t /*state*/) {}
  // All keys of the partition may hold other versions than were told, and this is its state hash now. Of
  // what changed nothing was announced.
  virtual void refilled(PartitionId, uint64_t /*state*/) {}
  // This node holds nothing of the partition any more. Its state hash is 0.
  virtual void dropped(PartitionId partition) = 0;
  // The end of a batch: all that was told since the last end is to be seen together or not at all.
  virtual void applied() = 0;
};

}  // namespace covey
