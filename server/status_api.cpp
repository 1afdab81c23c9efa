#include "server/status_api.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "server/aggregator.h"
#include "server/backups.h"
#include "server/cluster_api.h"
#include "server/json_body.h"
#include "storage/rocks_database.h"

namespace covey::server {
namespace {

// Members appear in the order in which they are written: this is read by people.
using nlohmann::ordered_json;

const char* state_text(MemberState state) {
  switch (state) {
    case MemberState::self:
    case MemberState::alive:
      return "alive";
    case MemberState::suspected:
      return "suspected";
    case MemberState::unreachable:
      return "unreachable";
    case MemberState::dead:
      return "dead";
  }
  return "unreachable";
}

ordered_json names(const std::vector<NodeId>& nodes) {
  ordered_json out = ordered_json::array();
  for (const NodeId& node : nodes) out.push_back(node.name);
  return out;
}

// A dot set as {"n1.7f3a": 42} where it is contiguous, {"n1.7f3a": "1-42,44"} where it has gaps.
ordered_json clock_json(const Core& core, const Clock& clock) {
  ordered_json out = ordered_json::object();
  for (const DotSet::Entry& entry : clock.entries()) {
    std::string name = core.dot_text({entry.actor, Counter{1}});
    name.resize(name.rfind(':'));
    if (entry.runs.empty()) {
      out[name] = entry.base;
      continue;
    }
    std::string runs;
    for (const DotSet::Run& run : DotSet::runs_of(entry)) {
      if (!runs.empty()) runs.push_back(',');
      runs += std::to_string(run.first);
      if (run.last != run.first) runs += "-" + std::to_string(run.last);
    }
    out[name] = runs;
  }
  return out;
}

ordered_json partition_json(const Core& core, const PartitionView& view) {
  char hash[17];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(view.state_hash));
  ordered_json out;
  out["partition"] = view.partition.value;
  out["owners"] = names(view.owners);
  out["filling"] = names(view.filling);
  out["held"] = view.held;
  out["ready"] = view.ready;
  out["clock"] = clock_json(core, view.clock);
  out["state_hash"] = hash;
  out["objects"] = view.objects;
  out["bytes"] = view.bytes;
  out["arrived"] = view.arrived;
  out["log"] = view.log;
  out["residual"] = view.residual;
  out["diverged"] = names(view.diverged);
  return out;
}

ordered_json members_json(ShardLoop& shard) {
  ordered_json members = ordered_json::array();
  const Now time = now();
  for (const MemberView& view : shard.core().members(time)) {
    if (view.member.standing == Standing::removed && view.state != MemberState::self) continue;
    ordered_json member;
    member["node"] = view.member.node.name;
    member["http"] = view.member.http_address;
    member["peer"] = view.member.peer_address;
    member["zone"] = view.member.zone;
    member["weight"] = view.member.weight;
    member["state"] = state_text(view.state);
    const Verdict& verdict = view.verdict;
    member["health"] = health_text(verdict.health);
    member["incarnation"] = verdict.incarnation;
    const uint64_t since_us = std::max(verdict.since_us, shard.node().started_us);
    member["health_ms"] = (time.tick_us - std::min(time.tick_us, since_us)) / 1000;
    member["reachable"] = view.reachable;
    if (view.clock_ahead_ms) member["clock_ahead_ms"] = *view.clock_ahead_ms;
    member["standing"] = standing_text(view.member.standing);
    if (!view.member.place.empty()) member["place"] = view.member.place;
    member["self"] = view.state == MemberState::self;
    members.push_back(std::move(member));
  }
  return members;
}

// One shard's part of the page.
struct Ring {
  std::vector<std::pair<uint32_t, ordered_json>> partitions;
  uint64_t diverged = 0;
  uint64_t oldest_us = 0;
  uint64_t objects = 0;
};

Ring ring_of(ShardLoop& shard) {
  Ring ring;
  Now time = now();
  for (const PartitionView& view : shard.core().partitions(time)) {
    ring.partitions.emplace_back(view.partition.value, partition_json(shard.core(), view));
    ring.objects += view.objects;
    if (view.diverged_since_us == 0) continue;
    ++ring.diverged;
    ring.oldest_us = std::max(ring.oldest_us, time.tick_us - std::min(time.tick_us, view.diverged_since_us));
  }
  return ring;
}

ordered_json level_json(const ExplainView& view, Level level, uint32_t replicas) {
  uint32_t needed = level.needed(replicas);
  auto reachable = static_cast<uint32_t>(std::count_if(view.owners.begin(), view.owners.end(),
                                                       [](const auto& owner) { return owner.reachable; }));
  ordered_json out;
  out["level"] = level.text();
  out["needed"] = needed;
  out["reachable"] = reachable;
  return out;
}

}  // namespace

