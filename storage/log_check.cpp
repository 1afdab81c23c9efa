#include "storage/log_check.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "replication/bugs.h"
#include "storage/log_format.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

std::string place(const std::string& name, uint64_t position) {
  return name + " at byte " + std::to_string(position);
}

StoreError damaged(const std::string& what) { return {StoreError::Kind::corruption, what}; }

// Goes through the logs in order and finds where what counts ends.
class LogJudge {
 public:
  // With nothing synced since the start the next write is known: a log that a crash has emptied is missed.
  LogJudge(SyncedLogs synced, uint64_t first_live)
      : synced_(synced),
        next_write_(synced.end == LogPosition{synced.first_log, 0} && first_live <= synced.first_log
                        ? synced.last_write + 1
                        : 0) {}

  LogCheck check;

  void take(uint64_t number, const LogScan& scan) {
    const std::string name = log_file_name(number);
    if (scan.read_failed) {
      check.damage = StoreError{StoreError::Kind::io, name + " cannot be read: " + scan.wrong};
    } else if (number == synced_.end.log && scan.fragment_bytes < synced_.end.bytes &&
               !bug(Bug::damage_is_dropped)) {
      const std::string wrong = scan.wrong.empty() ? "the file ends" : scan.wrong;
      check.damage = damaged(place(name, scan.fragment_bytes) + " is damaged (" + wrong +
                             "); it had been synced up to byte " + std::to_string(synced_.end.bytes));
    } else {
      follow(number, scan);
    }
  }
  void end() {
    if (!check.damage && is_torn_ && !all_synced_seen()) check.damage = damaged(tear_);
  }

 private:
  bool all_synced_seen() const { return next_write_ > synced_.last_write; }

  void follow(uint64_t number, const LogScan& scan) {
    const bool has_gap = scan.first_write && *scan.first_write != next_write_;
    if (has_gap && is_torn_ && !all_synced_seen()) {
      check.damage = damaged(tear_);
      return;
    }
    // A crash of the machine may keep the newer of two unsynced logs and lose the older one's end.
    if (has_gap && next_write_ > 0 && all_synced_seen()) is_over_ = true;
    const uint64_t counted = is_over_ ? 0 : scan.record_bytes;
    const std::string wrong = is_over_ ? "the writes before it are missing" : scan.wrong;
    if (counted < scan.file_bytes && !wrong.empty()) drop(number, counted, scan.file_bytes, wrong);
    if (is_over_) return;
    if (scan.first_write) {
      is_torn_ = false;
      next_write_ = scan.next_write;
    }
    // Of the newest synced log and those after it the bytes tell how much was promised.
    if (!wrong.empty() && number < synced_.end.log) {
      is_torn_ = true;
      tear_ = place(log_file_name(number), scan.record_bytes) + " is damaged (" + wrong +
              "); it had been synced further than that";
    }
  }

  void drop(uint64_t number, uint64_t from, uint64_t file_bytes, const std::string& wrong) {
    check.drops.push_back({log_file_name(number), from, file_bytes});
    check.notes.push_back(note_of(check.drops.back(), wrong));
  }

  const SyncedLogs synced_;
  uint64_t next_write_;   // the number after the last whole write; 0: none seen
  bool is_torn_ = false;  // a log that must hold what was promised has a torn end after that write...
  std::string tear_;      // ... there
  bool is_over_ = false;  // from here on nothing counts
};

}  // namespace

LogCheck check_logs(rocksdb::Env& env, const std::string& directory, SyncedLogs synced, uint64_t first_live) {
  LogJudge judge(synced, first_live);
  std::vector<std::string> names;
  const auto status = env.GetChildren(directory, &names);
  if (!status.ok()) {
    judge.check.damage = StoreError{StoreError::Kind::io, directory + ": " + status.ToString()};
    return judge.check;
  }
  const auto logs = log_numbers(names);
  // A log disappears when its contents are in tables, and never before the next one has begun.
  if (synced.end.log > 0 && (logs.empty() || logs.back() < synced.end.log)) {
    judge.check.damage = damaged("the log with number " + std::to_string(synced.end.log) + " is missing");
    return judge.check;
  }
  for (const uint64_t number : logs) {
    if (number < synced.first_log || number < first_live) continue;
    judge.take(number, scan_log(env, directory + "/" + log_file_name(number)));
    if (judge.check.damage) return judge.check;
  }
  judge.end();
  return judge.check;
}

std::string note_of(const UnsyncedEnd& drop, const std::string& wrong) {
  return place(drop.file, drop.from) + ": " + wrong + "; the " + std::to_string(drop.file_bytes - drop.from) +
         " bytes from there on had not been synced and are dropped";
}

std::optional<StoreError> drop_unsynced(rocksdb::Env& env, const std::string& directory,
                                        const std::vector<UnsyncedEnd>& drops) {
  const std::string zeros(log_block_bytes, '\0');
  for (const auto& drop : drops) {
    const std::string path = directory + "/" + drop.file;
    std::unique_ptr<rocksdb::RandomRWFile> file;
    auto status = env.NewRandomRWFile(path, &file, rocksdb::EnvOptions());
    for (uint64_t at = drop.from; status.ok() && at < drop.file_bytes;) {
      const uint64_t to_block_end = log_block_bytes - at % log_block_bytes;
      status = file->Write(at, {zeros.data(), to_block_end});
      at += to_block_end;
    }
    if (status.ok()) status = file->Sync();
    if (!status.ok()) return to_store_error(status, path);
  }
  return std::nullopt;
}

}  // namespace covey
