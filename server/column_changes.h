// Which keys may have changed between two states of a partition, from what was written down before each batch
// that the store was given (replication/feed.h).
//
// A state is the partition's state hash: it names what all keys of the partition hold, down to values and
// dots. Each record says "from state a to state b these keys changed, and no others", and is true whatever
// became of the batch. So if records lead from a checkpoint's state to the state that the store is found in,
// the objects differ in keys of those records alone, no matter in which order, from which life of the
// directory or how many times they come. If none lead there, something else has changed the partition, or a
// record is lost, and nothing may be concluded.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "replication/types.h"

namespace covey::server {

// One batch's records as bytes.
class ChangeWriter {
 public:
  void add(PartitionId partition, uint64_t before, uint64_t after, const std::vector<const TableKey*>& keys);
  bool empty() const { return body_.empty(); }
  // The batch with its length and checksum; the writer is empty then.
  std::string take();

 private:
  std::string body_;
};

// Where batches are written down, in order.
class ChangeSink {
 public:
  virtual ~ChangeSink() = default;
  // The store is given the batch once this returns. A failure is this one's own business: what is missing is
  // noticed when it is read.
  virtual void write(std::string_view batch) = 0;
  // What follows belongs to another file.
  virtual void begin_file() = 0;
};

class ColumnChanges {
 public:
  // Reads batches up to the first that is cut short or damaged; false: there was one. Keeps the bytes.
  bool read(std::string bytes);
  // The table's keys that may differ between these two states. nullopt: it can't be told.
  std::optional<std::set<std::string>> between(PartitionId partition, std::string_view table, uint64_t from,
                                               uint64_t to) const;

 private:
  struct Record {
    uint64_t after = 0;
    uint64_t count = 0;
    std::string_view keys;  // encoded
  };
  std::deque<std::string> bytes_;                                   // which keys of records are in
  std::map<PartitionId, std::multimap<uint64_t, Record>> records_;  // by the state before
};

}  // namespace covey::server
