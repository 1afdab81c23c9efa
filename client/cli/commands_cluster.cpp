// cluster status, cluster ring, cluster await-converged, explain.
#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <thread>

#include "client/answers.h"
#include "client/cli/commands.h"

namespace covey::cli {
namespace {

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

std::string duration_text(int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + " ms";
  if (ms < 120'000) return std::to_string(ms / 1000) + " s";
  return std::to_string(ms / 60'000) + " min";
}

std::string divergence_text(const Json& cluster) {
  const Json divergence = cluster.value("divergence", Json::object());
  const int64_t partitions = divergence.value("partitions", int64_t{0});
  if (partitions == 0) return coloured("converged", green);
  return coloured(std::to_string(partitions) + " partitions differ, the oldest since " +
                      duration_text(divergence.value("oldest_ms", int64_t{0})),
                  yellow);
}

// Asks every member that the first answer names, and compares what the owners of each partition say of it.
class ConvergenceCheck {
 public:
  // request_limit: for each node to answer.
  ConvergenceCheck(Session& session, Milliseconds request_limit)
      : session_(session), request_limit_(request_limit) {}

  // Whether all replicas are equal now; otherwise reason() says what is not.
  bool converged() {
    reason_.clear();
    states_.clear();
    std::set<std::string> addresses;
    for (const std::string& node : session_.nodes()) addresses.insert(node);
    std::set<std::string> asked_nodes;
    while (!addresses.empty()) {
      const std::string address = *addresses.begin();
      addresses.erase(addresses.begin());
      if (!asked_.insert(address).second) continue;
      if (!ask(address, addresses, asked_nodes)) return asked_.clear(), false;
    }
    asked_.clear();
    for (const auto& [partition, states] : states_) {
      if (states.size() > 1)
        reason_ = "partition " + std::to_string(partition) + " differs between its owners";
    }
    return reason_.empty();
  }
  const std::string& reason() const { return reason_; }
  ExitCode code() const { return code_; }

 private:
  bool ask(const std::string& address, std::set<std::string>& addresses, std::set<std::string>& asked_nodes) {
    auto client = session_.connect(address, request_limit_);
    if (!client) return reason_ = client.error().message, code_ = exit_usage, false;
    auto cluster = client->cluster();
    if (!cluster) return reason_ = cluster.error().message, false;
    const std::string self = cluster->value("node", "");
    if (!asked_nodes.insert(self).second) return true;
    for (const Json& member : cluster->value("members", Json::array())) {
      const std::string http = text_of(member, "http");
      if (!http.empty() && text_of(member, "node") != self) addresses.insert(http);
    }
    const int64_t differing = cluster->value("divergence", Json::object()).value("partitions", int64_t{0});
    if (differing > 0) reason_ = self + " sees " + std::to_string(differing) + " partitions differ";
    for (const Json& partition : cluster->value("ring", Json::array())) {
      const Json owners = partition.value("owners", Json::array());
      const bool owner = std::find(owners.begin(), owners.end(), Json(self)) != owners.end();
      const int64_t residual = partition.value("residual", int64_t{0});
      if (!owner || !partition.contains("clock")) continue;
      if (residual > 0) reason_ = self + " still holds " + std::to_string(residual) + " residual contexts";
      // Sorted, so that two nodes that list the same actors in another order agree.
      const nlohmann::json clock = nlohmann::json::parse(partition["clock"].dump());
      states_[partition.value("partition", 0)].insert(clock.dump() + text_of(partition, "state_hash"));
    }
    return true;
  }

  Session& session_;
  Milliseconds request_limit_;
  std::string reason_;
  ExitCode code_ = exit_unavailable;
  std::set<std::string> asked_;
  std::map<int, std::set<std::string>> states_;
};

void print_side(const char* verb, const Json& side) {
  const bool works = side.value("would_succeed", false);
  std::cout << "  " << verb << " at " << text_of(side, "level") << ": "
            << (works ? coloured("would succeed", green) : coloured("would be refused", red)) << " (needs "
            << text_of(side, "needed") << ", " << text_of(side, "reachable") << " reachable)\n";
}

}  // namespace

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
  std::vector<std::vector<std::string>> rows = {
      {"NODE", "STATE", "SINCE", "INCARNATION", "ZONE", "HTTP", "PEER"}};
  for (const Json& member : cluster->value("members", Json::array())) {
    rows.push_back({text_of(member, "node") + (member.value("self", false) ? " *" : ""),
                    state_coloured(text_of(member, "state")),
                    duration_text(member.value("health_ms", int64_t{0})), text_of(member, "incarnation"),
                    text_of(member, "zone"), text_of(member, "http"), text_of(member, "peer")});
  }
  print_table(rows);
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
      {"PARTITION", "OWNERS", "READY", "OBJECTS", "LOG", "RESIDUAL", "HASH", "DIFFERS FROM"}};
  for (const Json& partition : ring) {
    rows.push_back({text_of(partition, "partition"), joined(partition.value("owners", Json::array())),
                    partition.value("ready", false) ? "yes" : "no", text_of(partition, "objects"),
                    text_of(partition, "log"), text_of(partition, "residual"),
                    text_of(partition, "state_hash").substr(0, 16),
                    joined(partition.value("diverged", Json::array()))});
  }
  print_table(rows);
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

int run(Session& session, const AwaitConvergedCommand& command) try {
  const auto start = std::chrono::steady_clock::now();
  // A node that hangs must not outlast the whole wait.
  ConvergenceCheck check(session, std::max(command.limit, Milliseconds{100}));
  const auto elapsed_ms = [&] {
    return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start).count();
  };
  for (;;) {
    if (check.converged()) break;
    if (check.code() == exit_usage) return session.fail(exit_usage, check.reason());
    if (elapsed_ms() >= command.limit.count()) {
      return session.fail(
          Error{.kind = Error::Kind::timed_out,
                .message = "not converged after " + duration_text(elapsed_ms()) + ": " + check.reason()});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  if (session.settings().json) {
    print_json({{"converged", true}, {"waited_ms", elapsed_ms()}});
  } else {
    std::cout << "converged: all replicas are equal (waited " << duration_text(elapsed_ms()) << ")\n";
  }
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
