// The oracle's judgement of answers.
#include <algorithm>
#include <bit>

#include "replication/typed.h"
#include "tests/sim/failure.h"
#include "tests/sim/gone.h"
#include "tests/sim/oracle.h"

namespace covey::sim {
namespace {

uint32_t count_of(NodeMask mask) { return static_cast<uint32_t>(std::popcount(mask)); }

bool says_nothing_written(Status status) {
  switch (status) {
    case Status::unavailable:
    case Status::overloaded:
    case Status::too_many_siblings:
    case Status::precondition_failed:
    case Status::disk_full:
    case Status::storage_failed:
    case Status::wrong_type:
    case Status::not_a_number:
    case Status::number_overflow:
    case Status::too_many_elements:
    case Status::too_many_tokens:
    case Status::object_too_large:
      return true;
    case Status::ok:
    case Status::not_found:
    case Status::timeout:
    case Status::count:
      return false;
  }
  return false;
}

}  // namespace

void Oracle::answered(const ClientOperation& operation, uint64_t wall_ms, Totals& totals) {
  const Response& response = operation.response;
  bool success = response.status == Status::ok || response.status == Status::not_found;
  if (success && operation.request.operation != Operation::scan) {
    require(response.received >= response.needed, "an answer with fewer replicas than its level asks for");
  }
  switch (operation.request.operation) {
    case Operation::put:
    case Operation::erase:
    case Operation::change:
      judge_write(operation, totals);
      return;
    case Operation::get:
      if (success) {
        TableKey key{operation.request.table, operation.request.key};
        require((response.status == Status::ok) == !response.object.versions.empty(),
                "a read's status and its values contradict each other");
        judge_read(operation, key, response.object, response.context, wall_ms, totals);
      }
      return;
    case Operation::scan:
      if (success) judge_scan(operation, wall_ms, totals);
      return;
  }
}

void Oracle::judge_write(const ClientOperation& operation, Totals& totals) {
  const Response& response = operation.response;
  auto made = by_operation_.find(operation.number);
  if (says_nothing_written(response.status)) {
    require(made == by_operation_.end(),
            "answered that nothing was written, but: " +
                (made == by_operation_.end() ? "" : describe(events_[made->second.front()])));
    return;
  }
  if (response.status != Status::ok) return;
  TableKey key{operation.request.table, operation.request.key};
  Event* event = find(partition_of(key.table, key.key, setup_.partitions), response.dot);
  require(event != nullptr && event->operation == operation.number,
          "a write was answered with a dot that is not its own, key " + key.key);
  require(response.context.contains(response.dot),
          "a write's context does not have its own dot: " + describe(*event));
  // All dots of one change are stored together. Others are of the same request, done once more elsewhere or
  // later.
  for (size_t id : made->second) {
    if (events_[id].batch == event->batch) acknowledged(operation, events_[id]);
  }
  totals.add("writes acknowledged");
  if ((event->durable & ~owners_[event->partition.value]) != 0)
    totals.add("sometimes: a stand-in took a write");
}

void Oracle::acknowledged(const ClientOperation& operation, Event& judged) {
  Event* event = &judged;
  require(!event->voided, "acknowledged after it was closed as a hole: " + describe(*event));
  NodeMask counted = setup_.durability == Durability::sync ? event->durable : event->held;
  if (event->strict && !moved_within(event->partition, operation)) counted &= owners_[event->partition.value];
  require(
      count_of(counted) >= event->needed,
      "acknowledged with W=" + std::to_string(event->needed) + " but " + std::to_string(count_of(counted)) +
          (setup_.durability == Durability::sync ? " replicas have it on disk: " : " replicas have it: ") +
          describe(*event));
  event->acknowledged = true;
  event->acknowledged_at = next_moment();
}

// Strict R + W > N, owners unchanged, fewer than W of those that acknowledged it have lost their disks.
bool Oracle::must_be_seen(const Event& event, const ClientOperation& read) const {
  if (!event.strict || read.request.sloppy || moved_within(event.partition, read)) return false;
  NodeMask owners = owners_[event.partition.value];
  uint32_t replicas = count_of(owners);
  uint32_t asked = read.request.level.needed(replicas);
  if (asked + event.needed <= replicas) return false;
  // Owners that have come since had to be given what was acknowledged.
  const bool was_kept = (event.wiped | event.rolled_back) == 0 && count_of(event.durable) >= event.needed;
  if (moves_[event.partition.value].ever && was_kept && event.acknowledged) return true;
  // One that has it again may have been asked before.
  const NodeMask rolled_back =
      event.rolled_back | (read.submitted < event.came_back_at ? event.came_back : 0);
  uint32_t good = count_of(event.holders & owners & ~rolled_back);  // those that dropped it have none
  if (asked + good > replicas) return true;
  uint32_t wiped = count_of(event.wiped & owners);
  return (rolled_back & owners) == 0 && wiped < event.needed && good + wiped >= event.needed;
}

std::optional<std::string> Oracle::staleness(const std::vector<const Event*>& seen_before,
                                             const Object& object) const {
  for (const Event* event : seen_before) {
    bool shown = false;
    for (const Version& version : object.versions) {
      shown |= version.dot == event->dot;
      if (event->overwrites.contains(version.dot)) {
        return "it returns '" + version.value + "', which had been overwritten by " + describe(*event);
      }
    }
    if (shown ||
        gone(
            *event, [](const Event&) { return true; }, true) ||
        hidden_by_newer(*event, object))
      continue;
    return "it misses " + describe(*event);
  }
  return std::nullopt;
}

void Oracle::judge_read(const ClientOperation& operation, const TableKey& key, const Object& object,
                        const Context& context, uint64_t wall_ms, Totals& totals) {
  PartitionId partition = partition_of(key.table, key.key, setup_.partitions);
  for (const Version& version : object.versions) {
    Event* event = find(partition, version.dot);
    require(event != nullptr && event->key == key,
            "a read of " + key.key + " returned what nobody wrote: '" + version.value + "'");
    saw_version(*event, version, true);
    require(context.contains(version.dot),
            "a read's context does not have what it returned: " + describe(*event));
    require(version.expires_ms == 0 || version.expires_ms > operation.wall_ms || wall_ms < operation.wall_ms,
            "a read returned an expired value: " + describe(*event));
  }
  if (conflicts(key.table) == Conflicts::last_write_wins) {
    require(object.versions.size() <= 1 || !plain(object),
            "siblings in a table where the last write wins, key " + key.key);
  }
  if (siblings_of(object) > 1) totals.add("sometimes: a read returned siblings");
  if (!plain(object)) totals.add("sometimes: a read returned a counter, a set or a hash");
  judge_counter(partition, key, object);

  std::vector<const Event*> before;
  std::vector<const Event*> promised;
  for (size_t id : events_of(key)) {
    const Event& event = events_[id];
    bool shown = std::any_of(object.versions.begin(), object.versions.end(),
                             [&](const Version& version) { return version.dot == event.dot; });
    bool excused = shown ||
                   gone(
                       event, [](const Event&) { return true; }, true) ||
                   hidden_by_newer(event, object);
    if (context.contains(event.dot) && !excused) {
      std::string shown_values;
      for (const Version& version : object.versions) shown_values += " " + version.value;
      fail("a read's context claims a write that it does not return and nobody overwrote: " +
           describe(event) + ", operation " + std::to_string(operation.number) + " at " +
           nodes_[operation.node].name + " returned" + shown_values);
    }
    if (!event.acknowledged || event.acknowledged_at > operation.submitted) continue;
    before.push_back(&event);
    if (must_be_seen(event, operation)) promised.push_back(&event);
  }
  if (!promised.empty()) totals.add("strict reads judged");
  if (auto stale = staleness(promised, object))
    fail("I5: a strict read of " + key.key + " is stale: " + *stale);
  if (staleness(before, object))
    totals.add(stale_reads);
  else
    totals.add("reads up to date");
}

void Oracle::judge_scan(const ClientOperation& operation, uint64_t wall_ms, Totals& totals) {
  const Request& request = operation.request;
  const Response& response = operation.response;
  for (size_t i = 1; i < response.rows.size(); ++i) {
    require(response.rows[i - 1].first < response.rows[i].first, "a scan's keys are not in order");
  }
  for (const auto& [key, events] : by_key_) {
    if (key.table != request.table || key.key < request.start_key || !key.key.starts_with(request.prefix))
      continue;
    if (partition_of(key.table, key.key, setup_.partitions) != request.partition) continue;
    if (response.next_key && key.key >= *response.next_key) continue;
    auto row = std::find_if(response.rows.begin(), response.rows.end(),
                            [&key = key](const auto& r) { return r.first == key.key; });
    static const Object nothing;
    const Object& object = row == response.rows.end() ? nothing : row->second;
    judge_read(operation, key, object, object.context, wall_ms, totals);
  }
  for (const auto& [key, object] : response.rows) {
    require(by_key_.contains({request.table, key}), "a scan returned a key that nobody wrote: " + key);
  }
}

}  // namespace covey::sim
