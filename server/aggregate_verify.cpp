#include "server/aggregate_verify.h"

#include <algorithm>

#include "replication/hash.h"

namespace covey::server {
namespace {

bool same_bits(const PartitionWitness& a, const PartitionWitness& b) {
  return a.bits_low == b.bits_low && a.bits_high == b.bits_high;
}

// Copies with equal clocks hold the same versions; but one may have looked when a version had not expired
// yet.
bool must_be_equal(const PartitionWitness& a, const PartitionWitness& b) {
  if (a.clock == 0 || a.clock != b.clock) return false;
  const PartitionWitness& earlier = a.at_ms < b.at_ms ? a : b;
  return earlier.next_expiry_ms == 0 || earlier.next_expiry_ms > std::max(a.at_ms, b.at_ms);
}

}  // namespace

void set_bits(PartitionWitness& witness, std::string_view encoded) {
  witness.bits_low = hash_bytes(encoded, 1);
  witness.bits_high = hash_bytes(encoded, 2);
}

uint64_t clock_hash(std::string_view encoded) { return std::max<uint64_t>(1, hash_bytes(encoded, 3)); }

void AggregateVerdict::add(const NodeId& node, const PartitionWitness& witness) {
  Answers& answers = round_[witness.partition];
  std::erase_if(answers, [&](const auto& known) { return known.first == node; });
  answers.emplace_back(node, witness);
}

void AggregateVerdict::end_round(size_t answers) {
  for (const auto& [partition, given] : round_) {
    if (given.size() < answers) unverified_.insert(partition);
    if (given.size() > 1) compare(partition, given);
  }
  round_.clear();
}

void AggregateVerdict::compare(uint32_t partition, const Answers& answers) {
  compared_.insert(partition);
  Difference broken{partition, {}};
  for (size_t i = 0; i < answers.size(); ++i) {
    for (size_t k = i + 1; k < answers.size(); ++k) {
      const PartitionWitness& a = answers[i].second;
      const PartitionWitness& b = answers[k].second;
      if (same_bits(a, b)) continue;
      diverging_.insert(partition);
      if (must_be_equal(a, b) && broken.nodes.empty())
        broken.nodes = {answers[i].first.name, answers[k].first.name};
    }
  }
  if (!broken.nodes.empty()) broken_.push_back(std::move(broken));
}

}  // namespace covey::server
