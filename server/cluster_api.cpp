#include "server/cluster_api.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "server/call_options.h"
#include "server/json_body.h"
#include "storage/rocks_database.h"

namespace covey::server {
namespace {

using Json = nlohmann::ordered_json;

struct Asked {
  std::string node;
  std::string by;  // replace: the member that takes the place
  bool dry_run = false;
  bool force = false;
};

ErrorAnswer conflict(const char* code, std::string message) { return {409, code, std::move(message), {}}; }

Result<Asked, ErrorAnswer> parse(const std::string& body, bool replaces) {
  auto json = parse_body(body);
  if (!json) return json.error();
  Asked asked;
  for (const auto& [name, value] : json->items()) {
    if (name == "node" && value.is_string()) {
      asked.node = value.get<std::string>();
    } else if (replaces && name == "by" && value.is_string()) {
      asked.by = value.get<std::string>();
    } else if (name == "dry_run" && value.is_boolean()) {
      asked.dry_run = value.get<bool>();
    } else if (name == "force" && value.is_boolean()) {
      asked.force = value.get<bool>();
    } else {
      return bad_request("The body's member \"" + name +
                         "\" is unknown or of the wrong type: allowed are node" +
                         (replaces ? " and by" : "") + " (strings), dry_run and force (true or false).");
    }
  }
  if (asked.node.empty() || (replaces && asked.by.empty())) {
    return bad_request(replaces ? "Name both: \"node\", which is dead, and \"by\", which takes its place."
                                : "Name the node: {\"node\": \"n4\"}.");
  }
  return asked;
}

// What the members would be, and what that moves.
struct Plan {
  std::vector<Member> decisions;
  uint32_t copies = 0;                        // of partitions, that some node is filled with
  std::map<std::string, uint32_t> copies_of;  // by node
  std::string waits_for;                      // who joins and can't be reached
};

std::vector<NodeId> targets(uint32_t partition, const std::vector<Member>& members, uint32_t replicas) {
  std::vector<Member> staying;
  for (const Member& member : members) {
    if (member.standing == Standing::member) staying.push_back(member);
  }
  return owners_of(PartitionId{partition}, staying, replicas);
}

const Member* find(const std::vector<Member>& members, const std::string& name) {
  auto at =
      std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.node.name == name; });
  return at == members.end() ? nullptr : &*at;
}

Result<Plan, ErrorAnswer> plan(ShardLoop& shard, std::string_view action, const Asked& asked) {
  const Config& config = shard.node().config;
  Plan plan;
  std::vector<Member> before;
  std::map<std::string, MemberView> views;
  for (const MemberView& view : shard.core().members(now())) {
    before.push_back(view.member);
    views[view.member.node.name] = view;
  }
  const Member* node = find(before, asked.node);
  if (node == nullptr) {
    return ErrorAnswer{
        404,
        "no_such_node",
        "No member is called " + asked.node + ": GET /v1/cluster (covey cluster status) lists them.",
        {}};
  }
  const auto staying =
      static_cast<uint32_t>(std::count_if(before.begin(), before.end(), [](const Member& member) {
        return member.standing == Standing::member;
      }));
  Member decided = *node;
  decided.decided = {};
  decided.standing = action == "join"    ? Standing::member
                     : action == "leave" ? Standing::leaving
                                         : Standing::removed;
  if (action == "replace") {
    const Member* by = find(before, asked.by);
    if (by == nullptr)
      return ErrorAnswer{404,
                         "no_such_node",
                         "No member is called " + asked.by + ": start it with the cluster's seeds first.",
                         {}};
    if (by->node == node->node) return bad_request("A node can't take its own place.");
    if (by->standing != Standing::member || !by->place.empty())
      return conflict("not_free",
                      asked.by + " leaves, was removed or has taken another node's place: start a new one.");
    Member heir = *by;
    heir.decided = {};
    heir.place = node->place.empty() ? node->node.name : node->place;
    plan.decisions.push_back(heir);
    decided.place.clear();
  }
  // That this node can't reach it is not enough: the members have to hold it for dead.
  const MemberView& view = views.at(asked.node);
  const bool may_live = node->standing != Standing::removed && view.verdict.health != Health::dead;
  if ((action == "remove" || action == "replace") && may_live && !asked.force)
    return conflict("still_alive",
                    asked.node +
                        (view.reachable ? " answers: let it leave, so that it hands over what it holds;"
                                        : " is not known to be dead: wait some seconds and try again;") +
                        " or add \"force\": true (--force).");
  const bool shrinks = decided.standing != Standing::member && node->standing == Standing::member;
  // Who leaves waits until as many owners as there are to be have all that it holds.
  const bool may_shrink = asked.force && action != "leave";
  if (shrinks && staying <= config.replicas && !may_shrink) {
    return conflict("too_few_members", std::to_string(staying - 1) + " members would be left for " +
                                           std::to_string(config.replicas) +
                                           " replicas: let another node join first.");
  }
  if (action == "leave" && node->standing == Standing::removed)
    return conflict("was_removed", asked.node + " was removed already.");
  // It may join all the same: one that was removed ends by itself as soon as it runs and hears of it.
  if (action == "join" && view.state != MemberState::self && !view.reachable) plan.waits_for = asked.node;
  plan.decisions.push_back(decided);
  std::vector<Member> after = before;
  for (Member& member : after) {
    for (const Member& decision : plan.decisions) {
      if (decision.node == member.node) member = decision;
    }
  }
  for (uint32_t id = 0; id < config.partitions; ++id) {
    const auto old_targets = targets(id, before, config.replicas);
    for (const NodeId& owner : targets(id, after, config.replicas)) {
      if (std::find(old_targets.begin(), old_targets.end(), owner) != old_targets.end()) continue;
      ++plan.copies;
      ++plan.copies_of[owner.name];
    }
  }
  return plan;
}

