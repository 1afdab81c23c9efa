// What a shard counts about its own work. Each shard has one Metrics and is the only one to touch it: a
// scrape asks every shard for a copy and adds them up, so counting costs no lock and no atomic operation.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "replication/core.h"
#include "replication/level.h"

namespace covey::server {

class Histogram {
 public:
  static constexpr std::array<uint64_t, 15> bounds_us = {100,     250,     500,       1'000,     2'500,
                                                         5'000,   10'000,  25'000,    50'000,    100'000,
                                                         250'000, 500'000, 1'000'000, 2'500'000, 5'000'000};
  void add(uint64_t microseconds);
  void add(const Histogram& other);
  uint64_t count() const { return count_; }
  // Prometheus lines; labels without braces, may be empty.
  void print(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::array<uint64_t, bounds_us.size() + 1> buckets_{};  // the last: above all bounds
  uint64_t count_ = 0;
  uint64_t sum_us_ = 0;
};

inline constexpr std::array<std::string_view, 7> operation_names = {"get",   "put",   "delete", "scan",
                                                                    "batch", "other", "change"};
enum class MeteredOperation : uint8_t { get, put, erase, scan, batch, other, change };
// A place for each level that can be asked for (one, quorum, all, the numbers from 1 to 16), and one, the
// last, for requests without a level.
inline constexpr size_t level_slots = 3 + 16 + 1;

struct Metrics {
  // Latency from the request's last byte to its answer's last byte in the connection's buffer.
  std::array<std::array<Histogram, level_slots>, operation_names.size()> latency;
  std::map<int, uint64_t> requests_by_status;
  uint64_t reads_with_siblings = 0;
  uint64_t connections_open = 0, connections_accepted = 0, connections_refused = 0, connections_timed_out = 0;
  uint64_t http_bytes_in = 0, http_bytes_out = 0, bad_http = 0;
  uint64_t resp_commands = 0, resp_errors = 0, resp_bytes_in = 0, resp_bytes_out = 0, bad_resp = 0;
  uint64_t resp_hits = 0, resp_misses = 0;  // keys that Redis clients looked up
  uint64_t crossings = 0,
           crossings_refused = 0;  // requests that another shard holds; refused: its queue was full
  uint64_t peer_messages_in = 0, peer_bytes_in = 0, peer_messages_out = 0, peer_bytes_out = 0;
  uint64_t peer_messages_dropped_full = 0, peer_messages_dropped_unlinked = 0;
  uint64_t peer_frames_bad = 0, peer_handshakes_refused = 0, peer_connects = 0, peer_losses = 0;
  uint64_t peer_pauses_cut = 0;  // before dialing again, since the peer has shown itself
  uint64_t store_errors = 0;
  uint64_t aggregate_replicas_differ = 0;  // partitions
  Histogram durable_wait;  // from a write's Lsn to the word that it is durable: the time of a shared sync

  // Filled for a scrape.
  CoreStats core;
  uint64_t operations_in_flight = 0, mailbox = 0, peer_buffer_bytes = 0, peer_links_up = 0;
  uint64_t objects = 0, object_bytes = 0, stand_in_bytes = 0, log = 0, residual = 0, held = 0, not_ready = 0;
  uint64_t diverged = 0, diverged_oldest_us = 0;
  uint64_t local_health = 0;  // of failure detection, at shard 0

  void observe(MeteredOperation operation, Level level, uint64_t microseconds);
  void observe(MeteredOperation operation, uint64_t microseconds);  // without a level
  void add(const Metrics& other);
};

// `node` alone for the whole node.
struct NodeMetrics {
  uint64_t syncs = 0;
  uint64_t uptime_seconds = 0;
  uint64_t members_alive = 0, members_known = 0, clock_difference_ms = 0;
  uint64_t disk_free_bytes = 0;
  bool writes_refused = false;
  uint64_t backups_made = 0, backups_failed = 0, backup_newest_s = 0;
  // The columns', of a moment ago.
  uint64_t column_rows = 0, column_bytes = 0, column_parts_loading = 0, column_parts_failed = 0;
  uint64_t column_bytes_max = 0, column_evicted_bytes = 0, column_evictions = 0, column_returns = 0;
  uint64_t column_returns_refused = 0;
  uint64_t column_parts_rebuilding = 0, column_parts_restored = 0, column_parts_rebuilt = 0;
  uint64_t column_checkpoints = 0, column_checkpoints_failed = 0;
  uint64_t column_journal_bytes = 0, column_journal_failures = 0;
  uint64_t column_changes = 0, column_waiting_bytes = 0, column_lanes_lost = 0;
  uint64_t cpu_scans = 0, gpu_scans = 0, gpu_failures = 0;
  bool gpu_present = false;
};
std::string print_metrics(const Metrics& metrics, const NodeMetrics& node);

}  // namespace covey::server
