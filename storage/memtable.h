// The memtables that RocksDB keeps a column's newest writes in, ordered by an EntryTree instead of RocksDB's
// skip list. For columns whose keys are compared bytewise, and without a prefix extractor.
#pragma once

#include <rocksdb/memtablerep.h>

#include <memory>

namespace covey {

std::shared_ptr<rocksdb::MemTableRepFactory> tree_memtables();

}  // namespace covey
