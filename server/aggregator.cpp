#include "server/aggregator.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "server/aggregate_pass.h"
#include "server/node_context.h"

namespace covey::server {
namespace {

constexpr size_t rows_a_turn = 2000;  // loaded before changes and tasks are looked at again
// Changes gather for so long while nobody asks for anything: woken for each of them, the thread would cost
// writers more than the work itself.
constexpr auto gathering = std::chrono::milliseconds(20);
// What metrics show is counted so often while there is work, and so long after its end.
constexpr double publish_every_us = 100'000;
constexpr auto publish_after = std::chrono::milliseconds(100);
constexpr double keeping_us_max = 10e6;     // at an orderly end
constexpr uint64_t enough_bytes = 1 << 20;  // not to wait any longer

}  // namespace

double steady_us() {
  using namespace std::chrono;
  return duration<double, std::micro>(steady_clock::now().time_since_epoch()).count();
}

Aggregator::Aggregator(AggregatorOptions options, std::unique_ptr<Store> reader, Shards shards)
    : options_(std::move(options)),
      checkpointer_(options_.checkpoint_interval_us <= 0
                        ? nullptr
                        : std::make_unique<Checkpointer>(
                              CheckpointerOptions{options_.checkpoint_folder, options_.checkpoint_interval_us,
                                                  options_.columns.shards},
                              std::move(shards.mark_file),
                              [this] {
                                std::lock_guard lock(mutex_);
                                wake_.notify_one();
                              })),
      columns_(options_.columns, std::move(shards.mark), checkpointer_.get()),
      reader_(std::move(reader)),
      lanes_(options_.columns.shards) {
  counts_.columns = columns_.counts();
  thread_ = std::thread([this] { run(); });
}

Aggregator::~Aggregator() { stop(false); }

std::unique_ptr<ChangeSink> Aggregator::journal() {
  return checkpointer_ ? checkpointer_->journal() : nullptr;
}

void Aggregator::stop(bool keep) {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    keeping_ = keep;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  checkpointer_.reset();  // its thread wakes this one
  reader_.reset();
}

void Aggregator::push(uint32_t shard, std::vector<ColumnEvent>&& events) {
  uint64_t bytes = 0;
  for (const ColumnEvent& event : events) bytes += event.bytes();
  std::unique_lock lock(mutex_);
  Lane& lane = lanes_[shard];
  const bool first = lane.events.empty() && !lane.lost;
  if (lane.bytes + bytes > options_.lane_bytes_max && !lane.events.empty()) {
    // What tables there are is not told again: only rows may be lost.
    std::erase_if(lane.events, [](const ColumnEvent& event) { return event.kind == ColumnEvent::Kind::row; });
    lane.lost = true;
    lane.bytes = 0;
    ++counts_.lanes_lost;
  }
  const uint64_t before = lane.bytes;
  lane.bytes += bytes;
  counts_.changes += events.size();
  if (lane.events.empty()) {
    lane.events = std::move(events);
  } else {
    std::move(events.begin(), events.end(), std::back_inserter(lane.events));
  }
  const bool enough = before < enough_bytes && lane.bytes >= enough_bytes;
  lock.unlock();
  if (first || enough) wake_.notify_one();
}

bool Aggregator::submit(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || tasks_.size() >= options_.tasks_max) return false;
    tasks_.push_back({std::move(task), steady_us()});
  }
  wake_.notify_one();
  return true;
}

bool Aggregator::submit(Pass pass) {
  pass.since_us = steady_us();
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || passes_.size() >= options_.tasks_max) return false;
    passes_.push_back(std::move(pass));
  }
  wake_.notify_one();
  return true;
}

