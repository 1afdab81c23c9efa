// cluster repair: every node compares its copies with those of the others.
#include <algorithm>
#include <iostream>
#include <map>
#include <thread>

#include "client/answers.h"
#include "client/cli/commands.h"
#include "client/cli/progress.h"

namespace covey::cli {
namespace {

constexpr auto repair_poll_interval = std::chrono::milliseconds(100);

struct Asked {
  std::string node;
  client::Client client;
};

// What all nodes together say of one partition.
struct Partition {
  std::string state = "equal";
  uint64_t objects = 0, buckets = 0, under_way = 0, repaired = 0, bytes = 0;
  std::string reason;
};

struct Report {
  std::map<int, Partition> partitions;
  std::map<std::string, uint64_t> repaired;  // by table
  std::map<std::string, uint64_t> states;    // partitions in each
  uint64_t open = 0, done = 0;               // comparisons
  uint64_t bytes = 0;
  bool running = false;
};

int rank(const std::string& state) {
  const char* states[] = {"equal", "differing", "repaired", "waiting", "running", "failed"};
  for (int i = 0; i < 6; ++i) {
    if (state == states[i]) return i;
  }
  return 5;
}

void add(Report& report, const Json& answer) {
  report.running = report.running || answer.value("running", false);
  for (const Json& check : answer.value("checks", Json::array())) {
    Partition& partition = report.partitions[check.value("partition", 0)];
    const std::string state = check.value("state", "");
    ++(state == "waiting" || state == "running" ? report.open : report.done);
    if (rank(state) > rank(partition.state)) partition.state = state;
    partition.objects = std::max(partition.objects, check.value("objects", uint64_t{0}));
    partition.buckets = std::max(partition.buckets, check.value("buckets_differing", uint64_t{0}));
    partition.under_way += check.value("under_way", uint64_t{0});
    partition.bytes += check.value("bytes", uint64_t{0});
    report.bytes += check.value("bytes", uint64_t{0});
    const Json repaired = check.value("repaired", Json::object());
    for (const auto& [table, count] : repaired.items()) {
      partition.repaired += count.get<uint64_t>();
      report.repaired[table] += count.get<uint64_t>();
    }
    if (check.contains("reason"))
      partition.reason = answer.value("node", "") + ": " + check.value("reason", "");
  }
}

// Begins it on every member, each pair once. Members that can't be asked are left to the others, who tell
// that they do not answer.
Result<std::vector<Asked>, Error> begin(Session& session, client::Client& first) {
  auto cluster = first.cluster();
  if (!cluster) return cluster.error();
  std::vector<Asked> asked;
  Json except = Json::array();
  for (const Json& member : cluster->value("members", Json::array())) {
    const std::string node = member.value("node", "");
    if (!member.value("reachable", false) && !member.value("self", false)) continue;
    auto client = session.connect(member.value("http", ""));
    if (!client) return client.error();
    auto begun = client->change_cluster("repair", {{"except", except}});
    if (!begun) return begun.error();
    except.push_back(node);
    asked.push_back({node, std::move(*client)});
  }
  return asked;
}

Result<Report, Error> look(std::vector<Asked>& asked) {
  Report report;
  for (Asked& one : asked) {
    auto answer = one.client.repair();
    if (!answer) return answer.error();
    add(report, *answer);
  }
  for (const auto& [number, partition] : report.partitions) ++report.states[partition.state];
  return report;
}

Json json_of(const Report& report) {
  Json out;
  out["states"] = Json::object();
  for (const auto& [state, count] : report.states) out["states"][state] = count;
  out["repaired"] = Json::object();
  for (const auto& [table, count] : report.repaired) out["repaired"][table] = count;
  out["bytes"] = report.bytes;
  out["partitions"] = Json::array();
  for (const auto& [number, partition] : report.partitions) {
    Json one{{"partition", number},
             {"state", partition.state},
             {"objects", partition.objects},
             {"buckets_differing", partition.buckets},
             {"under_way", partition.under_way},
             {"repaired", partition.repaired},
             {"bytes", partition.bytes}};
    if (!partition.reason.empty()) one["reason"] = partition.reason;
    out["partitions"].push_back(std::move(one));
  }
  return out;
}

void print(const Report& report, bool all) {
  std::vector<std::vector<std::string>> rows = {
      {"PARTITION", "STATE", "OBJECTS", "REPAIRED", "BEING WRITTEN", "RECEIVED", ""}};
  for (const auto& [number, partition] : report.partitions) {
    if (!all && partition.state == "equal") continue;
    const int colour = partition.state == "failed" ? red : partition.state == "equal" ? green : yellow;
    rows.push_back({std::to_string(number), coloured(partition.state, colour),
                    std::to_string(partition.objects), std::to_string(partition.repaired),
                    std::to_string(partition.under_way), bytes_text(static_cast<double>(partition.bytes)),
                    partition.state == "failed" ? partition.reason : ""});
  }
  if (rows.size() > 1) print_table(rows);
  std::string states;
  for (const auto& [state, count] : report.states)
    states += (states.empty() ? "" : ", ") + std::to_string(count) + " " + state;
  std::cout << report.partitions.size() << " partitions: " << states << "; "
            << bytes_text(static_cast<double>(report.bytes)) << " of objects were sent\n";
  for (const auto& [table, count] : report.repaired)
    std::cout << "table " << table << ": " << count << " objects repaired\n";
}

}  // namespace

int run(Session& session, const ClusterRepairCommand& command) try {
  client::Client* first = session.client();
  if (!first) return exit_usage;
  auto asked = begin(session, *first);
  if (!asked) return session.fail(asked.error());
  const auto until = std::chrono::steady_clock::now() + command.limit;
  Progress progress("comparing", "pairs");
  Report report;
  // Twice in a row: who is asked back by one that was looked at later may have begun again.
  for (int ended = 0; ended < 2;) {
    auto looked = look(*asked);
    if (!looked) return session.fail(looked.error());
    report = std::move(*looked);
    ended = report.running ? 0 : ended + 1;
    if (report.running && std::chrono::steady_clock::now() >= until) {
      progress.clear();
      return session.fail(Error{.kind = Error::Kind::timed_out,
                                .message = std::to_string(report.open) + " of " +
                                           std::to_string(report.open + report.done) +
                                           " comparisons are still to be made; they go on by themselves"});
    }
    const auto all = static_cast<double>(std::max<uint64_t>(report.open + report.done, 1));
    progress.show(static_cast<double>(report.done) / all, report.done);
    std::this_thread::sleep_for(repair_poll_interval);
  }
  progress.clear();
  if (session.settings().json) {
    print_json(json_of(report));
  } else {
    print(report, command.all);
  }
  return report.states.contains("failed") ? exit_failed : exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

}  // namespace covey::cli
