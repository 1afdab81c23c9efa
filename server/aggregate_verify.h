// Whether the owners of a partition gave the same bits. Compares only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "replication/types.h"

namespace covey::server {

// What one owner's rows of a partition gave in one round, and which rows they were.
struct PartitionWitness {
  uint32_t partition = 0;
  uint64_t bits_low = 0, bits_high = 0;  // a hash of the encoded partial result
  uint64_t clock = 0;                    // a hash of the copy's clock; 0: it changed meanwhile
  uint64_t at_ms = 0;                    // wall clock: what had expired then did not count
  uint64_t next_expiry_ms = 0;           // when the next version expires; 0: none does
};

// A hash of these bytes for a witness.
void set_bits(PartitionWitness& witness, std::string_view encoded);
uint64_t clock_hash(std::string_view encoded);  // never 0

// The owners' answers of one request.
class AggregateVerdict {
 public:
  // The last answer of a node counts.
  void add(const NodeId& node, const PartitionWitness& witness);
  // After each round: compares what was added since the last one.
  void end_round(size_t answers);

  struct Difference {
    uint32_t partition = 0;
    std::vector<std::string> nodes;
  };
  size_t equal() const { return compared_.size() - diverging_.size(); }
  // Answers differ because the copies do, or may: writes are still on their way.
  const std::set<uint32_t>& diverging() const { return diverging_; }
  // Fewer owners than wanted answered.
  const std::set<uint32_t>& unverified() const { return unverified_; }
  // Answers differ though the copies' clocks are equal: that must not be.
  const std::vector<Difference>& broken() const { return broken_; }

 private:
  using Answers = std::vector<std::pair<NodeId, PartitionWitness>>;
  void compare(uint32_t partition, const Answers& answers);

  std::map<uint32_t, Answers> round_;
  std::set<uint32_t> compared_, diverging_, unverified_;
  std::vector<Difference> broken_;
};

}  // namespace covey::server
