// One replica's part in reads: an object or a run of keys, as answers.
#pragma once

#include <optional>

#include "replication/read_state.h"
#include "replication/shard.h"

namespace covey {

// Reads what the request (get or scan) asks for from this node's own copy.
Refusal read_here(Shard& shard, PartitionId id, const Request& request, ReadAnswer& answer);

Refusal scan_for_peer(Shard& shard, PartitionId id, const peer::Scan& wanted, peer::ScanReply& reply);

// nullopt: malformed.
std::optional<ReadAnswer> decode_scan_reply(const peer::ScanReply& message);

}  // namespace covey