void Aggregator::run() {
  std::vector<Lane> lanes(options_.columns.shards);
  auto any = [this] {
    return std::any_of(lanes_.begin(), lanes_.end(),
                       [](const Lane& lane) { return !lane.events.empty() || lane.lost; });
  };
  auto urgent = [this] {
    return stopping_ || !tasks_.empty() || !passes_.empty() ||
           std::any_of(lanes_.begin(), lanes_.end(),
                       [](const Lane& lane) { return lane.bytes >= enough_bytes; });
  };
  for (;;) {
    std::deque<Waiting> tasks;
    std::vector<Pass> passes;
    {
      std::unique_lock lock(mutex_);
      if (!columns_.loading()) {
        auto ready = [&] { return urgent() || any() || (checkpointer_ && checkpointer_->wants_step()); };
        if (unpublished_ && !wake_.wait_for(lock, publish_after, ready)) {
          lock.unlock();
          publish();
          continue;
        }
        if (checkpointer_) {
          const double wait_us = std::max(0.0, checkpointer_->due_us() - steady_us());
          wake_.wait_for(lock, std::chrono::duration<double, std::micro>(wait_us), ready);
        } else {
          wake_.wait(lock, ready);
        }
        if (!urgent() && any()) wake_.wait_for(lock, gathering, urgent);
      }
      if (stopping_) {
        lock.unlock();
        return keep_all();
      }
      for (size_t i = 0; i < lanes.size(); ++i) std::swap(lanes[i], lanes_[i]);
      tasks.swap(tasks_);
      passes.swap(passes_);
    }
    const double turn_us = steady_us();
    take_changes(lanes);
    const uint64_t wall_ms = now().wall_ms;
    if (!passes.empty()) columns_.expire(wall_ms);
    const double apply_us = steady_us() - turn_us;
    for (Waiting& waiting : tasks) perform(waiting, apply_us);
    if (!passes.empty()) {
      Turn turn{columns_, engine(), 0, apply_us, wall_ms};
      run_passes(std::move(passes), turn);
    }
    if (columns_.loading()) columns_.load(*reader_, rows_a_turn, now().wall_ms);
    if (checkpointer_) checkpointer_->step(columns_, steady_us());
    for (uint64_t id : columns_.take_forgotten()) {
      if (engine_) engine_->forget(id);
    }
    unpublished_ = true;
    if (steady_us() > published_us_ + publish_every_us) publish();
  }
}

// At the end of the thread.
void Aggregator::keep_all() {
  if (!checkpointer_ || !keeping_) return;
  take_changes(lanes_);
  checkpointer_->finish(columns_, steady_us() + keeping_us_max);
}

void Aggregator::take_changes(std::vector<Lane>& lanes) {
  for (uint32_t shard = 0; shard < lanes.size(); ++shard) {
    Lane& lane = lanes[shard];
    columns_.apply(shard, lane.events, now().wall_ms);
    if (lane.lost) {
      spdlog::warn("columns are loaded again: more changes waited for them than may shard={}", shard);
      columns_.reload(shard);
    }
    lane.events.clear();
    lane.bytes = 0;
    lane.lost = false;
  }
}

void Aggregator::perform(Waiting& waiting, double apply_us) {
  Turn turn{columns_, engine(), std::max(0.0, steady_us() - waiting.since_us - apply_us), apply_us};
  waiting.task(turn);
}

// Measuring the machine takes tens of milliseconds: nodes that never aggregate are spared it.
agg::Engine& Aggregator::engine() {
  if (!engine_) {
    engine_ = agg::Engine::start({.threads = options_.threads}, options_.gpu);
    spdlog::info("aggregation: {}", engine_->describe());
  }
  return *engine_;
}

void Aggregator::publish() {
  published_us_ = steady_us();
  unpublished_ = false;
  auto columns = columns_.counts();
  if (columns.evictions_total > evictions_told_ || columns.refused_total > refusals_told_) {
    spdlog::info("columns left memory, or found no room: evictions={} refused={} bytes={} limit={}",
                 columns.evictions_total, columns.refused_total, columns.bytes, columns.bytes_max);
    evictions_told_ = columns.evictions_total;
    refusals_told_ = columns.refused_total;
  }
  std::lock_guard lock(mutex_);
  counts_.columns = columns;
  if (!engine_) return;
  counts_.engine = engine_->counters();
  if (counts_.engine.gpu_retired.empty() || retirement_told_) return;
  retirement_told_ = true;
  spdlog::error("aggregation: the GPU failed, the CPU answers until this node starts again: {}",
                counts_.engine.gpu_retired);
}

Aggregator::Counts Aggregator::counts() const {
  std::lock_guard lock(mutex_);
  Counts out = counts_;
  for (const Lane& lane : lanes_) out.waiting_bytes += lane.bytes;
  if (checkpointer_) out.kept = checkpointer_->counts();
  return out;
}

}  // namespace covey::server