struct Held {
  uint64_t objects = 0, bytes = 0;
  uint32_t partitions = 0;
};

Held held_by(ShardLoop& shard) {
  Held held;
  for (const PartitionView& view : shard.core().partitions(now())) {
    if (!view.held) continue;
    held.objects += view.objects;
    held.bytes += view.bytes;
    ++held.partitions;
  }
  return held;
}

Json report(const Plan& plan, const std::vector<Held>& held, const NodeContext& node, bool dry_run) {
  Held all;
  for (const Held& one : held) {
    all.objects += one.objects;
    all.bytes += one.bytes;
    all.partitions += one.partitions;
  }
  // By what this node holds itself: keys spread evenly.
  const uint32_t partitions = std::max(all.partitions, uint32_t{1});
  const double objects = static_cast<double>(all.objects) / partitions;
  const double bytes = static_cast<double>(all.bytes) / partitions;
  Json body;
  body["dry_run"] = dry_run;
  body["members"] = Json::array();
  for (const Member& decision : plan.decisions) {
    Json member;
    member["node"] = decision.node.name;
    member["standing"] = standing_text(decision.standing);
    if (!decision.place.empty()) member["place"] = decision.place;
    body["members"].push_back(std::move(member));
  }
  if (!plan.waits_for.empty()) body["waits_for"] = plan.waits_for;
  Json& moves = body["moves"];
  moves["copies"] = plan.copies;
  moves["of"] = node.config.partitions * node.config.replicas;
  moves["objects_about"] = static_cast<uint64_t>(objects * plan.copies);
  moves["bytes_about"] = static_cast<uint64_t>(bytes * plan.copies);
  moves["to"] = Json::object();
  for (const auto& [name, copies] : plan.copies_of) moves["to"][name] = copies;
  return body;
}

void reply(const std::shared_ptr<HttpConnection>& connection, uint64_t slot, const Json& body) {
  connection->reply(slot, ReplyHead{}, body_text(body));
}

}  // namespace

const char* standing_text(Standing standing) {
  switch (standing) {
    case Standing::member:
      return "member";
    case Standing::leaving:
      return "leaving";
    case Standing::removed:
      return "removed";
  }
  return "member";
}

bool is_cluster_change(std::string_view action) {
  return action == "join" || action == "leave" || action == "remove" || action == "replace";
}

void change_cluster(std::shared_ptr<HttpConnection> connection, uint64_t slot, std::string_view action,
                    const std::string& body) {
  ShardLoop& shard = connection->shard();
  auto asked = parse(body, action == "replace");
  if (!asked) return connection->reply(slot, asked.error());
  auto planned = plan(shard, action, *asked);
  if (!planned) return connection->reply(slot, planned.error());
  const Held held_here = held_by(shard);  // the decision makes it keep copies that are empty so far
  if (!asked->dry_run) {
    for (Member& member : planned->decisions) {
      auto decided = shard.decide(member);
      if (!decided) {
        Response failed;
        failed.status = Status::storage_failed;
        return connection->reply(slot, error_of(failed, Operation::put));
      }
      member = *decided;
      spdlog::info("membership: node={} standing={} place={}", member.node.name,
                   standing_text(member.standing), member.place);
    }
  }
  auto each = [decisions = planned->decisions, dry_run = asked->dry_run, held_here, &shard](ShardLoop& one) {
    if (&one == &shard) return held_here;
    const Held held = held_by(one);
    // One that fails hears of it from the other nodes.
    for (const Member& member : decisions) {
      if (!dry_run) (void)one.decide(member);
    }
    return held;
  };
  auto then = [connection, slot, plan = *planned, dry_run = asked->dry_run](std::vector<Held>&& held) {
    reply(connection, slot, report(plan, held, connection->shard().node(), dry_run));
  };
  gather<Held>(shard, each, then);
}

}  // namespace covey::server
