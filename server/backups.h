// The backups of a running node: a thread of its own makes, reads and removes them, one job at a time. Who
// asks is told the job's number at once and looks later how it went.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "storage/backup.h"

namespace covey::server {

struct BackupSettings {
  std::string folder;  // empty: none is configured, and no job is taken
  BackupLabel label;
  uint32_t keep = 0;  // 0: all
  uint64_t bytes_per_second = 0;
};

struct BackupJob {
  enum class What : uint8_t { create, verify, remove };
  enum class State : uint8_t { running, done, failed };
  struct Damaged {
    uint32_t id = 0;
    std::string message;
  };

  uint64_t number = 0;  // from 1, since the node's start; 0: there was none
  What what = What::create;
  State state = State::running;
  uint32_t id = 0;                      // of the backup concerned; verify, 0: all
  uint32_t keep = 0;                    // create
  uint64_t began_ms = 0, ended_ms = 0;  // wall clock
  uint64_t bytes = 0;                   // read or written, about
  std::optional<BackupFolder::Made> made;
  std::vector<uint32_t> verified;  // and found to be good
  std::vector<Damaged> damaged;
  std::optional<BackupError> error;
};

// Thread-safe.
class Backups {
 public:
  Backups(BackupSettings settings, Database& database);
  ~Backups();  // ends what is under way

  const BackupSettings& settings() const { return settings_; }

  // The job's number; nullopt: one is under way, or the node is closing. `number`, `state` and what follows
  // are filled here.
  std::optional<uint64_t> begin(BackupJob job);

  struct View {
    BackupList list;  // as of the start or the last job's end
    std::optional<BackupError> unreadable;
    BackupJob job;                  // the one under way, or the last
    uint64_t made = 0, failed = 0;  // backups, since the start
    uint64_t newest_s = 0;          // when the newest backup was made, since 1970; 0: none
  };
  View view() const;

 private:
  void run();
  void perform(BackupJob& job);
  void verify(BackupJob& job);
  void look();

  const BackupSettings settings_;
  Database& database_;
  BackupFolder folder_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  View view_;             // guarded by mutex_, as all that follows
  bool waiting_ = false;  // a job for the thread
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace covey::server
