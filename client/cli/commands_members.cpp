// cluster join, leave, remove, replace: who belongs to the cluster.
#include <iostream>
#include <thread>

#include "client/answers.h"
#include "client/cli/commands.h"
#include "client/cli/progress.h"

namespace covey::cli {
namespace {

constexpr auto members_poll_interval = std::chrono::milliseconds(200);

void print_moves(const Json& answer) {
  for (const Json& member : answer.value("members", Json::array())) {
    std::cout << member.value("node", "") << ": " << member.value("standing", "");
    if (member.contains("place")) std::cout << ", in the place of " << member.value("place", "");
    std::cout << "\n";
  }
  const Json moves = answer.value("moves", Json::object());
  std::cout << moves.value("copies", 0) << " of " << moves.value("of", 0) << " copies of partitions "
            << (answer.value("dry_run", false) ? "would move" : "move") << ", about "
            << moves.value("objects_about", uint64_t{0}) << " objects, "
            << bytes_text(static_cast<double>(moves.value("bytes_about", uint64_t{0}))) << "\n";
  const Json to = moves.value("to", Json::object());
  for (const auto& [node, copies] : to.items()) std::cout << "  to " << node << ": " << copies.dump() << "\n";
}

// What is still on its way as the asked node sees it: copies that are being filled, and members that leave.
struct Moving {
  uint64_t copies = 0;
  std::string leave;  // those who do
  bool done() const { return copies == 0 && leave.empty(); }
};

Moving moving(const Json& cluster) {
  Moving out;
  for (const Json& partition : cluster.value("ring", Json::array()))
    out.copies += partition.value("filling", Json::array()).size();
  for (const Json& member : cluster.value("members", Json::array())) {
    if (member.value("standing", "member") != "leaving") continue;
    out.leave += (out.leave.empty() ? "" : ", ") + member.value("node", "");
  }
  return out;
}

int wait_until_moved(Session& session, client::Client& client, Milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  Progress progress("moving", "copies");
  uint64_t most = 1;
  for (;;) {
    auto cluster = client.cluster();
    if (!cluster) return session.fail(cluster.error());
    const Moving now = moving(*cluster);
    most = std::max(most, now.copies);
    if (now.done()) break;
    if (std::chrono::steady_clock::now() >= until) {
      progress.clear();
      const std::string few = too_few_stay(*cluster);
      return session.fail(Error{.kind = Error::Kind::timed_out,
                                .message = std::to_string(now.copies) + " copies are still being filled" +
                                           (now.leave.empty() ? "" : ", still leaving: " + now.leave) + "; " +
                                           (few.empty() ? "it goes on by itself" : few)});
    }
    progress.show(1 - static_cast<double>(now.copies) / static_cast<double>(most), most - now.copies);
    std::this_thread::sleep_for(members_poll_interval);
  }
  progress.clear();
  return exit_done;
}

// Who joins without running is a member at once, of whom nothing more is seen.
void tell_who_is_waited_for(const Json& answer) {
  const std::string node = answer.value("waits_for", "");
  if (node.empty()) return;
  const bool dry_run = answer.value("dry_run", false);
  std::cerr << "covey: " << node << " can't be reached" << (dry_run ? "" : ", and is waited for")
            << ": start it with its directory; until then the others keep the copies that it "
            << (dry_run ? "would own" : "is to own") << "\n";
}

}  // namespace

int run(Session& session, const ClusterChangeCommand& command) try {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  Json body{{"node", command.node}, {"dry_run", command.dry_run}};
  if (command.force) body["force"] = true;
  if (!command.by.empty()) body["by"] = command.by;
  auto answer = client->change_cluster(command.action, body);
  if (!answer) return session.fail(answer.error());
  tell_who_is_waited_for(*answer);
  if (command.wait && !command.dry_run) {
    const int waited = wait_until_moved(session, *client, command.limit);
    if (waited != exit_done) return waited;
  }
  if (session.settings().json) {
    print_json(*answer);
  } else {
    print_moves(*answer);
  }
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

}  // namespace covey::cli