void show_cluster(std::shared_ptr<HttpConnection> connection, uint64_t slot) {
  auto then = [connection, slot](std::vector<Ring>&& rings) {
    ShardLoop& shard = connection->shard();
    const NodeContext& node = shard.node();
    std::vector<std::pair<uint32_t, ordered_json>> all;
    uint64_t diverged = 0;
    uint64_t oldest_us = 0;
    uint64_t objects = 0;
    for (Ring& ring : rings) {
      objects += ring.objects;
      std::move(ring.partitions.begin(), ring.partitions.end(), std::back_inserter(all));
      diverged += ring.diverged;
      oldest_us = std::max(oldest_us, ring.oldest_us);
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    ordered_json body;
    body["cluster"] = node.config.cluster_name;
    body["node"] = node.self.node.name;
    body["partitions"] = node.config.partitions;
    body["replicas"] = node.config.replicas;
    body["members"] = members_json(shard);
    body["removed"] = ordered_json::array();
    for (const MemberView& view : shard.core().members(now())) {
      if (view.member.standing == Standing::removed) body["removed"].push_back(view.member.node.name);
    }
    body["ring"] = ordered_json::array();
    for (auto& [partition, part] : all) body["ring"].push_back(std::move(part));
    body["stored"] = {{"objects", objects}, {"bytes", node.database->live_bytes()}};
    body["divergence"] = {{"partitions", diverged}, {"oldest_ms", oldest_us / 1000}};
    const ColumnSet::Counts columns = node.aggregator->counts().columns;
    body["columns"] = {{"rows", columns.rows},
                       {"bytes", columns.bytes},
                       {"bytes_max", columns.bytes_max},
                       {"loading", columns.loading},
                       {"evicted_columns", columns.evicted_columns},
                       {"evicted_tables", columns.evicted_tables},
                       {"evicted_bytes", columns.evicted_bytes}};
    connection->reply(slot, ReplyHead{}, body_text(body));
  };
  gather<Ring>(connection->shard(), ring_of, then);
}

void show_live(std::shared_ptr<HttpConnection> connection, uint64_t slot) {
  connection->reply(slot, ReplyHead{}, "{\"status\":\"live\"}\n");
}

void show_ready(std::shared_ptr<HttpConnection> connection, uint64_t slot) {
  const NodeContext& node = connection->shard().node();
  if (node.draining) {
    return connection->reply(slot,
                             ErrorAnswer{503, "not_ready", "The node is closing: use another one.", {}});
  }
  if (node.writes_refused) {
    return connection->reply(
        slot, ErrorAnswer{503,
                          "not_ready",
                          "The disk is below its free-space floor and writes are refused: free some space.",
                          {}});
  }
  connection->reply(slot, ReplyHead{}, "{\"status\":\"ready\"}\n");
}

void show_metrics(std::shared_ptr<HttpConnection> connection, uint64_t slot) {
  auto then = [connection, slot](std::vector<Metrics>&& parts) {
    Metrics total;
    for (const Metrics& part : parts) total.add(part);
    const NodeContext& node = connection->shard().node();
    NodeMetrics whole;
    whole.syncs = node.database->syncs();
    whole.uptime_seconds = (now().tick_us - node.started_us) / 1'000'000;
    whole.disk_free_bytes = node.disk_free_bytes;
    whole.writes_refused = node.writes_refused;
    const Backups::View backups = node.backups->view();
    whole.backups_made = backups.made;
    whole.backups_failed = backups.failed;
    whole.backup_newest_s = backups.newest_s;
    for (const MemberView& view : connection->shard().core().members(now())) {
      ++whole.members_known;
      const int64_t ahead = view.reachable ? view.clock_ahead_ms.value_or(0) : 0;
      whole.clock_difference_ms =
          std::max<uint64_t>(whole.clock_difference_ms, static_cast<uint64_t>(std::abs(ahead)));
      whole.members_alive += view.state == MemberState::self || view.state == MemberState::alive ? 1 : 0;
    }
    const Aggregator::Counts aggregation = node.aggregator->counts();
    whole.column_rows = aggregation.columns.rows;
    whole.column_bytes = aggregation.columns.bytes;
    whole.column_bytes_max = aggregation.columns.bytes_max;
    whole.column_evicted_bytes = aggregation.columns.evicted_bytes;
    whole.column_evictions = aggregation.columns.evictions_total;
    whole.column_returns = aggregation.columns.returns_total;
    whole.column_returns_refused = aggregation.columns.refused_total;
    whole.column_parts_loading = aggregation.columns.loading;
    whole.column_parts_failed = aggregation.columns.failed;
    whole.column_parts_rebuilding = aggregation.columns.rebuilding;
    whole.column_parts_restored = aggregation.columns.restored_total;
    whole.column_parts_rebuilt = aggregation.columns.rebuilt_total;
    whole.column_checkpoints = aggregation.kept.written;
    whole.column_checkpoints_failed = aggregation.kept.failed;
    whole.column_journal_bytes = aggregation.kept.changes_bytes;
    whole.column_journal_failures = aggregation.kept.changes_failed;
    whole.column_changes = aggregation.changes;
    whole.column_waiting_bytes = aggregation.waiting_bytes;
    whole.column_lanes_lost = aggregation.lanes_lost;
    whole.cpu_scans = aggregation.engine.cpu_scans;
    whole.gpu_scans = aggregation.engine.gpu_scans;
    whole.gpu_failures = aggregation.engine.gpu_failures;
    whole.gpu_present = aggregation.engine.gpu_present;
    connection->reply(slot, ReplyHead{200, "text/plain; version=0.0.4; charset=utf-8"},
                      print_metrics(total, whole));
  };
  gather<Metrics>(
      connection->shard(), [](ShardLoop& shard) { return shard.collect(); }, then);
}

void explain_key(std::shared_ptr<HttpConnection> connection, uint64_t slot, const TableKey& key,
                 const CallOptions& options) {
  NodeContext& node = connection->shard().node();
  uint32_t partition = partition_of(key.table, key.key, node.config.partitions).value;
  ShardLoop* owner = node.shards[partition % node.shards.size()];
  owner->mailbox().post([owner, connection, slot, key, options] {
    auto view = std::make_shared<ExplainView>(owner->core().explain(now(), key.table, key.key));
    connection->shard().mailbox().post([connection, slot, key, options, view] {
      uint32_t replicas = connection->shard().node().config.replicas;
      ordered_json body;
      body["table"] = key.table;
      body["key"] = key.key;
      body["partition"] = view->partition.value;
      body["owners"] = ordered_json::array();
      for (const OwnerView& one : view->owners) {
        body["owners"].push_back({{"node", one.node.name},
                                  {"state", state_text(one.state)},
                                  {"reachable", one.reachable},
                                  {"ready", one.ready}});
      }
      auto filled =
          static_cast<uint32_t>(std::count_if(view->owners.begin(), view->owners.end(),
                                              [](const auto& one) { return one.ready && one.reachable; }));
      body["read"] = level_json(*view, options.read, replicas);
      body["write"] = level_json(*view, options.write, replicas);
      // With sloppy, stand-ins and replicas that are being filled count too.
      for (const char* side : {"read", "write"}) {
        uint32_t needed = body[side]["needed"];
        uint32_t answering = body[side]["reachable"];
        if (options.sloppy) answering += static_cast<uint32_t>(view->stand_ins.size());
        if (!options.sloppy && side == std::string_view("read")) answering = filled;
        body[side]["would_succeed"] = answering >= needed;
      }
      body["stand_ins"] = names(view->stand_ins);
      connection->reply(slot, ReplyHead{}, body_text(body));
    });
  });
}

}  // namespace covey::server
