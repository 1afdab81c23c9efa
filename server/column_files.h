// The folder beside the database in which columns are kept over a restart: one file for each part (a table's
// columns in one partition) as a checkpoint, and what has changed since, written down before each batch.
//
//   part-<partition>-<table>   a checkpoint (server/column_checkpoint.h); replaced as a whole
//   new-<partition>-<table>    one that is being written
//   changes-<number>           batches (server/column_changes.h) of one shard, in order
//
// Nothing here has to be true, complete or even this node's: what is loaded from it is checked against the
// state of the stored objects. If the folder is missing or can't be written, columns are loaded from the
// objects.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replication/types.h"
#include "server/column_changes.h"

namespace covey::server {

class ColumnFiles {
 public:
  // Of all files of changes: beyond it none are written until the next checkpoints make them superfluous, and
  // parts that change meanwhile are loaded from the objects after a crash.
  static constexpr uint64_t changes_bytes_max = uint64_t{256} << 20;

  // Makes the folder (its parent exists).
  explicit ColumnFiles(std::string folder);

  // The aggregator's thread, or, but for remove(), another that writes for it.
  std::optional<std::string> read_part(const std::string& table, PartitionId partition) const;
  // Whole and synced, or the one that was there; false: it failed, with the reason.
  [[nodiscard]] bool write_part(const std::string& table, PartitionId partition, const std::string& bytes,
                                std::string& why) const;
  void remove_part(const std::string& table, PartitionId partition) const;
  // All files of changes from before this object was made.
  ColumnChanges read_old_changes() const;
  // All files of changes that were begun before `number`.
  void remove_changes(uint64_t number);
  // Removes parts for which `wanted` answers false.
  template <class Wanted>
  void remove_parts(const Wanted& wanted) const {
    for (const Part& part : parts()) {
      if (!wanted(part.table, part.partition)) remove_part(part.table, part.partition);
    }
  }

  // Any thread.
  uint64_t next_changes() const { return next_; }
  uint64_t changes_bytes() const { return bytes_; }
  uint64_t changes_failed() const { return failed_; }

 private:
  friend class ColumnJournal;
  struct Part {
    PartitionId partition;
    std::string table;
  };
  std::vector<Part> parts() const;
  std::vector<uint64_t> changes() const;
  std::string part_path(const char* kind, const std::string& table, PartitionId partition) const;
  std::string changes_path(uint64_t number) const;

  const std::string folder_;
  uint64_t first_ = 1;  // of this process; older ones are another's
  std::atomic<uint64_t> next_{1};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> failed_{0};
};

// One shard's changes. Used by its thread; the files outlive it.
class ColumnJournal final : public ChangeSink {
 public:
  explicit ColumnJournal(ColumnFiles& files) : files_(files) {}
  ~ColumnJournal() override;
  ColumnJournal(const ColumnJournal&) = delete;
  ColumnJournal& operator=(const ColumnJournal&) = delete;

  // Gives the batch to the operating system, which keeps it if the process is killed. If that fails, nothing
  // more is written before the next file.
  void write(std::string_view batch) override;
  void begin_file() override;

 private:
  ColumnFiles& files_;
  int file_ = -1;
  bool failed_ = false;
};

}  // namespace covey::server
