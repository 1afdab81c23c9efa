// backup list, create, verify, delete.
#include <iostream>
#include <thread>

#include "client/answers.h"
#include "client/cli/commands.h"

namespace covey::cli {
namespace {

constexpr auto backup_poll_interval = std::chrono::milliseconds(100);

// The nodes to ask: one alone, which is chosen as for any command, or all members.
Result<std::vector<std::string>, Error> addresses(client::Client& client, bool all) {
  auto cluster = client.cluster();
  if (!cluster) return cluster.error();
  if (!all) return std::vector<std::string>{client.endpoint()};
  std::vector<std::string> found;
  for (const Json& member : cluster->value("members", Json::array()))
    found.push_back(member.value("http", ""));
  return found;
}

void print_list(const Json& backups, std::vector<std::vector<std::string>>& rows) {
  const std::string node = backups.value("node", "");
  for (const Json& backup : backups.value("backups", Json::array())) {
    rows.push_back({node, backup.at("id").dump(), backup.value("time", ""),
                    bytes_text(static_cast<double>(backup.value("bytes", uint64_t{0}))),
                    backup.at("files").dump(), coloured("whole", green)});
  }
  for (const Json& id : backups.value("damaged", Json::array()))
    rows.push_back({node, id.dump(), "", "", "", coloured("damaged", red)});
}

void print_job(const std::string& node, const Json& job) {
  const std::string what = job.value("what", "");
  if (what == "create" && job.contains("backup")) {
    const Json& backup = job["backup"];
    std::cout << node << ": backup " << backup.at("id") << ", "
              << bytes_text(static_cast<double>(backup.value("bytes", uint64_t{0}))) << ", of which "
              << bytes_text(static_cast<double>(job.value("new_bytes", uint64_t{0}))) << " new (took "
              << duration_text(job.value("took_ms", int64_t{0})) << ")\n";
    for (const Json& id : job.value("removed", Json::array()))
      std::cout << node << ": backup " << id << " removed\n";
  }
  for (const Json& id : job.value("verified", Json::array()))
    std::cout << node << ": backup " << id << " " << coloured("whole", green) << "\n";
  for (const Json& one : job.value("damaged", Json::array()))
    std::cout << node << ": backup " << one.at("id") << " " << coloured("damaged", red) << ": "
              << one.value("message", "") << "\n";
  if (what == "delete" && job.value("state", "") == "done")
    std::cout << node << ": backup " << job.at("id") << " deleted\n";
}

// Waits until the job of this number has ended, and tells how.
Result<Json, Error> await_job(client::Client& client, uint64_t number) {
  for (;;) {
    auto backups = client.backups();
    if (!backups) return backups.error();
    const Json job = backups->value("job", Json());
    // The node was started again, or another job has followed since.
    if (!job.is_object() || job.value("job", uint64_t{0}) != number)
      return Error{.kind = Error::Kind::failed,
                   .message = "the node tells nothing of this job any more: look with covey backup list"};
    if (job.value("state", "") != "running") return job;
    std::this_thread::sleep_for(backup_poll_interval);
  }
}

int run_job(Session& session, client::Client& client, const BackupCommand& command, const std::string& node) {
  Json body = Json::object();
  if (command.id != 0) body["id"] = command.id;
  if (command.keep != 0) body["keep"] = command.keep;
  auto started = client.start_backup_job(command.action, body);
  if (!started) return session.fail(started.error());
  if (!command.wait) {
    if (session.settings().json) print_json({{"node", node}, {"job", started->at("job")}});
    if (!session.settings().json) std::cout << node << ": job " << started->at("job") << " has begun\n";
    return exit_done;
  }
  auto job = await_job(client, started->at("job").get<uint64_t>());
  if (!job) return session.fail(job.error());
  if (session.settings().json) {
    Json out{{"node", node}};
    out.update(*job);
    print_json(out);
  } else {
    print_job(node, *job);
  }
  if (job->contains("error")) {
    const Json& error = job->at("error");
    const bool missing = error.value("code", "") == "no_such_backup";
    return session.fail(missing ? exit_not_found : exit_failed, node + ": " + error.value("message", ""));
  }
  return job->value("state", "") == "done" ? exit_done : exit_failed;
}

}  // namespace

int run(Session& session, const BackupCommand& command) try {
  client::Client* first = session.client();
  if (!first) return exit_usage;
  auto asked = addresses(*first, command.all);
  if (!asked) return session.fail(asked.error());
  std::vector<std::vector<std::string>> rows = {{"NODE", "ID", "TIME", "BYTES", "FILES", "STATE"}};
  int code = exit_done;
  // One that fails does not keep the others from being tried.
  for (const std::string& address : *asked) {
    auto client = session.connect(address);
    auto backups = client ? client->backups() : Result<Json, Error>(client.error());
    if (!backups) {
      code = session.fail(backups.error());
      continue;
    }
    if (command.action != "list") {
      if (const int one = run_job(session, *client, command, backups->value("node", "")); one != exit_done)
        code = one;
      continue;
    }
    if (session.settings().json) print_json(*backups);
    print_list(*backups, rows);
  }
  if (command.action == "list" && !session.settings().json) print_table(rows);
  return code;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

}  // namespace covey::cli
