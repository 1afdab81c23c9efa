// Simulated clients: their requests, the contexts that they keep, and what they are answered.
#include <algorithm>

#include "replication/hash.h"
#include "replication/typed.h"
#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

const char* status_text(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::not_found:
      return "nothing";
    case Status::unavailable:
      return "unavailable";
    case Status::timeout:
      return "timeout";
    case Status::overloaded:
      return "overloaded";
    case Status::too_many_siblings:
      return "too_many_siblings";
    case Status::precondition_failed:
      return "precondition_failed";
    case Status::disk_full:
      return "disk_full";
    case Status::storage_failed:
      return "storage_failed";
    case Status::wrong_type:
      return "wrong_type";
    case Status::not_a_number:
      return "not_a_number";
    case Status::number_overflow:
      return "number_overflow";
    case Status::too_many_elements:
      return "too_many_elements";
    case Status::too_many_tokens:
      return "too_many_tokens";
    case Status::object_too_large:
      return "object_too_large";
    case Status::count:
      break;
  }
  return "?";
}

}  // namespace

// As a front end does: a token that is not of this cluster and this key is refused.
std::optional<Context> World::open_token(ClientOperation& operation, const std::string& name, bool& refused) {
  TableKey key{operation.request.table, operation.request.key};
  if (name == "forged") {
    std::string text = seal_context(token_key("another cluster"), key.table, key.key,
                                    DotSet{{Actor{random_.next()}, {9}}}, [] { return DotSet{}; });
    require(!open_context(token_key_, key.table, key.key, text), "a forged context was accepted");
    totals.add("sometimes: a forged context was refused");
    refused = true;
    return std::nullopt;
  }
  auto found = tokens_.find(name);
  if (found == tokens_.end()) return std::nullopt;  // the client has none: its read was not answered
  auto context = open_context(token_key_, key.table, key.key, found->second.text);
  if (found->second.key == key) {
    require(context.has_value(), "a client's own context was refused");
    return context;
  }
  require(!context, "the context of another key was accepted, for key " + key.key);
  totals.add("sometimes: the context of another key was refused");
  refused = true;
  return std::nullopt;
}

size_t World::submit(ClientOperation given, const std::string& context_name) {
  size_t number = operations_.size();
  operations_.push_back(std::move(given));
  ClientOperation& operation = operations_.back();
  Machine& machine = machines_[operation.node];
  Request& request = operation.request;
  operation.number = number;
  request.conflicts = oracle_.conflicts(request.table);
  totals.add("operations");
  bool refused = false;
  if (!context_name.empty()) request.context = open_token(operation, context_name, refused);
  const bool drains = machine.damage && machine.damage->drains_until_us;
  if (refused || !machine.up || drains) {
    operation.done = operation.gave_up = true;
    operation.shown = refused ? "refused" : "down";
    return number;
  }
  if (writes(request.operation)) {
    request.content_type = "op/" + std::to_string(number);
  }
  operation.submitted = oracle_.next_moment();
  operation.wall_ms = now(machine).wall_ms;
  operation.deadline_us = now_us() + uint64_t{request.timeout_ms} * 1000;
  machine.operations.insert(number);
  when_running(machine, [this, &machine, number] {
    ClientOperation& waiting = operations_[number];
    uint32_t partition =
        waiting.request.operation == Operation::scan
            ? waiting.request.partition.value
            : partition_of(waiting.request.table, waiting.request.key, setup_.partitions).value;
    waiting.wall_ms = now(machine).wall_ms;
    waiting.deadline_us = now_us() + uint64_t{waiting.request.timeout_ms} * 1000;
    const Request& asked = waiting.request;
    ShardState& shard = machine.shards[partition % machine.shards.size()];
    auto ask = [&](Core& core, Now time) { core.request(time, RequestId{number + 1}, asked); };
    if (writes(asked.operation)) {
      stage(machine, shard, {asked.table, asked.key}, &waiting);
      input_of_pass(machine, shard, ask);
    } else {
      input_at_once(machine, shard, ask);
    }
  });
  return number;
}

void World::answer(Machine& machine, Output::Answer& given) {
  size_t number = given.id.value - 1;
  require(given.id.value > 0 && number < operations_.size(), "an answer to no request");
  ClientOperation& operation = operations_[number];
  require(machine.operations.erase(number) == 1, "a request was answered twice, or by another node");
  operation.response = std::move(given.response);
  operation.done = true;
  operation.old_owners = sees_old_owners(machine, operation.request);
  uint64_t stale_before = totals.get(stale_reads);
  oracle_.answered(operation, now(machine).wall_ms, totals);
  operation.stale = totals.get(stale_reads) > stale_before;
  const Response& response = operation.response;
  totals.add(std::string("answers: ") + status_text(response.status));
  mix(hash_pair(number, static_cast<uint64_t>(response.status)));
  mix(response.object.versions.size() + response.rows.size());
  operation.shown = shown(operation);
  if (operation.reply_lost) {
    totals.add("fault: reply lost");
    operation.shown = "no answer";
  } else if (!operation.token_name.empty() && operation.request.operation != Operation::scan &&
             (response.status == Status::ok || response.status == Status::not_found)) {
    TableKey key{operation.request.table, operation.request.key};
    tokens_[operation.token_name] = {
        key, seal_context(token_key_, key.table, key.key, response.context, [] { return DotSet{}; })};
  }
  note(machine.id.name + " answers operation " + std::to_string(number) + " (" + operation.request.key +
       "): " + operation.shown);
}

std::string World::shown(const ClientOperation& operation) const {
  const Response& response = operation.response;
  std::string out;
  if (response.status == Status::ok && operation.request.operation == Operation::get) {
    const Type type = type_of(response.object);
    if (type == Type::counter) return text_of(counter_value(response.object));
    std::vector<std::string> values;
    for (std::string_view member : members(response.object)) values.emplace_back(member);
    for (const auto& [name, value] : fields(response.object))
      values.push_back(std::string(name) + "=" + value);
    for (const Version& version : response.object.versions) {
      if (version.kind == VersionKind::value) values.push_back(version.value);
    }
    std::sort(values.begin(), values.end());
    for (const auto& value : values) out += (out.empty() ? "" : " ") + value;
    return out;
  }
  if (response.status == Status::ok && operation.request.operation == Operation::scan) {
    for (const auto& [key, object] : response.rows) {
      out += (out.empty() ? "" : " ") + key + "=";
      for (size_t i = 0; i < object.versions.size(); ++i)
        out += (i == 0 ? "" : ",") + object.versions[i].value;
    }
    return out.empty() ? "nothing" : out;
  }
  out = status_text(response.status);
  if (response.status == Status::unavailable) {
    out += " needed " + std::to_string(response.needed) + " reachable " + std::to_string(response.reachable);
  }
  if (response.status == Status::timeout) {
    out += " needed " + std::to_string(response.needed) + " received " + std::to_string(response.received);
  }
  return out;
}

}  // namespace covey::sim
