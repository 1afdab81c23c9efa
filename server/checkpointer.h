// Keeps the columns on disk, so that a start need not read all objects: every so often, and at an orderly
// end, each part that has changed is written as a checkpoint. Changes are written down meanwhile
// (ColumnJournal); once all parts hold what the older files of changes tell, those are removed.
//
// The aggregator's thread encodes one part a turn; another thread writes it. What can't be written is counted
// and tried again the next time: columns do not need it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "server/column_files.h"
#include "server/column_set.h"

namespace covey::server {

struct CheckpointerOptions {
  std::string folder;
  double interval_us = 300e6;  // from the end of one round to the beginning of the next
  uint32_t shards = 1;
};

class Checkpointer final : public ColumnHistory {
 public:
  // `mark`: the shard is to begin a new file of changes and to send a mark of this number; on the
  // aggregator's thread. `wake`: step() has something to do; on another.
  Checkpointer(CheckpointerOptions options, std::function<void(uint32_t shard, uint64_t number)> mark,
               std::function<void()> wake);
  ~Checkpointer() override;

  std::unique_ptr<ChangeSink> journal() { return std::make_unique<ColumnJournal>(files_); }

  // The aggregator's thread.
  std::optional<std::string> part(const std::string& table, PartitionId partition) override;
  const ColumnChanges& changes() override;
  void loaded() override;

  // Does a part of the work, if there is any; behind a turn's changes.
  void step(ColumnSet& columns, double now_us);
  // When step() is wanted, at the latest, if wants_step() does not say so before.
  double due_us() const;
  bool wants_step() const;  // any thread
  // Writes what has changed and has time until then. REQUIRES: nothing changes any more.
  void finish(ColumnSet& columns, double until_us);

  struct Counts {
    uint64_t written = 0, failed = 0, bytes = 0;  // checkpoints of parts
    uint64_t changes_bytes = 0, changes_failed = 0;
    double round_us = 0;  // when the last round ended; 0: none has
  };
  Counts counts() const;  // any thread

 private:
  struct Round {
    std::set<uint64_t> marks;  // that are missing
    uint64_t changes_before = 0;
    std::optional<ColumnSet::PartKey> last;
    std::optional<PartCheckpoint> writing;
    bool failed = false;
  };

  void begin(ColumnSet& columns);
  void end(ColumnSet& columns, double now_us);
  bool take_result(ColumnSet& columns);  // false: it is still being written
  bool write(const PartCheckpoint& checkpoint);
  void remove_superfluous(ColumnSet& columns, uint64_t changes_before);
  void run_writer();

  const CheckpointerOptions options_;
  const std::function<void(uint32_t, uint64_t)> mark_;
  const std::function<void()> wake_;
  ColumnFiles files_;
  std::optional<ColumnChanges> changes_;
  std::optional<Round> round_;
  double next_us_ = 0;
  double early_us_ = 0;  // not before that because of many changes

  mutable std::mutex mutex_;
  std::condition_variable hand_over_;
  const PartCheckpoint* to_write_ = nullptr;  // guarded by mutex_, as all that follows
  std::optional<bool> written_;
  bool stopping_ = false;
  Counts counts_;
  std::thread writer_;  // last: it uses all of the above
};

}  // namespace covey::server
