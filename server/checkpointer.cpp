#include "server/checkpointer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "server/aggregator.h"

namespace covey::server {
namespace {

// So many changes begin a round early, so that it ends before none can be written any more.
constexpr uint64_t many_changes = ColumnFiles::changes_bytes_max / 4;
constexpr double early_interval_us = 10e6;
constexpr double after_load_us = 2e6;

}  // namespace

Checkpointer::Checkpointer(CheckpointerOptions options, std::function<void(uint32_t, uint64_t)> mark,
                           std::function<void()> wake)
    : options_(std::move(options)),
      mark_(std::move(mark)),
      wake_(std::move(wake)),
      files_(options_.folder),
      next_us_(steady_us() + options_.interval_us) {
  writer_ = std::thread([this] { run_writer(); });
}

Checkpointer::~Checkpointer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  hand_over_.notify_all();
  writer_.join();
}

std::optional<std::string> Checkpointer::part(const std::string& table, PartitionId partition) {
  return files_.read_part(table, partition);
}

const ColumnChanges& Checkpointer::changes() {
  if (!changes_) changes_ = files_.read_old_changes();
  return *changes_;
}

// What was read from the objects had better be kept soon.
void Checkpointer::loaded() {
  changes_.reset();
  next_us_ = std::min(next_us_, steady_us() + std::min(after_load_us, options_.interval_us));
}

double Checkpointer::due_us() const {
  if (round_) return steady_us() + early_interval_us;  // a mark or the writer wakes it
  if (files_.changes_bytes() > many_changes) return std::min(next_us_, early_us_);
  return std::min(next_us_, steady_us() + early_interval_us);
}

bool Checkpointer::wants_step() const {
  std::lock_guard lock(mutex_);
  return written_.has_value();
}

void Checkpointer::step(ColumnSet& columns, double now_us) {
  for (uint64_t number : columns.take_marks()) {
    if (round_) round_->marks.erase(number);
  }
  if (!round_) {
    const bool early = files_.changes_bytes() > many_changes && now_us >= early_us_;
    if (columns.loading() || (now_us < next_us_ && !early)) return;
    if (!columns.has_unkept()) {
      next_us_ = now_us + options_.interval_us;
      return;
    }
    return begin(columns);
  }
  if (!round_->marks.empty() || !take_result(columns)) return;
  round_->writing = columns.next_checkpoint(round_->last);
  if (!round_->writing) return end(columns, now_us);
  std::lock_guard lock(mutex_);
  to_write_ = &*round_->writing;
  hand_over_.notify_all();
}

void Checkpointer::begin(ColumnSet& columns) {
  round_.emplace(Round{});
  round_->changes_before = files_.next_changes();
  for (uint32_t shard = 0; shard < options_.shards; ++shard) {
    const uint64_t number = columns.next_number();
    round_->marks.insert(number);
    mark_(shard, number);
  }
}

bool Checkpointer::take_result(ColumnSet& columns) {
  std::optional<bool> written;
  {
    std::lock_guard lock(mutex_);
    if (to_write_ != nullptr) return false;
    written = std::exchange(written_, std::nullopt);
  }
  if (!round_->writing) return true;
  if (written.value_or(false)) {
    columns.kept(*round_->writing);
  } else {
    round_->failed = true;
  }
  return true;
}

void Checkpointer::end(ColumnSet& columns, double now_us) {
  if (!round_->failed && !columns.loading()) remove_superfluous(columns, round_->changes_before);
  round_.reset();
  next_us_ = now_us + options_.interval_us;
  early_us_ = now_us + early_interval_us;
  std::lock_guard lock(mutex_);
  counts_.round_us = now_us;
}

void Checkpointer::remove_superfluous(ColumnSet& columns, uint64_t changes_before) {
  files_.remove_changes(changes_before);
  files_.remove_parts(
      [&](const std::string& table, PartitionId partition) { return columns.has_part(table, partition); });
}

void Checkpointer::finish(ColumnSet& columns, double until_us) {
  {
    std::unique_lock lock(mutex_);
    hand_over_.wait(lock, [&] { return to_write_ == nullptr; });
  }
  if (round_) take_result(columns);
  round_.reset();
  bool all = !columns.loading();
  std::optional<ColumnSet::PartKey> last;
  while (auto checkpoint = columns.next_checkpoint(last)) {
    const bool written = steady_us() < until_us && write(*checkpoint);
    if (written) columns.kept(*checkpoint);
    all = all && written;
    if (steady_us() >= until_us) break;
  }
  if (all) remove_superfluous(columns, UINT64_MAX);
}

bool Checkpointer::write(const PartCheckpoint& checkpoint) {
  std::string why;
  bool written = true;
  if (checkpoint.bytes.empty()) {
    files_.remove_part(checkpoint.table, checkpoint.partition);
  } else {
    written = files_.write_part(checkpoint.table, checkpoint.partition, checkpoint.bytes, why);
  }
  std::lock_guard lock(mutex_);
  if (written) {
    ++counts_.written;
    counts_.bytes += checkpoint.bytes.size();
  } else if (counts_.failed++ == 0) {
    spdlog::warn("a checkpoint of columns was not written, and is tried again later: {}", why);
  }
  return written;
}

void Checkpointer::run_writer() {
  std::unique_lock lock(mutex_);
  for (;;) {
    hand_over_.wait(lock, [&] { return stopping_ || to_write_ != nullptr; });
    if (to_write_ == nullptr) return;
    const PartCheckpoint& checkpoint = *to_write_;
    lock.unlock();
    const bool written = write(checkpoint);
    lock.lock();
    to_write_ = nullptr;
    written_ = written;
    hand_over_.notify_all();
    lock.unlock();
    wake_();
    lock.lock();
  }
}

Checkpointer::Counts Checkpointer::counts() const {
  std::lock_guard lock(mutex_);
  Counts out = counts_;
  out.changes_bytes = files_.changes_bytes();
  out.changes_failed = files_.changes_failed();
  return out;
}

}  // namespace covey::server
