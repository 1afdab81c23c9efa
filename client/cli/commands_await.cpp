// cluster await-converged: until all replicas are equal.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "client/answers.h"
#include "client/cli/commands.h"
#include "client/cli/estimate.h"

namespace covey::cli {
namespace {

bool names(const Json& nodes, const std::string& node) {
  return std::find(nodes.begin(), nodes.end(), Json(node)) != nodes.end();
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
    copies_.clear();
    asked_.clear();
    objects_ = bytes_ = 0;
    lacking_.reset();
    Addresses addresses;
    for (const std::string& address : session_.nodes()) addresses[address] = "";
    std::set<std::string> asked_nodes;
    while (!addresses.empty()) {
      const auto [address, node] = *addresses.begin();
      addresses.erase(addresses.begin());
      if (!asked_.insert(address).second) continue;
      if (ask(address, addresses, asked_nodes)) continue;
      if (!node.empty()) reason_ = node + " can't be asked: " + reason_;
      return false;
    }
    for (const auto& [partition, states] : states_) {
      if (states.size() > 1)
        reason_ = "partition " + std::to_string(partition) + " differs between its owners";
    }
    lacking_ = 0;
    for (const auto& [partition, copies] : copies_) *lacking_ += lacking_in(copies);
    return reason_.empty();
  }
  const std::string& reason() const { return reason_; }
  ExitCode code() const { return code_; }
  // Updates that replicas lack, those that are being filled too; nullopt: not all could be asked.
  std::optional<uint64_t> lacking() const { return lacking_; }
  double bytes_of_one() const {
    return objects_ == 0 ? 0 : static_cast<double>(bytes_) / static_cast<double>(objects_);
  }

 private:
  using Addresses = std::map<std::string, std::string>;  // -> whose it is; "" if nobody has told yet

  bool ask(const std::string& address, Addresses& addresses, std::set<std::string>& asked_nodes) {
    auto client = session_.connect(address, request_limit_);
    if (!client) return reason_ = client.error().message, code_ = exit_usage, false;
    auto cluster = client->cluster();
    if (!cluster) return reason_ = cluster.error().message, false;
    const std::string self = cluster->value("node", "");
    if (!asked_nodes.insert(self).second) return true;
    for (const Json& member : cluster->value("members", Json::array())) {
      const std::string http = member.value("http", "");
      const std::string node = member.value("node", "");
      if (!http.empty() && node != self) addresses[http] = node;
    }
    const int64_t differing = cluster->value("divergence", Json::object()).value("partitions", int64_t{0});
    if (differing > 0) reason_ = self + " sees " + std::to_string(differing) + " partitions differ";
    for (const Json& partition : cluster->value("ring", Json::array())) take(partition, self);
    return true;
  }

  struct Copy {
    Json clock;
    uint64_t objects = 0, arrived = 0;
  };

  static uint64_t lacking_in(const std::vector<Copy>& copies) {
    uint64_t most = 1;
    for (const Copy& copy : copies) most = std::max(most, copy.objects);
    std::vector<CopyTold> told;
    for (const Copy& copy : copies)
      told.push_back({copy.clock, static_cast<double>(copy.arrived) / static_cast<double>(most)});
    return updates_lacking(told);
  }

  void take(const Json& partition, const std::string& self) {
    if (!partition.contains("clock")) return;
    const bool owner = names(partition.value("owners", Json::array()), self);
    const int number = partition.value("partition", 0);
    const auto objects = partition.value("objects", uint64_t{0});
    objects_ += objects;
    bytes_ += partition.value("bytes", uint64_t{0});
    if (owner || names(partition.value("filling", Json::array()), self))
      copies_[number].push_back({partition["clock"], objects, partition.value("arrived", uint64_t{0})});
    if (!owner) return;
    const int64_t residual = partition.value("residual", int64_t{0});
    if (residual > 0) reason_ = self + " still holds " + std::to_string(residual) + " residual contexts";
    // Sorted, so that two nodes that list the same actors in another order agree.
    const nlohmann::json clock = nlohmann::json::parse(partition["clock"].dump());
    states_[number].insert(clock.dump() + partition.value("state_hash", ""));
  }

  Session& session_;
  Milliseconds request_limit_;
  std::string reason_;
  ExitCode code_ = exit_unavailable;
  std::set<std::string> asked_;
  std::map<int, std::set<std::string>> states_;
  std::map<int, std::vector<Copy>> copies_;
  std::optional<uint64_t> lacking_;
  uint64_t objects_ = 0, bytes_ = 0;
};

}  // namespace

int run(Session& session, const AwaitConvergedCommand& command) try {
  const auto start = std::chrono::steady_clock::now();
  // A node that hangs must not outlast the whole wait.
  ConvergenceCheck check(session, std::max(command.limit, Milliseconds{100}));
  ConvergenceEstimate estimate;
  const bool shown = colour_wanted(STDERR_FILENO);
  const auto elapsed_ms = [&] {
    return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start).count();
  };
  for (;;) {
    const bool converged = check.converged();
    if (shown) std::cerr << "\r\033[K" << std::flush;
    if (converged) break;
    if (check.code() == exit_usage) return session.fail(exit_usage, check.reason());
    estimate.add(static_cast<double>(elapsed_ms()) / 1000, check.lacking(), check.bytes_of_one());
    if (elapsed_ms() >= command.limit.count()) {
      return session.fail(Error{.kind = Error::Kind::timed_out,
                                .message = "not converged after " + duration_text(elapsed_ms()) + ": " +
                                           check.reason() + "; " + estimate.text()});
    }
    if (shown) std::cerr << "\r\033[K" << check.reason() << "; " << estimate.text() << std::flush;
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

}  // namespace covey::cli
