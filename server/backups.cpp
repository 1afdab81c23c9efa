#include "server/backups.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "server/node_context.h"

namespace covey::server {

Backups::Backups(BackupSettings settings, Database& database)
    : settings_(std::move(settings)), database_(database), folder_(settings_.folder) {
  if (!settings_.folder.empty()) thread_ = std::thread([this] { run(); });
}

Backups::~Backups() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  folder_.stop();
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::optional<uint64_t> Backups::begin(BackupJob job) {
  std::lock_guard lock(mutex_);
  const bool busy = view_.job.number > 0 && view_.job.state == BackupJob::State::running;
  if (busy || stopping_ || !thread_.joinable()) return std::nullopt;
  job.number = view_.job.number + 1;
  job.began_ms = now().wall_ms;
  view_.job = std::move(job);
  waiting_ = true;
  wake_.notify_one();
  return view_.job.number;
}

Backups::View Backups::view() const {
  std::lock_guard lock(mutex_);
  View view = view_;
  if (view.job.state == BackupJob::State::running) view.job.bytes = folder_.bytes_done();
  return view;
}

void Backups::run() {
  look();
  for (;;) {
    BackupJob job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return waiting_ || stopping_; });
      if (stopping_) return;
      waiting_ = false;
      job = view_.job;
    }
    perform(job);
    const bool failed = job.error || !job.damaged.empty();
    job.state = failed ? BackupJob::State::failed : BackupJob::State::done;
    job.bytes = std::max(job.bytes, folder_.bytes_done());
    job.ended_ms = now().wall_ms;
    look();
    std::lock_guard lock(mutex_);
    if (job.what == BackupJob::What::create) ++(failed ? view_.failed : view_.made);
    view_.job = std::move(job);
  }
}

void Backups::perform(BackupJob& job) {
  if (job.what == BackupJob::What::verify) return verify(job);
  if (job.what == BackupJob::What::remove) {
    auto removed = folder_.remove(job.id);
    if (!removed) job.error = removed.error();
    if (removed) spdlog::info("backup removed id={} folder={}", job.id, settings_.folder);
    return;
  }
  auto made = folder_.create(database_, settings_.label,
                             {.keep = job.keep, .bytes_per_second = settings_.bytes_per_second});
  if (!made) {
    job.error = made.error();
    spdlog::error("a backup failed: {}", job.error->message);
    return;
  }
  job.id = made->info.id;
  spdlog::info("backup made id={} bytes={} new={} folder={}", job.id, made->info.bytes, made->new_bytes,
               settings_.folder);
  job.made = std::move(*made);
}

void Backups::verify(BackupJob& job) {
  auto list = folder_.list();
  if (!list) {
    job.error = list.error();
    return;
  }
  std::vector<uint32_t> wanted;
  if (job.id != 0) wanted.push_back(job.id);
  if (job.id == 0) {
    wanted = list->damaged;
    for (const BackupInfo& backup : list->backups) wanted.push_back(backup.id);
  }
  for (const uint32_t id : wanted) {
    auto verified = folder_.verify(id);
    job.bytes += folder_.bytes_done();
    if (verified) {
      job.verified.push_back(id);
    } else if (verified.error().kind == BackupError::Kind::damaged) {
      spdlog::error("a backup is damaged: {}", verified.error().message);
      job.damaged.push_back({id, verified.error().message});
    } else {
      job.error = verified.error();
      return;
    }
  }
}

// Takes note of what there is now.
void Backups::look() {
  auto list = folder_.list();
  std::lock_guard lock(mutex_);
  view_.unreadable.reset();
  if (!list) {
    view_.unreadable = list.error();
    return;
  }
  view_.list = std::move(*list);
  const auto& backups = view_.list.backups;
  view_.newest_s = backups.empty() ? 0 : static_cast<uint64_t>(backups.back().time_s);
}

}  // namespace covey::server
