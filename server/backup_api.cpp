#include "server/backup_api.h"

#include "server/backups.h"
#include "server/json_body.h"
#include "server/text.h"

namespace covey::server {
namespace {

using Json = nlohmann::ordered_json;
using What = BackupJob::What;

constexpr uint32_t keep_max = 10'000;

const char* what_text(What what) {
  switch (what) {
    case What::create:
      return "create";
    case What::verify:
      return "verify";
    case What::remove:
      return "delete";
  }
  return "create";
}

const char* state_text(BackupJob::State state) {
  switch (state) {
    case BackupJob::State::running:
      return "running";
    case BackupJob::State::done:
      return "done";
    case BackupJob::State::failed:
      return "failed";
  }
  return "failed";
}

const char* code_of(BackupError::Kind kind) {
  switch (kind) {
    case BackupError::Kind::no_such:
      return "no_such_backup";
    case BackupError::Kind::other_owner:
      return "other_owner";
    case BackupError::Kind::in_use:
      return "in_use";
    case BackupError::Kind::damaged:
      return "damaged";
    case BackupError::Kind::full:
      return "disk_full";
    case BackupError::Kind::stopped:
      return "stopped";
    case BackupError::Kind::io:
      return "storage_failed";
  }
  return "storage_failed";
}

Json error_json(const BackupError& error) {
  return {{"code", code_of(error.kind)}, {"message", error.message}};
}

Json backup_json(const BackupInfo& backup) {
  Json out;
  out["id"] = backup.id;
  out["time"] = iso_time(static_cast<uint64_t>(backup.time_s) * 1000);
  out["bytes"] = backup.bytes;
  out["files"] = backup.files;
  return out;
}

Json job_json(const BackupJob& job) {
  if (job.number == 0) return nullptr;
  Json out;
  out["job"] = job.number;
  out["what"] = what_text(job.what);
  out["state"] = state_text(job.state);
  if (job.id != 0) out["id"] = job.id;
  out["began"] = iso_time(job.began_ms);
  const bool running = job.state == BackupJob::State::running;
  out["took_ms"] = (running ? now().wall_ms : job.ended_ms) - job.began_ms;
  out["bytes_done"] = job.bytes;
  if (job.made) {
    out["backup"] = backup_json(job.made->info);
    out["new_bytes"] = job.made->new_bytes;
    out["removed"] = job.made->removed;
  }
  if (job.what == What::verify && !running) {
    out["verified"] = job.verified;
    out["damaged"] = Json::array();
    for (const BackupJob::Damaged& one : job.damaged)
      out["damaged"].push_back({{"id", one.id}, {"message", one.message}});
  }
  if (job.error) out["error"] = error_json(*job.error);
  return out;
}

ErrorAnswer no_directory() {
  return {409,
          "no_backup_directory",
          "This node has no directory for backups: set backup.directory in its configuration and start it "
          "again.",
          {}};
}

// {"keep": N} of create, {"id": N} of the others.
Result<BackupJob, ErrorAnswer> parse(std::string_view action, const std::string& body,
                                     const BackupSettings& settings) {
  auto json = parse_body(body);
  if (!json) return json.error();
  BackupJob job;
  job.keep = settings.keep;
  job.what = action == "create" ? What::create : action == "verify" ? What::verify : What::remove;
  const std::string_view allowed = job.what == What::create ? "keep" : "id";
  for (const auto& [name, value] : json->items()) {
    const uint64_t most = job.what == What::create ? keep_max : UINT32_MAX;
    if (name != allowed || !value.is_number_unsigned() || value.get<uint64_t>() == 0 ||
        value.get<uint64_t>() > most) {
      return bad_request("The body may have \"" + std::string(allowed) + "\", a number from 1 to " +
                         std::to_string(most) + ".");
    }
    (job.what == What::create ? job.keep : job.id) = value.get<uint32_t>();
  }
  if (job.what == What::remove && job.id == 0)
    return bad_request("Name the backup: {\"id\": 3}. GET /v1/backup lists them.");
  return job;
}

}  // namespace

bool is_backup_action(std::string_view action) {
  return action == "create" || action == "verify" || action == "delete";
}

void show_backups(std::shared_ptr<HttpConnection> connection, uint64_t slot) {
  const Backups& backups = *connection->shard().node().backups;
  const Backups::View view = backups.view();
  Json body;
  body["node"] = connection->shard().node().self.node.name;
  body["directory"] = backups.settings().folder.empty() ? Json() : Json(backups.settings().folder);
  body["keep"] = backups.settings().keep;
  body["backups"] = Json::array();
  for (const BackupInfo& backup : view.list.backups) body["backups"].push_back(backup_json(backup));
  body["damaged"] = view.list.damaged;
  if (view.unreadable) body["unreadable"] = error_json(*view.unreadable);
  body["job"] = job_json(view.job);
  connection->reply(slot, ReplyHead{}, body_text(body));
}

void start_backup_job(std::shared_ptr<HttpConnection> connection, uint64_t slot, std::string_view action,
                      const std::string& body) {
  Backups& backups = *connection->shard().node().backups;
  if (backups.settings().folder.empty()) return connection->reply(slot, no_directory());
  auto job = parse(action, body, backups.settings());
  if (!job) return connection->reply(slot, job.error());
  auto number = backups.begin(std::move(*job));
  if (!number) {
    return connection->reply(
        slot,
        ErrorAnswer{409,
                    "backup_running",
                    "A backup is being made, verified or deleted: GET /v1/backup tells when it is done.",
                    {}});
  }
  connection->reply(slot, ReplyHead{.status = 202}, body_text({{"job", *number}}));
}

}  // namespace covey::server
