// cluster status, cluster ring, explain.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>

#include "client/answers.h"
#include "client/cli/commands.h"

namespace covey::cli {
namespace {

constexpr int64_t clock_difference_ms_max = 60'000;  // beyond it, it is told

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string joined(const Json& names) {
  std::string out;
  for (const Json& name : names) out += (out.empty() ? "" : ",") + name.get<std::string>();
  return out;
}

std::string state_coloured(const std::string& state) {
  return coloured(state, state == "alive" ? green : state == "suspected" ? yellow : red);
}

std::string divergence_text(const Json& cluster) {
  const Json divergence = cluster.value("divergence", Json::object());
  const int64_t partitions = divergence.value("partitions", int64_t{0});
  if (partitions == 0) return coloured("converged", green);
  return coloured(std::to_string(partitions) + " partitions differ, the oldest since " +
                      duration_text(divergence.value("oldest_ms", int64_t{0})),
                  yellow);
}

void print_side(const char* verb, const Json& side) {
  const bool works = side.value("would_succeed", false);
  std::cout << "  " << verb << " at " << text_of(side, "level") << ": "
            << (works ? coloured("would succeed", green) : coloured("would be refused", red)) << " (needs "
            << text_of(side, "needed") << ", " << text_of(side, "reachable") << " reachable)\n";
}

// A node's part in the cluster.
struct Share {
  uint64_t owns = 0;     // partitions
  uint64_t filling = 0;  // copies that it is being filled with
};

std::map<std::string, Share> shares_in(const Json& cluster) {
  std::map<std::string, Share> shares;
  for (const Json& partition : cluster.value("ring", Json::array())) {
    for (const Json& node : partition.value("owners", Json::array())) ++shares[node].owns;
    for (const Json& node : partition.value("filling", Json::array())) ++shares[node].filling;
  }
  return shares;
}

std::string standing_of(const Json& member) {
  const std::string place = text_of(member, "place");
  return member.value("standing", "member") + (place.empty() ? "" : " for " + place);
}

// What this node holds of a partition, in a word.
std::string copy_text(const Json& partition, const std::string& self) {
  const auto is_in = [&](const char* list) {
    const Json nodes = partition.value(list, Json::array());
    return std::find(nodes.begin(), nodes.end(), Json(self)) != nodes.end();
  };
  if (is_in("filling")) return "filling";
  if (is_in("owners")) return partition.value("ready", false) ? "ready" : "not ready";
  return partition.value("held", false) ? "stand-in" : "-";
}

}  // namespace

std::string too_few_stay(const Json& cluster) {
  uint64_t staying = 0;
  for (const Json& member : cluster.value("members", Json::array()))
    staying += member.value("standing", "member") == "member" ? 1 : 0;
  const auto replicas = cluster.value("replicas", uint64_t{0});
  if (staying >= replicas) return "";
  return "too few members stay, " + std::to_string(staying) + " for " + std::to_string(replicas) +
         " replicas: let another node join, or one that leaves stay (covey cluster join NODE)";
}

int run(Session& session, const ClusterStatusCommand&) try {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto cluster = client->cluster();
  if (!cluster) return session.fail(cluster.error());
  if (session.settings().json) {
    print_json(*cluster);
    return exit_done;
  }
  std::cout << "cluster " << text_of(*cluster, "cluster") << ", " << text_of(*cluster, "partitions")
            << " partitions, " << text_of(*cluster, "replicas") << " replicas each, as "
            << text_of(*cluster, "node") << " sees it: " << divergence_text(*cluster) << "\n";
  std::vector<std::vector<std::string>> rows = {{"NODE", "STATE", "SINCE", "STANDING", "OWNS", "FILLING",
                                                 "ZONE", "WEIGHT", "INCARNATION", "HTTP", "PEER"}};
  std::map<std::string, Share> shares = shares_in(*cluster);
  for (const Json& member : cluster->value("members", Json::array())) {
    const std::string node = text_of(member, "node");
    rows.push_back({node + (member.value("self", false) ? " *" : ""),
                    state_coloured(text_of(member, "state")),
                    duration_text(member.value("health_ms", int64_t{0})), standing_of(member),
                    std::to_string(shares[node].owns), std::to_string(shares[node].filling),
                    text_of(member, "zone"), text_of(member, "weight"), text_of(member, "incarnation"),
                    text_of(member, "http"), text_of(member, "peer")});
  }
  print_table(rows);
  const std::string few = too_few_stay(*cluster);
  if (!few.empty()) std::cout << coloured(few, red) << "\n";
  const std::string removed = joined(cluster->value("removed", Json::array()));
  if (!removed.empty()) std::cout << "removed: " << removed << "\n";
  for (const Json& member : cluster->value("members", Json::array())) {
    const auto ahead_ms = member.value("clock_ahead_ms", int64_t{0});
    if (std::abs(ahead_ms) <= clock_difference_ms_max) continue;
    std::cout << coloured("the clock of " + text_of(member, "node") + " is " +
                              duration_text(std::abs(ahead_ms)) +
                              (ahead_ms < 0 ? " behind that of " : " ahead of that of ") +
                              text_of(*cluster, "node"),
                          red)
              << "\n";
  }
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

int run(Session& session, const ClusterRingCommand&) try {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto cluster = client->cluster();
  if (!cluster) return session.fail(cluster.error());
  const Json ring = cluster->value("ring", Json::array());
  if (session.settings().json) {
    print_json(ring);
    return exit_done;
  }
  std::vector<std::vector<std::string>> rows = {
      {"PARTITION", "OWNERS", "FILLING", "HERE", "OBJECTS", "LOG", "RESIDUAL", "HASH", "DIFFERS FROM"}};
  const std::string self = text_of(*cluster, "node");
  for (const Json& partition : ring) {
    rows.push_back({text_of(partition, "partition"), joined(partition.value("owners", Json::array())),
                    joined(partition.value("filling", Json::array())), copy_text(partition, self),
                    text_of(partition, "objects"), text_of(partition, "log"), text_of(partition, "residual"),
                    text_of(partition, "state_hash").substr(0, 16),
                    joined(partition.value("diverged", Json::array()))});
  }
  print_table(rows);
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

int run(Session& session, const ExplainCommand& command) try {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto answer =
      client->explain(session.settings().table, command.key, command.read_level, command.write_level);
  if (!answer) return session.fail(answer.error());
  if (session.settings().json) {
    print_json(*answer);
    return exit_done;
  }
  std::cout << printable(command.key) << " in table " << text_of(*answer, "table") << " is in partition "
            << text_of(*answer, "partition") << "\n";
  for (const Json& owner : answer->value("owners", Json::array())) {
    std::cout << "  owner " << text_of(owner, "node") << ": " << state_coloured(text_of(owner, "state"))
              << (owner.value("reachable", true) ? "" : ", not reachable")
              << (owner.value("ready", true) ? "" : ", not ready") << "\n";
  }
  if (const Json stand_ins = answer->value("stand_ins", Json::array()); !stand_ins.empty()) {
    std::cout << "  stand-ins: " << joined(stand_ins) << "\n";
  }
  print_side("read", answer->value("read", Json::object()));
  print_side("write", answer->value("write", Json::object()));
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

}  // namespace covey::cli
