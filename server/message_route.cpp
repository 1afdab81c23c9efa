#include "server/message_route.h"

#include "replication/peer_messages.h"
#include "replication/types.h"

namespace covey::server {

Route route_of(const peer::Envelope& message, uint32_t partitions, uint32_t shards) {
  auto by_partition = [&](uint32_t partition) { return Route{false, partition % shards}; };
  auto by_operation = [&](uint64_t operation) {
    return Route{false, static_cast<uint32_t>(operation % shards)};
  };
  switch (message.body_case()) {
    case peer::Envelope::kClockTell:
      return by_partition(message.clock_tell().partition());
    case peer::Envelope::kPush:
      return by_partition(message.push().partition());
    case peer::Envelope::kReplicate:
      return by_partition(message.replicate().partition());
    case peer::Envelope::kFetch:
      return by_partition(message.fetch().partition());
    case peer::Envelope::kScan:
      return by_partition(message.scan().partition());
    case peer::Envelope::kRepairOpen:
      return by_partition(message.repair_open().partition());
    case peer::Envelope::kRepairNext:
      return by_partition(message.repair_next().partition());
    case peer::Envelope::kRepairChunk:
      return by_partition(message.repair_chunk().partition());
    case peer::Envelope::kForward:
      return by_partition(partition_of(message.forward().table(), message.forward().key(), partitions).value);
    case peer::Envelope::kReplicateAck:
      return by_operation(message.replicate_ack().operation());
    case peer::Envelope::kFetchReply:
      return by_operation(message.fetch_reply().operation());
    case peer::Envelope::kScanReply:
      return by_operation(message.scan_reply().operation());
    case peer::Envelope::kAggregateAsk:  // any shard: the columns are on another thread
      return by_operation(message.aggregate_ask().operation());
    case peer::Envelope::kAggregateReply:
      return by_operation(message.aggregate_reply().operation());
    case peer::Envelope::kAggregateMore:
      return by_operation(message.aggregate_more().ticket());
    case peer::Envelope::kForwardReply:
      return by_operation(message.forward_reply().operation());
    case peer::Envelope::kDetection:  // membership lives there
      return {false, 0};
    default:
      return {true, 0};  // hello, welcome, digest, tables; and an empty one, which every core refuses alike
  }
}

}  // namespace covey::server
