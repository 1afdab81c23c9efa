#include "server/metrics.h"

#include <algorithm>
#include <cstdio>

#include "replication/result.h"
#include "server/text.h"

namespace covey::server {
namespace {

// Exact, without trailing zeros: 2500 is "0.0025".
std::string seconds_text(uint64_t microseconds) {
  char text[40];
  std::snprintf(text, sizeof text, "%llu.%06llu", static_cast<unsigned long long>(microseconds / 1'000'000),
                static_cast<unsigned long long>(microseconds % 1'000'000));
  std::string out = text;
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

size_t slot_of(Level level) {
  size_t slot = static_cast<size_t>(level.kind) + (level.kind == Level::Kind::count ? level.count - 1 : 0);
  COVEY_ASSERT(slot + 1 < level_slots);
  return slot;
}

std::string level_text(size_t slot) {
  constexpr std::array<const char*, 3> words = {"one", "quorum", "all"};
  if (slot + 1 == level_slots) return "none";
  return slot < words.size() ? words[slot] : std::to_string(slot - words.size() + 1);
}

struct Printer {
  std::string& out;
  void head(std::string_view name, std::string_view type, std::string_view help) {
    out.append("# HELP ")
        .append(name)
        .append(" ")
        .append(help)
        .append("\n# TYPE ")
        .append(name)
        .append(" ")
        .append(type);
    out.push_back('\n');
  }
  void value(std::string_view name, std::string_view labels, uint64_t number) {
    out.append(name);
    if (!labels.empty()) out.append("{").append(labels).append("}");
    out.push_back(' ');
    append_number(out, number);
    out.push_back('\n');
  }
  void counter(std::string_view name, std::string_view help, uint64_t number) {
    head(name, "counter", help);
    value(name, "", number);
  }
  void gauge(std::string_view name, std::string_view help, uint64_t number) {
    head(name, "gauge", help);
    value(name, "", number);
  }
};

void print_requests(Printer& print, const Metrics& metrics) {
  print.head("covey_request_seconds", "histogram", "Time from a request's last byte to its answer.");
  for (size_t operation = 0; operation < operation_names.size(); ++operation) {
    for (size_t level = 0; level < level_slots; ++level) {
      const Histogram& histogram = metrics.latency[operation][level];
      if (histogram.count() == 0) continue;
      std::string labels =
          "operation=\"" + std::string(operation_names[operation]) + "\",level=\"" + level_text(level) + "\"";
      histogram.print(print.out, "covey_request_seconds", labels);
    }
  }
  print.head("covey_http_responses_total", "counter", "Answers by HTTP status.");
  for (const auto& [status, count] : metrics.requests_by_status) {
    print.value("covey_http_responses_total", "status=\"" + std::to_string(status) + "\"", count);
  }
  print.counter("covey_reads_with_siblings_total", "Reads that found concurrent values.",
                metrics.reads_with_siblings);
  print.counter("covey_requests_unavailable_total", "Requests refused because too few owners were reachable.",
                metrics.core.unavailable);
  print.counter("covey_requests_timed_out_total", "Requests that too few owners answered in time.",
                metrics.core.timeouts);
  print.counter("covey_requests_overloaded_total", "Requests refused at a limit.", metrics.core.overloaded);
  print.counter("covey_reads_queued_total", "Reads that waited for their turn: others held too much.",
                metrics.core.reads_queued);
  print.counter("covey_busy_replicas_total",
                "Messages of requests that there was no room for; they are sent again.",
                metrics.core.busy_replicas);
  print.gauge("covey_operations_in_flight", "Requests that wait for owners or for the disk.",
              metrics.operations_in_flight);
  print.gauge("covey_shard_queue_length", "Tasks that wait to cross to another shard.", metrics.mailbox);
  print.counter("covey_shard_crossings_total", "Requests whose partition another shard holds.",
                metrics.crossings);
  print.counter("covey_shard_crossings_refused_total", "Those refused because its queue was full.",
                metrics.crossings_refused);
  print.gauge("covey_http_connections", "Open connections of clients.", metrics.connections_open);
  print.counter("covey_http_connections_accepted_total", "Connections of clients so far.",
                metrics.connections_accepted);
  print.counter("covey_http_connections_refused_total",
                "Connections refused because there were as many as the limit allows.",
                metrics.connections_refused);
  print.counter("covey_http_connections_timed_out_total",
                "Connections closed because their client was too slow.", metrics.connections_timed_out);
  print.counter("covey_http_malformed_total", "Requests that were not HTTP.", metrics.bad_http);
  print.counter("covey_http_received_bytes_total", "Bytes from clients.", metrics.http_bytes_in);
  print.counter("covey_http_sent_bytes_total", "Bytes to clients.", metrics.http_bytes_out);
  print.counter("covey_resp_commands_total", "Commands of Redis clients.", metrics.resp_commands);
  print.counter("covey_resp_errors_total", "Those that were answered with an error.", metrics.resp_errors);
  print.counter("covey_resp_malformed_total", "Connections ended because they did not speak Redis' protocol.",
                metrics.bad_resp);
  print.counter("covey_resp_received_bytes_total", "Bytes from Redis clients.", metrics.resp_bytes_in);
  print.counter("covey_resp_sent_bytes_total", "Bytes to Redis clients.", metrics.resp_bytes_out);
  print.counter("covey_resp_hits_total", "Keys that commands of Redis clients read and found.",
                metrics.resp_hits);
  print.counter("covey_resp_misses_total", "Those that were not there.", metrics.resp_misses);
}

void print_replication(Printer& print, const Metrics& metrics) {
  const CoreStats& core = metrics.core;
  print.counter("covey_writes_coordinated_total", "Writes and deletes that this node coordinated.",
                core.writes_coordinated);
  print.counter("covey_reads_coordinated_total", "Reads that this node coordinated.", core.reads_coordinated);
  print.counter("covey_scans_coordinated_total", "Scans of one partition that this node coordinated.",
                core.scans_coordinated);
  print.counter("covey_forwarded_total", "Requests sent on to an owner.", core.forwarded);
  print.counter("covey_forwards_lost_total",
                "Of these, answered as of unknown outcome since the connection ended or the owner died.",
                core.forwards_lost);
  print.counter("covey_forwards_moved_total",
                "Of these, sent to another owner: the connection ended before they had left.",
                core.forwards_moved);
  print.counter("covey_replicas_given_up_total",
                "Answers of replicas that requests no longer waited for, since the replica's process ended.",
                core.replicas_given_up);
  print.counter("covey_merges_total", "Objects of peers that changed something here.", core.merges_applied);
  print.counter("covey_merges_without_effect_total", "Objects of peers that were known already.",
                core.merges_without_effect);
  print.counter("covey_siblings_made_total", "Writes that left concurrent values beside them.",
                core.siblings_made);
  print.counter("covey_read_repairs_total", "Replicas that a read found behind and repaired.",
                core.read_repairs);
  print.counter("covey_gossip_digests_sent_total", "Digests of clocks.", core.gossip_digests_sent);
  print.counter("covey_gossip_objects_sent_total", "Objects sent because a peer lacked them.",
                core.gossip_objects_sent);
  print.counter("covey_gossip_objects_received_total",
                "Objects that peers sent because this node lacked them.", core.gossip_objects_received);
  print.counter("covey_gossip_sent_bytes_total", "Bytes of gossip.", core.gossip_bytes_sent);
  print.counter("covey_stand_ins_refused_total", "Writes that found no room for what is held for others.",
                core.stand_ins_refused);
  print.counter("covey_copies_compared_total", "Copies compared object by object.", core.copies_compared);
  print.counter("covey_objects_repaired_total", "Objects that a copy had lost and took from another.",
                core.objects_repaired);
  print.counter("covey_repairs_started_total", "Whole-partition transfers begun.", core.repairs_started);
  print.counter("covey_repairs_finished_total", "Whole-partition transfers ended well.",
                core.repairs_finished);
  print.counter("covey_copies_filled_total",
                "Copies with hardly any object that were sent everything and took it in as a whole.",
                core.copies_filled);
  print.counter("covey_repairs_resumed_total",
                "Whole-partition transfers that went on where one was interrupted.", core.repairs_resumed);
  print.counter("covey_repair_objects_received_total", "Objects received in whole-partition transfers.",
                core.repair_objects_received);
  print.counter("covey_repair_objects_sent_total", "Objects sent in whole-partition transfers.",
                core.repair_objects_sent);
  print.counter("covey_repair_sent_bytes_total", "Bytes of whole-partition transfers.",
                core.repair_bytes_sent);
  print.counter("covey_state_hash_alarms_total", "Equal clocks with unequal objects: must stay zero.",
                core.state_hash_alarms);
  print.counter("covey_log_cuts_total", "Dot logs cut at their limit.", core.log_cuts);
  print.counter("covey_stand_in_writes_total", "Writes taken for a partition that this node does not own.",
                core.stand_in_writes);
  print.counter("covey_stand_in_drops_total", "Such copies handed over and dropped.", core.stand_in_drops);
  print.counter("covey_probes_total", "Members that were pinged, each in its turn.", core.probes);
  print.counter("covey_probes_failed_total", "Those that did not answer, to others neither.",
                core.probes_failed);
  print.counter("covey_indirect_probes_total", "Members that were asked to ping another.",
                core.indirect_probes);
  print.counter("covey_suspicions_total", "Members that became suspected, whoever had no answer.",
                core.suspicions);
  print.counter("covey_refutations_total", "Suspicions of this node that it refuted.", core.refutations);
  print.counter("covey_member_deaths_total", "Members that became dead.", core.deaths);
  print.gauge("covey_local_health", "0: well; up to 8: this node seems at fault and gives others more time.",
              metrics.local_health);
  print.counter("covey_expired_total", "Values whose time to live ended.", core.expired);
  print.counter("covey_voided_dots_total", "Dots of ended lives that nobody had received.", core.voided_dots);
  print.counter("covey_stale_messages_total", "Messages of a peer's earlier life.",
                core.stale_messages_dropped);
  print.counter("covey_malformed_messages_total", "Messages of peers that could not be read.",
                core.malformed_messages_dropped);
  print.gauge("covey_partitions_held", "Partitions that this node has a copy of.", metrics.held);
  print.gauge("covey_partitions_not_ready", "Owned partitions that are still being filled.",
              metrics.not_ready);
  print.gauge("covey_partitions_diverged", "Partitions whose clock differs from some owner's.",
              metrics.diverged);
  print.head("covey_divergence_age_seconds", "gauge", "How long the longest of them has differed.");
  print.out.append("covey_divergence_age_seconds ")
      .append(seconds_text(metrics.diverged_oldest_us))
      .append("\n");
  print.gauge("covey_objects", "Keys with a value.", metrics.objects);
  print.gauge("covey_object_bytes", "Bytes of keys and values.", metrics.object_bytes);
  print.gauge("covey_stand_in_bytes", "Those of them that are held for other nodes, as a stand-in.",
              metrics.stand_in_bytes);
  print.gauge("covey_dot_log_entries", "Writes that some owner may still lack.", metrics.log);
  print.gauge("covey_residual_objects", "Objects stored with a context.", metrics.residual);
}

void print_peers_and_storage(Printer& print, const Metrics& metrics, const NodeMetrics& node) {
  print.counter("covey_peer_received_messages_total", "Messages of peers.", metrics.peer_messages_in);
  print.counter("covey_peer_received_bytes_total", "Bytes of them.", metrics.peer_bytes_in);
  print.counter("covey_peer_sent_messages_total", "Messages to peers.", metrics.peer_messages_out);
  print.counter("covey_peer_sent_bytes_total", "Bytes of them.", metrics.peer_bytes_out);
  print.head("covey_peer_dropped_messages_total", "counter",
             "Messages to peers that were dropped; gossip heals it.");
  print.value("covey_peer_dropped_messages_total", "reason=\"buffer_full\"",
              metrics.peer_messages_dropped_full);
  print.value("covey_peer_dropped_messages_total", "reason=\"not_connected\"",
              metrics.peer_messages_dropped_unlinked);
  print.gauge("covey_peer_send_buffer_bytes", "Bytes that wait to be sent to peers.",
              metrics.peer_buffer_bytes);
  print.gauge("covey_peer_links", "Connections to peers that stand, over all shards.", metrics.peer_links_up);
  print.counter("covey_peer_connects_total", "Connections to peers that were made.", metrics.peer_connects);
  print.counter("covey_peer_losses_total", "Connections to peers that were lost.", metrics.peer_losses);
  print.counter("covey_peer_pauses_cut_total",
                "Peers dialed before their time because they had shown themselves.", metrics.peer_pauses_cut);
  print.counter("covey_peer_bad_frames_total", "Frames with a wrong length, checksum or content.",
                metrics.peer_frames_bad);
  print.counter("covey_peer_refused_handshakes_total", "Peers that were refused.",
                metrics.peer_handshakes_refused);
  print.counter("covey_store_errors_total", "Requests that failed in storage.", metrics.store_errors);
  print.head("covey_durable_wait_seconds", "histogram",
             "Time from the first unsynced write to the sync that covers it.");
  metrics.durable_wait.print(print.out, "covey_durable_wait_seconds", "");
  print.counter("covey_store_syncs_total", "Syncs of the storage's log.", node.syncs);
  print.counter("covey_backups_made_total", "Backups made.", node.backups_made);
  print.counter("covey_backups_failed_total", "Backups that failed.", node.backups_failed);
  print.gauge("covey_backup_newest_timestamp_seconds",
              "When the newest backup was made, since 1970; 0: there is none.", node.backup_newest_s);
  print.gauge("covey_disk_free_bytes", "Free space where the data is.", node.disk_free_bytes);
  print.gauge("covey_writes_refused", "1 while the disk is below its free-space floor.",
              node.writes_refused ? 1 : 0);
  print.gauge("covey_members", "Nodes that this node knows, itself included.", node.members_known);
  print.gauge("covey_members_alive", "Those of them that answer.", node.members_alive);
  print.gauge("covey_clock_difference_milliseconds",
              "The most by which a wall clock of theirs differs from this node's.", node.clock_difference_ms);
  print.gauge("covey_uptime_seconds", "Since this process began.", node.uptime_seconds);
}

void add_core(CoreStats& to, const CoreStats& from) {
  // CoreStats holds nothing but counts of one type, so they are added as an array of them.
  static_assert(sizeof(CoreStats) % sizeof(uint64_t) == 0);
  auto* out = reinterpret_cast<uint64_t*>(&to);
  auto* in = reinterpret_cast<const uint64_t*>(&from);
  for (size_t i = 0; i < sizeof(CoreStats) / sizeof(uint64_t); ++i) out[i] += in[i];
}

}  // namespace

void Histogram::add(uint64_t microseconds) {
  auto bound = std::lower_bound(bounds_us.begin(), bounds_us.end(), microseconds);
  ++buckets_[static_cast<size_t>(bound - bounds_us.begin())];
  ++count_;
  sum_us_ += microseconds;
}

void Histogram::add(const Histogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
}

void Histogram::print(std::string& out, std::string_view name, std::string_view labels) const {
  std::string prefix(name);
  std::string comma = labels.empty() ? "" : ",";
  uint64_t total = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    total += buckets_[i];
    std::string bound = i < bounds_us.size() ? seconds_text(bounds_us[i]) : "+Inf";
    out.append(prefix)
        .append("_bucket{")
        .append(labels)
        .append(comma)
        .append("le=\"")
        .append(bound)
        .append("\"} ");
    append_number(out, total);
    out.push_back('\n');
  }
  std::string braces = labels.empty() ? "" : "{" + std::string(labels) + "}";
  out.append(prefix).append("_sum").append(braces).append(" ").append(seconds_text(sum_us_)).append("\n");
  out.append(prefix).append("_count").append(braces).append(" ");
  append_number(out, count_);
  out.push_back('\n');
}

void Metrics::observe(MeteredOperation operation, Level level, uint64_t microseconds) {
  latency[static_cast<size_t>(operation)][slot_of(level)].add(microseconds);
}

void Metrics::observe(MeteredOperation operation, uint64_t microseconds) {
  latency[static_cast<size_t>(operation)].back().add(microseconds);
}

void Metrics::add(const Metrics& other) {
  for (size_t i = 0; i < latency.size(); ++i) {
    for (size_t j = 0; j < latency[i].size(); ++j) latency[i][j].add(other.latency[i][j]);
  }
  for (const auto& [status, count] : other.requests_by_status) requests_by_status[status] += count;
  durable_wait.add(other.durable_wait);
  add_core(core, other.core);
  diverged_oldest_us = std::max(diverged_oldest_us, other.diverged_oldest_us);
  static constexpr uint64_t Metrics::*counts[] = {&Metrics::reads_with_siblings,
                                                  &Metrics::connections_open,
                                                  &Metrics::connections_accepted,
                                                  &Metrics::connections_refused,
                                                  &Metrics::connections_timed_out,
                                                  &Metrics::http_bytes_in,
                                                  &Metrics::http_bytes_out,
                                                  &Metrics::bad_http,
                                                  &Metrics::resp_commands,
                                                  &Metrics::resp_errors,
                                                  &Metrics::resp_bytes_in,
                                                  &Metrics::resp_bytes_out,
                                                  &Metrics::bad_resp,
                                                  &Metrics::resp_hits,
                                                  &Metrics::resp_misses,
                                                  &Metrics::crossings,
                                                  &Metrics::crossings_refused,
                                                  &Metrics::peer_messages_in,
                                                  &Metrics::peer_bytes_in,
                                                  &Metrics::peer_messages_out,
                                                  &Metrics::peer_bytes_out,
                                                  &Metrics::peer_messages_dropped_full,
                                                  &Metrics::peer_messages_dropped_unlinked,
                                                  &Metrics::peer_frames_bad,
                                                  &Metrics::peer_handshakes_refused,
                                                  &Metrics::peer_connects,
                                                  &Metrics::peer_losses,
                                                  &Metrics::peer_pauses_cut,
                                                  &Metrics::store_errors,
                                                  &Metrics::aggregate_replicas_differ,
                                                  &Metrics::operations_in_flight,
                                                  &Metrics::mailbox,
                                                  &Metrics::peer_buffer_bytes,
                                                  &Metrics::peer_links_up,
                                                  &Metrics::objects,
                                                  &Metrics::object_bytes,
                                                  &Metrics::stand_in_bytes,
                                                  &Metrics::log,
                                                  &Metrics::residual,
                                                  &Metrics::held,
                                                  &Metrics::not_ready,
                                                  &Metrics::diverged,
                                                  &Metrics::local_health};
  for (auto count : counts) this->*count += other.*count;
}

namespace {

void print_columns(Printer& print, const Metrics& metrics, const NodeMetrics& node) {
  print.gauge("covey_column_rows", "Rows in columns, of all copies here.", node.column_rows);
  print.gauge("covey_column_bytes", "Memory of columns and their keys.", node.column_bytes);
  print.gauge("covey_column_bytes_max", "What it may be: aggregation.memory_mb.", node.column_bytes_max);
  print.gauge("covey_column_evicted_bytes", "Memory of columns that left for lack of it, when they did.",
              node.column_evicted_bytes);
  print.counter("covey_column_evictions_total",
                "Columns, or whole tables of them, that left for lack of memory.", node.column_evictions);
  print.counter("covey_column_returns_total", "Loads of columns that had left, because they were asked for.",
                node.column_returns);
  print.counter("covey_column_returns_refused_total", "Those of them for which there was no room.",
                node.column_returns_refused);
  print.gauge("covey_column_parts_loading", "Parts of tables whose columns are not whole yet.",
              node.column_parts_loading);
  print.gauge("covey_column_parts_failed", "Parts of tables that have no columns, most likely for memory.",
              node.column_parts_failed);
  print.gauge("covey_column_parts_rebuilding", "Those of them that are read from all stored objects.",
              node.column_parts_rebuilding);
  print.counter("covey_column_parts_restored_total", "Parts that began with a checkpoint.",
                node.column_parts_restored);
  print.counter("covey_column_parts_rebuilt_total", "Parts that began with all stored objects.",
                node.column_parts_rebuilt);
  print.counter("covey_column_checkpoints_total", "Checkpoints of parts that were written.",
                node.column_checkpoints);
  print.counter("covey_column_checkpoints_failed_total",
                "Checkpoints that were not written, most likely for lack of space.",
                node.column_checkpoints_failed);
  print.gauge("covey_column_journal_bytes", "Changes written down since the checkpoints.",
              node.column_journal_bytes);
  print.counter("covey_column_journal_failures_total",
                "Times that changes could not be written down: a crash then costs a rebuild.",
                node.column_journal_failures);
  print.counter("covey_column_changes_total", "Changes told to the columns.", node.column_changes);
  print.gauge("covey_column_waiting_bytes", "Changes that the columns have not taken yet.",
              node.column_waiting_bytes);
  print.counter("covey_column_reloads_total",
                "Shards whose columns were loaded again: too many changes waited.", node.column_lanes_lost);
  print.head("covey_aggregate_scans_total", "counter", "Passes over columns.");
  print.value("covey_aggregate_scans_total", "device=\"cpu\"", node.cpu_scans);
  print.value("covey_aggregate_scans_total", "device=\"gpu\"", node.gpu_scans);
  print.counter("covey_aggregate_replicas_differ_total",
                "Partitions whose owners have equal clocks and gave unequal results: must stay zero.",
                metrics.aggregate_replicas_differ);
  print.gauge("covey_gpu_present", "1: there is one, and it is not retired.", node.gpu_present ? 1 : 0);
  print.counter("covey_gpu_failures_total", "Failures of the GPU: it is retired by one.", node.gpu_failures);
}

}  // namespace

std::string print_metrics(const Metrics& metrics, const NodeMetrics& node) {
  std::string out;
  Printer print{out};
  print_requests(print, metrics);
  print_replication(print, metrics);
  print_peers_and_storage(print, metrics, node);
  print_columns(print, metrics, node);
  return out;
}

}  // namespace covey::server
